//! waPC spoken on the bare runtime, where `wasmtime-provider` keeps to itself
//! what is asked here: why the guest trapped, what it wrote to its standard
//! error, and how much fuel and memory a call took.

use std::time::{Duration, Instant};

use wasmtime::{Caller, Engine, Error, Extern, InstancePre, Linker, Memory, Module, Store, Trap};
use wasmtime_wasi::{I32Exit, WasiCtxBuilder, p1::WasiP1Ctx, p2::pipe::MemoryOutputPipe};

use crate::log::{LogSink, host_call};

/// More of a guest's standard error is not read: it is for one message.
const STDERR_BYTES: usize = 16 * 1024;
/// The start functions of waPC, in their order.
const START_FUNCTIONS: [&str; 3] = ["_start", "_initialize", "wapc_init"];

struct Guest {
    wasi: WasiP1Ctx,
    operation: Vec<u8>,
    payload: Vec<u8>,
    response: Option<Vec<u8>>,
    error: Option<String>,
    host_error: String,
    log: Option<LogSink>,
}

/// What stops a call.
pub(crate) struct Limits {
    /// Ticks of the engine's epoch, if it counts them.
    pub epochs: Option<u64>,
    /// Fuel, if the engine counts it.
    pub fuel: Option<u64>,
}

/// How a call ended.
pub(crate) enum Outcome {
    Response(Vec<u8>),
    GuestError(String),
    Trap {
        reason: String,
        backtrace: String,
    },
    Interrupted,
    /// A start function failed.
    NotStarted(String),
}

/// One call and what it took.
pub(crate) struct Run {
    pub outcome: Outcome,
    pub stderr: String,
    /// A host capability that the guest asked for and that there is not.
    pub refused: Option<String>,
    pub fuel: Option<u64>,
    pub memory: u64,
    /// Pages of the processor's that differ from the module's own; counted with fuel.
    pub written_pages: u64,
    pub start: Duration,
    pub call: Duration,
}

/// A module linked and ready to be instantiated.
pub(crate) struct Runner {
    pre: InstancePre<Guest>,
}

impl Runner {
    pub(crate) fn new(engine: &Engine, module: &Module) -> wasmtime::Result<Self> {
        let mut linker = Linker::new(engine);
        wasmtime_wasi::p1::add_to_linker_sync(&mut linker, |guest: &mut Guest| &mut guest.wasi)?;
        link_wapc(&mut linker)?;
        Ok(Self { pre: linker.instantiate_pre(module)? })
    }

    /// Calls a fresh instance.
    pub(crate) fn run(
        &self,
        operation: &str,
        payload: &[u8],
        log: Option<&LogSink>,
        limits: &Limits,
    ) -> wasmtime::Result<Run> {
        let stderr = MemoryOutputPipe::new(STDERR_BYTES);
        let mut store = Store::new(
            self.pre.module().engine(),
            Guest {
                wasi: WasiCtxBuilder::new().stderr(stderr.clone()).build_p1(),
                operation: operation.as_bytes().to_vec(),
                payload: payload.to_vec(),
                response: None,
                error: None,
                host_error: String::new(),
                log: log.cloned(),
            },
        );
        if let Some(fuel) = limits.fuel {
            store.set_fuel(fuel)?;
        }
        let mut run = Run {
            outcome: Outcome::Interrupted,
            stderr: String::new(),
            refused: None,
            fuel: None,
            memory: 0,
            written_pages: 0,
            start: Duration::ZERO,
            call: Duration::ZERO,
        };
        run.outcome = self.drive(&mut store, limits, &mut run);
        run.stderr = String::from_utf8_lossy(&stderr.contents()).into_owned();
        let refused = std::mem::take(&mut store.data_mut().host_error);
        run.refused = (!refused.is_empty()).then_some(refused);
        run.fuel = limits.fuel.and_then(|all| Some(all - store.get_fuel().ok()?));
        Ok(run)
    }

    fn drive(&self, store: &mut Store<Guest>, limits: &Limits, run: &mut Run) -> Outcome {
        let arm = |store: &mut Store<Guest>| {
            if let Some(epochs) = limits.epochs {
                store.set_epoch_deadline(epochs);
            }
        };
        let began = Instant::now();
        arm(store);
        let instance = match self.pre.instantiate(&mut *store) {
            Ok(instance) => instance,
            Err(error) => return Outcome::NotStarted(reason(&error)),
        };
        let memory = instance.get_memory(&mut *store, "memory");
        // Neither this nor the comparison is in a time that anybody looks at.
        let before = memory.filter(|_| limits.fuel.is_some()).map(|memory| memory.data(&*store).to_vec());
        for name in START_FUNCTIONS {
            arm(store);
            let Ok(start) = instance.get_typed_func::<(), ()>(&mut *store, name) else {
                continue;
            };
            match start.call(&mut *store, ()) {
                Err(error) if !is_clean_exit(&error) => {
                    return Outcome::NotStarted(format!("`{name}`: {}", reason(&error)));
                }
                _ => {}
            }
        }
        run.start = began.elapsed();

        let call = match instance.get_typed_func::<(i32, i32), i32>(&mut *store, "__guest_call") {
            Ok(call) => call,
            Err(error) => return Outcome::NotStarted(error.to_string()),
        };
        let lengths = (length(store.data().operation.len()), length(store.data().payload.len()));
        arm(store);
        let began = Instant::now();
        let result = call.call(&mut *store, lengths);
        run.call = began.elapsed();
        if let Some(memory) = memory {
            // A linear memory never shrinks, so its size at the end is its peak.
            run.memory = memory.data_size(&*store) as u64;
            run.written_pages = before.map_or(0, |before| written(&before, memory.data(&*store)));
        }
        match result {
            Ok(0) => Outcome::GuestError(
                store
                    .data_mut()
                    .error
                    .take()
                    .unwrap_or_else(|| "No error message set for call failure".to_owned()),
            ),
            Ok(_) => match (store.data_mut().response.take(), store.data_mut().error.take()) {
                (Some(response), _) => Outcome::Response(response),
                (None, Some(error)) => Outcome::GuestError(error),
                (None, None) => {
                    Outcome::GuestError("No error message OR response set for call success".to_owned())
                }
            },
            Err(error) => match error.downcast_ref::<Trap>() {
                Some(Trap::Interrupt | Trap::OutOfFuel) => Outcome::Interrupted,
                _ => Outcome::Trap { reason: reason(&error), backtrace: error.to_string() },
            },
        }
    }
}

/// How many pages are not as they were before; what was not there yet was empty.
fn written(before: &[u8], after: &[u8]) -> u64 {
    const PAGE: usize = 4096;
    let before = before.chunks(PAGE).chain(std::iter::repeat(&[0; PAGE][..]));
    after.chunks(PAGE).zip(before).filter(|(after, before)| after != before).count() as u64
}

/// The innermost cause: around it, wasmtime puts the frames.
fn reason(error: &Error) -> String {
    error.root_cause().to_string()
}

fn is_clean_exit(error: &Error) -> bool {
    error.downcast_ref::<I32Exit>().is_some_and(|exit| exit.0 == 0)
}

/// waPC's lengths are `i32`; a longer payload cannot be in a 32-bit memory.
fn length(bytes: usize) -> i32 {
    i32::try_from(bytes).unwrap_or(i32::MAX)
}

fn link_wapc(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    linker.func_wrap(
        "wapc",
        "__guest_request",
        |mut caller: Caller<'_, Guest>, operation: u32, payload: u32| {
            let memory = memory(&mut caller)?;
            let (bytes, guest) = memory.data_and_store_mut(&mut caller);
            write(bytes, payload, &guest.payload)?;
            write(bytes, operation, &guest.operation)
        },
    )?;
    linker.func_wrap("wapc", "__guest_response", |mut caller: Caller<'_, Guest>, at: u32, length: u32| {
        let bytes = read(&mut caller, at, length)?;
        caller.data_mut().response = Some(bytes);
        Ok(())
    })?;
    linker.func_wrap("wapc", "__guest_error", |mut caller: Caller<'_, Guest>, at: u32, length: u32| {
        let bytes = read(&mut caller, at, length)?;
        caller.data_mut().error = Some(String::from_utf8_lossy(&bytes).into_owned());
        Ok(())
    })?;
    linker.func_wrap("wapc", "__console_log", |mut caller: Caller<'_, Guest>, at: u32, length: u32| {
        read(&mut caller, at, length).map(drop)
    })?;
    linker.func_wrap(
        "wapc",
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
            let binding = read_text(&mut caller, binding, binding_length)?;
            let namespace = read_text(&mut caller, namespace, namespace_length)?;
            let operation = read_text(&mut caller, operation, operation_length)?;
            let payload = read(&mut caller, payload, payload_length)?;
            let guest = caller.data_mut();
            match host_call(guest.log.as_ref(), &binding, &namespace, &operation, &payload) {
                Ok(_) => Ok(1),
                Err(refusal) => {
                    guest.host_error = refusal;
                    Ok(0)
                }
            }
        },
    )?;
    // The only capability, logging, answers with nothing.
    linker.func_wrap("wapc", "__host_response", |_: u32| {})?;
    linker.func_wrap("wapc", "__host_response_len", || 0_u32)?;
    linker.func_wrap("wapc", "__host_error", |mut caller: Caller<'_, Guest>, at: u32| {
        let memory = memory(&mut caller)?;
        let (bytes, guest) = memory.data_and_store_mut(&mut caller);
        write(bytes, at, guest.host_error.as_bytes())
    })?;
    linker.func_wrap("wapc", "__host_error_len", |caller: Caller<'_, Guest>| {
        length(caller.data().host_error.len())
    })?;
    Ok(())
}

fn memory(caller: &mut Caller<'_, Guest>) -> wasmtime::Result<Memory> {
    caller
        .get_export("memory")
        .and_then(Extern::into_memory)
        .ok_or_else(|| Error::msg("the guest exports no `memory`"))
}

fn read(caller: &mut Caller<'_, Guest>, at: u32, length: u32) -> wasmtime::Result<Vec<u8>> {
    let memory = memory(caller)?;
    let at = at as usize;
    memory
        .data(&*caller)
        .get(at..at.saturating_add(length as usize))
        .map(<[u8]>::to_vec)
        .ok_or_else(|| Error::msg("the guest passed an address outside of its memory"))
}

fn read_text(caller: &mut Caller<'_, Guest>, at: u32, length: u32) -> wasmtime::Result<String> {
    Ok(String::from_utf8_lossy(&read(caller, at, length)?).into_owned())
}

fn write(memory: &mut [u8], at: u32, bytes: &[u8]) -> wasmtime::Result<()> {
    let at = at as usize;
    memory
        .get_mut(at..at.saturating_add(bytes.len()))
        .ok_or_else(|| Error::msg("the guest passed an address outside of its memory"))?
        .copy_from_slice(bytes);
    Ok(())
}
