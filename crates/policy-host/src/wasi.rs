//! The part of WASI preview 1 that a policy's standard library uses: random numbers
//! for hash maps, an empty environment, the message of a panic, and the exit. There are
//! no files, no clock and no network; a function that needs them fails with `ENOSYS`.
//!
//! <https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md>

use wasmi::{Caller, Error, ExternType, Linker, Module, Val, ValType, errors::LinkerError};

use crate::{
    runner::Guest,
    wapc::{memory, read, write},
};

const MODULE: &str = "wasi_snapshot_preview1";

const SUCCESS: i32 = 0;
const EBADF: i32 = 8;
const EIO: i32 = 29;
const ENOSYS: i32 = 52;

const STDOUT: i32 = 1;
const STDERR: i32 = 2;
/// The limit for a guest's standard error, of which only a panic's message is needed.
const STDERR_BYTES: usize = 16 * 1024;

/// Links the module's imports from WASI.
pub(crate) fn link(linker: &mut Linker<Guest>, module: &Module) -> Result<(), LinkerError> {
    linker.func_wrap(MODULE, "random_get", |mut caller: Caller<'_, Guest>, at: u32, length: u32| {
        let mut bytes = read(&caller, at, length)?;
        if getrandom::getrandom(&mut bytes).is_err() {
            return Ok(EIO);
        }
        let memory = memory(&caller)?;
        write(memory.data_mut(&mut caller), at, &bytes)?;
        Ok::<_, Error>(SUCCESS)
    })?;
    linker.func_wrap(MODULE, "environ_get", |_: u32, _: u32| SUCCESS)?;
    linker.func_wrap(
        MODULE,
        "environ_sizes_get",
        |mut caller: Caller<'_, Guest>, count: u32, size: u32| {
            let memory = memory(&caller)?.data_mut(&mut caller);
            write(memory, count, &0_u32.to_le_bytes())?;
            write(memory, size, &0_u32.to_le_bytes())?;
            Ok::<_, Error>(SUCCESS)
        },
    )?;
    linker.func_wrap(MODULE, "fd_write", fd_write)?;
    linker.func_wrap(MODULE, "proc_exit", |status: i32| Err::<(), _>(Error::i32_exit(status)))?;
    for import in module.imports().filter(|import| import.module() == MODULE) {
        if let ExternType::Func(function) = import.ty()
            && function.results() == [ValType::I32]
        {
            // Functions that are already linked stay.
            let _ = linker.func_new(MODULE, import.name(), function.clone(), |_, _, results| {
                results.fill(Val::I32(ENOSYS));
                Ok(())
            });
        }
    }
    Ok(())
}

/// Writes the buffers that a list of (address, length) pairs points to.
fn fd_write(
    mut caller: Caller<'_, Guest>,
    fd: i32,
    list: u32,
    entries: u32,
    written_at: u32,
) -> Result<i32, Error> {
    if !matches!(fd, STDOUT | STDERR) {
        return Ok(EBADF);
    }
    let list = read(&caller, list, entries.saturating_mul(8))?;
    let mut written = 0_u32;
    for entry in list.as_chunks::<4>().0.chunks_exact(2) {
        let [at, length] = [entry[0], entry[1]].map(u32::from_le_bytes);
        let bytes = read(&caller, at, length)?;
        written = written.saturating_add(length);
        if fd == STDERR {
            let stderr = &mut caller.data_mut().stderr;
            let room = STDERR_BYTES.saturating_sub(stderr.len());
            stderr.extend(bytes.into_iter().take(room));
        }
    }
    let memory = memory(&caller)?;
    write(memory.data_mut(&mut caller), written_at, &written.to_le_bytes())?;
    Ok(SUCCESS)
}
