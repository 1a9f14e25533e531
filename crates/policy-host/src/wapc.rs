//! waPC's host functions, with which the guest reads its payload and returns its answer.
//!
//! <https://wapc.io/docs/spec/>

use wasmi::{Caller, Error, Extern, Linker, Memory, errors::LinkerError};

use crate::{log::host_call, runner::Guest};

const MODULE: &str = "wapc";

pub(crate) fn link(linker: &mut Linker<Guest>) -> Result<(), LinkerError> {
    linker.func_wrap(
        MODULE,
        "__guest_request",
        |mut caller: Caller<'_, Guest>, operation: u32, payload: u32| {
            let memory = memory(&caller)?;
            let (bytes, guest) = memory.data_and_store_mut(&mut caller);
            write(bytes, payload, &guest.payload)?;
            write(bytes, operation, &guest.operation)
        },
    )?;
    linker.func_wrap(MODULE, "__guest_response", |mut caller: Caller<'_, Guest>, at: u32, length: u32| {
        let bytes = read(&caller, at, length)?;
        caller.data_mut().response = Some(bytes);
        Ok::<_, Error>(())
    })?;
    linker.func_wrap(MODULE, "__guest_error", |mut caller: Caller<'_, Guest>, at: u32, length: u32| {
        let text = read_text(&caller, at, length)?;
        caller.data_mut().error = Some(text);
        Ok::<_, Error>(())
    })?;
    linker.func_wrap(MODULE, "__console_log", |caller: Caller<'_, Guest>, at: u32, length: u32| {
        read(&caller, at, length).map(drop)
    })?;
    linker.func_wrap(
        MODULE,
        "__host_call",
        |mut caller: Caller<'_, Guest>,
         binding: u32,
         binding_length: u32,
         namespace: u32,
         namespace_length: u32,
         operation: u32,
         operation_length: u32,
         payload: u32,
         payload_length: u32| {
            let binding = read_text(&caller, binding, binding_length)?;
            let namespace = read_text(&caller, namespace, namespace_length)?;
            let operation = read_text(&caller, operation, operation_length)?;
            let payload = read(&caller, payload, payload_length)?;
            let guest = caller.data_mut();
            let answer = host_call(guest.log.as_ref(), &binding, &namespace, &operation, &payload);
            let granted = answer.is_ok();
            guest.refused = answer.err().or(guest.refused.take());
            Ok::<_, Error>(i32::from(granted))
        },
    )?;
    // Logging, the only capability, returns nothing.
    linker.func_wrap(MODULE, "__host_response", |_: u32| {})?;
    linker.func_wrap(MODULE, "__host_response_len", || 0_u32)?;
    linker.func_wrap(MODULE, "__host_error", |mut caller: Caller<'_, Guest>, at: u32| {
        let memory = memory(&caller)?;
        let (bytes, guest) = memory.data_and_store_mut(&mut caller);
        write(bytes, at, guest.refused.as_deref().unwrap_or_default().as_bytes())
    })?;
    linker.func_wrap(MODULE, "__host_error_len", |caller: Caller<'_, Guest>| {
        length(caller.data().refused.as_deref().unwrap_or_default().as_bytes())
    })?;
    Ok(())
}

/// waPC's lengths are `i32`, and a 32-bit memory cannot hold more.
pub(crate) fn length(bytes: &[u8]) -> i32 {
    i32::try_from(bytes.len()).unwrap_or(i32::MAX)
}

pub(crate) fn memory(caller: &Caller<'_, Guest>) -> Result<Memory, Error> {
    let memory = caller.get_export("memory").and_then(Extern::into_memory);
    memory.ok_or_else(|| Error::new("the guest exports no `memory`"))
}

pub(crate) fn write(memory: &mut [u8], at: u32, bytes: &[u8]) -> Result<(), Error> {
    let at = at as usize;
    memory.get_mut(at..at.saturating_add(bytes.len())).ok_or_else(outside)?.copy_from_slice(bytes);
    Ok(())
}

pub(crate) fn read(caller: &Caller<'_, Guest>, at: u32, length: u32) -> Result<Vec<u8>, Error> {
    let (memory, at) = (memory(caller)?, at as usize);
    let bytes = memory.data(caller).get(at..at.saturating_add(length as usize)).ok_or_else(outside)?;
    Ok(bytes.to_vec())
}

fn read_text(caller: &Caller<'_, Guest>, at: u32, length: u32) -> Result<String, Error> {
    Ok(String::from_utf8_lossy(&read(caller, at, length)?).into_owned())
}

fn outside() -> Error {
    Error::new("the guest passed an address outside of its memory")
}
