//! Runs a module in the interpreter: a fresh instance for each call.

use std::time::{Duration, Instant};

use wasmi::{
    CompilationMode, Config, Engine, Instance, Linker, Module, Store, TypedFunc, TypedResumableCall,
    WasmParams, WasmResults,
};

use crate::{log::LogSink, wapc, wasi};

/// Fuel is handed out in portions that last some milliseconds; the clock is checked in between.
const PORTION: u64 = 5_000_000;
/// The recursion depth that the policy server's stack of 512 KiB allows.
const RECURSION_DEPTH: usize = 10_000;
/// waPC's start functions, in the order in which they are called.
const START_FUNCTIONS: [&str; 3] = ["_start", "_initialize", "wapc_init"];

/// The state of a call that the host's functions share.
#[derive(Default)]
pub(crate) struct Guest {
    pub operation: Vec<u8>,
    pub payload: Vec<u8>,
    pub response: Option<Vec<u8>>,
    pub error: Option<String>,
    /// Why the last host call was refused.
    pub refused: Option<String>,
    pub stderr: Vec<u8>,
    pub log: Option<LogSink>,
}

/// The outcome of a call.
pub(crate) enum Outcome {
    Response(Vec<u8>),
    GuestError(String),
    Trap(String),
    Interrupted,
    /// The instance could not be created, or a start function failed.
    NotStarted(String),
}

/// One call and its cost, from instantiation to response.
pub(crate) struct Run {
    pub outcome: Outcome,
    pub stderr: String,
    /// A host capability that the guest called and this host does not offer.
    pub refused: Option<String>,
    pub fuel: u64,
    pub memory: u64,
    pub time: Duration,
}

/// Why a function of the guest did not return.
enum Stop {
    Interrupted,
    Exit(i32),
    Trap(String),
}

/// A module that is ready to be instantiated.
pub(crate) struct Runner {
    engine: Engine,
    module: Module,
    linker: Linker<Guest>,
}

/// Reads a module.
pub(crate) fn parse(wasm: &[u8]) -> Result<Module, wasmi::Error> {
    let mut config = Config::default();
    config.consume_fuel(true);
    config.set_max_recursion_depth(RECURSION_DEPTH);
    // With lazy compilation, a function's first call would also cost the fuel of its translation.
    config.compilation_mode(CompilationMode::Eager);
    Module::new(&Engine::new(&config), wasm)
}

impl Runner {
    /// Links a module; an import that this host does not have is an error.
    pub(crate) fn new(module: Module) -> Result<Self, wasmi::Error> {
        let engine = module.engine().clone();
        let mut linker = Linker::new(&engine);
        wapc::link(&mut linker)?;
        wasi::link(&mut linker, &module)?;
        let runner = Self { engine, module, linker };
        runner.instantiate(&mut Call::new(&runner.engine, Guest::default(), None)?)?;
        Ok(runner)
    }

    /// Calls an operation in a fresh instance. The time limit applies to each function separately.
    pub(crate) fn run(
        &self,
        operation: &str,
        payload: &[u8],
        log: Option<&LogSink>,
        limit: Option<Duration>,
    ) -> Result<Run, wasmi::Error> {
        let guest = Guest {
            operation: operation.as_bytes().to_vec(),
            payload: payload.to_vec(),
            log: log.cloned(),
            ..Guest::default()
        };
        let began = Instant::now();
        let mut call = Call::new(&self.engine, guest, limit)?;
        let (outcome, memory) = match self.instantiate(&mut call) {
            Ok(instance) => {
                let outcome = call.ask(instance);
                // A linear memory never shrinks, so its size at the end is its peak.
                let memory = instance.get_memory(&call.store, "memory");
                (outcome, memory.map_or(0, |memory| memory.data_size(&call.store) as u64))
            }
            Err(error) => (Outcome::NotStarted(error.to_string()), 0),
        };
        let time = began.elapsed();
        let fuel = call.given - call.store.get_fuel()?;
        let guest = call.store.into_data();
        let stderr = String::from_utf8_lossy(&guest.stderr).into_owned();
        Ok(Run { outcome, stderr, refused: guest.refused, fuel, memory, time })
    }

    fn instantiate(&self, call: &mut Call) -> Result<Instance, wasmi::Error> {
        self.linker.instantiate_and_start(&mut call.store, &self.module)
    }
}

/// A call in progress.
struct Call {
    store: Store<Guest>,
    limit: Option<Duration>,
    /// All fuel handed out so far.
    given: u64,
}

impl Call {
    fn new(engine: &Engine, guest: Guest, limit: Option<Duration>) -> Result<Self, wasmi::Error> {
        let mut call = Self { store: Store::new(engine, guest), limit, given: 0 };
        call.give(PORTION)?;
        Ok(call)
    }

    fn give(&mut self, fuel: u64) -> Result<(), wasmi::Error> {
        let left = self.store.get_fuel()?;
        self.given += fuel;
        self.store.set_fuel(left + fuel)
    }

    /// waPC's sequence: the start functions, then the operation.
    fn ask(&mut self, instance: Instance) -> Outcome {
        for name in START_FUNCTIONS {
            let Ok(start) = instance.get_typed_func::<(), ()>(&self.store, name) else { continue };
            match self.invoke(start, ()) {
                Ok(()) | Err(Stop::Exit(0)) => {}
                Err(Stop::Interrupted) => return Outcome::Interrupted,
                Err(stop) => return Outcome::NotStarted(format!("`{name}`: {}", stop.reason())),
            }
        }
        let guest_call = match instance.get_typed_func::<(i32, i32), i32>(&self.store, "__guest_call") {
            Ok(guest_call) => guest_call,
            Err(error) => return Outcome::NotStarted(error.to_string()),
        };
        let Guest { operation, payload, .. } = self.store.data();
        let lengths = (wapc::length(operation), wapc::length(payload));
        let returned = self.invoke(guest_call, lengths);
        let guest = self.store.data_mut();
        match (returned, guest.response.take(), guest.error.take()) {
            (Err(Stop::Interrupted), ..) => Outcome::Interrupted,
            (Err(stop), ..) => Outcome::Trap(stop.reason()),
            (Ok(0), _, error) => {
                Outcome::GuestError(error.unwrap_or("No error message set for call failure".to_owned()))
            }
            (Ok(_), Some(response), _) => Outcome::Response(response),
            (Ok(_), None, Some(error)) => Outcome::GuestError(error),
            (Ok(_), None, None) => {
                Outcome::GuestError("No error message OR response set for call success".to_owned())
            }
        }
    }

    /// Calls a function until it returns or its time limit is reached.
    fn invoke<P: WasmParams, R: WasmResults>(
        &mut self,
        function: TypedFunc<P, R>,
        parameters: P,
    ) -> Result<R, Stop> {
        let began = Instant::now();
        let mut state = function.call_resumable(&mut self.store, parameters);
        loop {
            match state? {
                TypedResumableCall::Finished(results) => return Ok(results),
                TypedResumableCall::HostTrap(trap) => return Err(trap.host_error().into()),
                TypedResumableCall::OutOfFuel(paused) => {
                    if self.limit.is_some_and(|limit| began.elapsed() >= limit) {
                        return Err(Stop::Interrupted);
                    }
                    self.give(PORTION.max(paused.required_fuel()))?;
                    state = paused.resume(&mut self.store);
                }
            }
        }
    }
}

impl Stop {
    fn reason(self) -> String {
        match self {
            Self::Interrupted => "interrupted".to_owned(),
            Self::Exit(status) => format!("Exited with i32 exit status {status}"),
            Self::Trap(reason) => reason,
        }
    }
}

impl From<&wasmi::Error> for Stop {
    fn from(error: &wasmi::Error) -> Self {
        match (error.i32_exit_status(), error.as_trap_code()) {
            (Some(status), _) => Self::Exit(status),
            (None, Some(code)) => Self::Trap(format!("wasm trap: {code}")),
            (None, None) => Self::Trap(error.to_string()),
        }
    }
}

impl From<wasmi::Error> for Stop {
    fn from(error: wasmi::Error) -> Self {
        Self::from(&error)
    }
}
