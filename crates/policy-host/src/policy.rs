//! A policy, loaded once and called in a fresh instance each time.

use std::{
    fs,
    path::Path,
    sync::{Arc, OnceLock},
    thread,
    time::Duration,
};

use serde_json::Value;
use wapc::WapcHost;
use wasmtime::{Cache, CacheConfig, Config, Engine, EngineWeak, Module};
use wasmtime_provider::{EpochDeadlines, WasmtimeEngineProviderBuilder, WasmtimeEngineProviderPre};

use crate::{
    bare::{Limits, Outcome, Runner},
    error::{CallError, LoadError},
    log::{LogSink, Logs, host_call},
    module::{self, Metadata},
    request::ValidateRequest,
    response::{AdmissionResponse, PolicyAnswer, SettingsAnswer},
};

/// The policy server's own limit.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(2);
/// How exact the limit is.
const TICK: Duration = Duration::from_millis(50);
/// Fuel of a measured call: far above what any request takes, and still only
/// seconds of an endless loop.
const FUEL: u64 = 5_000_000_000;

/// What the provider says when the deadline passed; it has no type for it.
const DEADLINE_EXCEEDED: &str = "execution deadline exceeded";
/// How the provider's text of a trap begins; the trap itself is not in it.
const TRAPPED: &str = "error while executing at wasm backtrace";

/// How a policy is loaded.
#[derive(Clone)]
pub struct PolicyBuilder {
    timeout: Option<Duration>,
    cache: bool,
    log: Option<LogSink>,
}

impl Default for PolicyBuilder {
    fn default() -> Self {
        Self { timeout: Some(DEFAULT_TIMEOUT), cache: true, log: None }
    }
}

impl PolicyBuilder {
    /// How long a call may take; `None` for as long as it likes.
    #[must_use]
    pub fn timeout(mut self, timeout: Option<Duration>) -> Self {
        self.timeout = timeout;
        self
    }

    /// Whether the compiled module is kept on disk, so that loading the same
    /// policy again takes milliseconds. On by default.
    #[must_use]
    pub fn cache(mut self, cache: bool) -> Self {
        self.cache = cache;
        self
    }

    /// Who gets the lines that the guest logs.
    #[must_use]
    pub fn log(mut self, sink: LogSink) -> Self {
        self.log = Some(sink);
        self
    }

    /// Loads a policy from a file.
    pub fn path(self, path: impl AsRef<Path>) -> Result<Policy, LoadError> {
        let path = path.as_ref();
        let wasm = fs::read(path).map_err(|source| LoadError::Read { path: path.to_owned(), source })?;
        self.bytes(&wasm)
    }

    /// Loads a policy from its bytes.
    pub fn bytes(self, wasm: &[u8]) -> Result<Policy, LoadError> {
        let metadata = module::inspect(wasm)?;
        let mut config = Config::new();
        config.epoch_interruption(self.timeout.is_some());
        if self.cache {
            // Without a folder to put it in there is no cache, and no harm.
            config.cache(Cache::new(CacheConfig::new()).ok());
        }
        let engine = Engine::new(&config).map_err(|error| LoadError::Runtime(error.to_string()))?;
        let compiled =
            Module::new(&engine, wasm).map_err(|error| LoadError::NotWasm(format!("{error:#}")))?;
        let pre = WasmtimeEngineProviderBuilder::new()
            .engine(engine.clone())
            .module(compiled.clone())
            .build_pre()
            .map_err(|error| LoadError::NotPolicy(error.to_string()))?;
        if self.timeout.is_some() {
            keep_ticking(engine.weak());
        }
        Ok(Policy {
            loaded: Arc::new(Loaded {
                wasm: wasm.to_vec(),
                metadata,
                engine,
                module: compiled,
                pre,
                timeout: self.timeout,
                observed: OnceLock::new(),
                metered: OnceLock::new(),
            }),
            log: self.log,
        })
    }
}

struct Loaded {
    wasm: Vec<u8>,
    metadata: Option<Metadata>,
    engine: Engine,
    module: Module,
    pre: WasmtimeEngineProviderPre,
    timeout: Option<Duration>,
    observed: OnceLock<Result<Runner, String>>,
    /// Fuel is counted by code in the compiled module, so a measured call has a
    /// module of its own.
    metered: OnceLock<Result<Runner, String>>,
}

/// A loaded policy. Cheap to clone, and callable from many threads at once.
#[derive(Clone)]
pub struct Policy {
    loaded: Arc<Loaded>,
    log: Option<LogSink>,
}

/// An instance of a policy. The policy server makes one for each call.
pub struct Instance<'p> {
    policy: &'p Policy,
    host: WapcHost,
}

impl Instance<'_> {
    /// As [`Policy::call`].
    pub fn call(&self, operation: &str, payload: &[u8]) -> Result<Vec<u8>, CallError> {
        self.host.call(operation, payload).map_err(|error| self.policy.explain(operation, payload, &error))
    }
}

/// The response to a request, and why there was no proper one.
#[derive(Debug)]
pub struct Review {
    /// What the API server gets.
    pub response: AdmissionResponse,
    /// The reason, if the policy gave no answer.
    pub failure: Option<CallError>,
}

/// What one call in a fresh instance gave, and what it took.
#[derive(Clone, Debug)]
pub struct Observation {
    /// The guest's response.
    pub response: Vec<u8>,
    /// The linear memory's greatest size, in bytes.
    pub peak_memory: u64,
    /// The time to make an instance and run its start functions.
    pub start: Duration,
    /// The time of the call itself.
    pub call: Duration,
    /// The last host capability that the guest asked for and that there is not.
    pub refused: Option<String>,
}

/// What one call took, its fuel included.
#[derive(Clone, Debug)]
pub struct Measurement {
    /// The guest's response.
    pub response: Vec<u8>,
    /// Units of work, from instantiation to response. The same call takes the
    /// same fuel on every machine.
    pub fuel: u64,
    /// The linear memory's greatest size, in bytes.
    pub peak_memory: u64,
    /// Pages of 4 KiB that the instance wrote to: each costs the host a fault.
    pub written_pages: u64,
    /// The time to make an instance and run its start functions.
    pub start: Duration,
    /// The time of the call itself.
    pub call: Duration,
}

impl Policy {
    /// Loads a policy from a file, with the policy server's limits.
    pub fn from_path(path: impl AsRef<Path>) -> Result<Self, LoadError> {
        Self::builder().path(path)
    }

    /// Loads a policy from its bytes, with the policy server's limits.
    pub fn from_bytes(wasm: &[u8]) -> Result<Self, LoadError> {
        Self::builder().bytes(wasm)
    }

    /// Loads a policy with other limits, or with its log lines sent somewhere.
    #[must_use]
    pub fn builder() -> PolicyBuilder {
        PolicyBuilder::default()
    }

    /// The same policy with its log lines sent somewhere else.
    #[must_use]
    pub fn with_log(&self, sink: LogSink) -> Self {
        Self { loaded: Arc::clone(&self.loaded), log: Some(sink) }
    }

    /// The same policy, and its log lines from here on.
    #[must_use]
    pub fn with_logs(&self) -> (Self, Logs) {
        let logs = Logs::default();
        (self.with_log(logs.sink()), logs)
    }

    /// What `kwctl annotate` wrote into the module, if it did.
    #[must_use]
    pub fn metadata(&self) -> Option<&Metadata> {
        self.loaded.metadata.as_ref()
    }

    /// Calls a waPC operation with any bytes, as the policy server would.
    pub fn call(&self, operation: &str, payload: &[u8]) -> Result<Vec<u8>, CallError> {
        self.instance()?.call(operation, payload)
    }

    /// Makes an instance for several calls, as `kwctl bench` does.
    pub fn instance(&self) -> Result<Instance<'_>, CallError> {
        let deadlines = self.epochs().map(|epochs| EpochDeadlines { wapc_init: epochs, wapc_func: epochs });
        let provider =
            self.loaded.pre.rehydrate(deadlines).map_err(|error| CallError::Start(error.to_string()))?;
        let log = self.log.clone();
        let host = WapcHost::new(
            Box::new(provider),
            Some(Box::new(move |_, binding, namespace, operation, payload| {
                Ok(host_call(log.as_ref(), binding, namespace, operation, payload)?)
            })),
        )
        .map_err(|error| match error {
            wapc::errors::Error::InitFailed(message) => CallError::Start(message),
            other => CallError::Start(other.to_string()),
        })?;
        Ok(Instance { policy: self, host })
    }

    /// Asks the policy about a request. The guest's own answer; see
    /// [`Policy::review`] for what the API server makes of it.
    pub fn validate(&self, request: &ValidateRequest, settings: &Value) -> Result<PolicyAnswer, CallError> {
        self.ask("validate", &request.payload(settings))
    }

    /// Asks the policy about a request, and builds the response to it.
    #[must_use]
    pub fn review(&self, request: &ValidateRequest, settings: &Value) -> Review {
        let uid = request.uid();
        match self.validate(request, settings) {
            Ok(answer) => Review {
                response: AdmissionResponse::from_answer(uid, request.object(), answer),
                failure: None,
            },
            Err(failure) => {
                Review { response: AdmissionResponse::from_failure(uid, &failure), failure: Some(failure) }
            }
        }
    }

    /// Asks the policy whether a policy server would start with these settings.
    pub fn validate_settings(&self, settings: &Value) -> Result<SettingsAnswer, CallError> {
        self.ask("validate_settings", settings.to_string().as_bytes())
    }

    /// The version of Kubewarden's protocol that the policy speaks, as JSON.
    pub fn protocol_version(&self) -> Result<Value, CallError> {
        let answer = self.call("protocol_version", &[])?;
        parse("protocol_version", &answer)
    }

    /// Calls an operation once, as [`Policy::call`] does, and says what it took.
    pub fn observe(&self, operation: &str, payload: &[u8]) -> Result<Observation, CallError> {
        let run = self.bare(operation, payload, self.log.as_ref())?;
        match run.outcome {
            Outcome::Response(response) => Ok(Observation {
                response,
                peak_memory: run.memory,
                start: run.start,
                call: run.call,
                refused: run.refused,
            }),
            other => Err(self.failure(operation, other, run.stderr)),
        }
    }

    /// Calls an operation twice, each time in a fresh instance: for its time,
    /// and for its fuel, since counting fuel takes time.
    pub fn measure(&self, operation: &str, payload: &[u8]) -> Result<Measurement, CallError> {
        let Observation { response, peak_memory, start, call, .. } = self.observe(operation, payload)?;
        let limits = Limits { epochs: None, fuel: Some(FUEL) };
        let metered = self
            .metered()?
            .run(operation, payload, None, &limits)
            .map_err(|error| CallError::Start(error.to_string()))?;
        match metered.outcome {
            Outcome::Response(_) => (),
            Outcome::Interrupted => {
                return Err(CallError::OutOfFuel { operation: operation.to_owned(), limit: FUEL });
            }
            other => return Err(self.failure(operation, other, metered.stderr)),
        }
        let (fuel, written_pages) = (metered.fuel.unwrap_or_default(), metered.written_pages);
        Ok(Measurement { response, fuel, peak_memory, written_pages, start, call })
    }

    fn failure(&self, operation: &str, outcome: Outcome, stderr: String) -> CallError {
        let operation = operation.to_owned();
        match outcome {
            Outcome::GuestError(message) => CallError::Guest { operation, message },
            Outcome::Trap { reason, backtrace } => CallError::Trap { operation, reason, stderr, backtrace },
            Outcome::NotStarted(message) => CallError::Start(message),
            // A response is no failure; the callers have taken it out.
            Outcome::Interrupted | Outcome::Response(_) => {
                CallError::Timeout { operation, limit: self.loaded.timeout.unwrap_or_default() }
            }
        }
    }

    fn ask<T: serde::de::DeserializeOwned>(&self, operation: &str, payload: &[u8]) -> Result<T, CallError> {
        let answer = self.call(operation, payload)?;
        parse(operation, &answer)
    }

    fn epochs(&self) -> Option<u64> {
        let ticks = self.loaded.timeout?.as_millis() / TICK.as_millis();
        // The tick under way may be nearly over.
        Some(u64::try_from(ticks).unwrap_or(u64::MAX - 1).saturating_add(1))
    }

    fn bare(
        &self,
        operation: &str,
        payload: &[u8],
        log: Option<&LogSink>,
    ) -> Result<crate::bare::Run, CallError> {
        let limits = Limits { epochs: self.epochs(), fuel: None };
        self.loaded
            .observed
            .get_or_init(|| {
                Runner::new(&self.loaded.engine, &self.loaded.module).map_err(|error| error.to_string())
            })
            .as_ref()
            .map_err(|error| CallError::Start(error.clone()))?
            .run(operation, payload, log, &limits)
            .map_err(|error| CallError::Start(error.to_string()))
    }

    fn metered(&self) -> Result<&Runner, CallError> {
        self.loaded
            .metered
            .get_or_init(|| {
                let mut config = Config::new();
                config.consume_fuel(true);
                config.cache(Cache::new(CacheConfig::new()).ok());
                Engine::new(&config)
                    .and_then(|engine| {
                        let module = Module::new(&engine, &self.loaded.wasm)?;
                        Runner::new(&engine, &module)
                    })
                    .map_err(|error| error.to_string())
            })
            .as_ref()
            .map_err(|error| CallError::Start(error.clone()))
    }

    /// Finds out what is behind the provider's text. Of a trap it tells only
    /// where, so the call is made once more where the rest can be seen: a guest
    /// without host capabilities does the same thing again.
    fn explain(&self, operation: &str, payload: &[u8], error: &wapc::errors::Error) -> CallError {
        let message = match error {
            wapc::errors::Error::GuestCallFailure(message) => message.clone(),
            other => other.to_string(),
        };
        let operation_name = operation.to_owned();
        if message.contains(DEADLINE_EXCEEDED) {
            return CallError::Timeout {
                operation: operation_name,
                limit: self.loaded.timeout.unwrap_or_default(),
            };
        }
        if !message.starts_with(TRAPPED) {
            return CallError::Guest { operation: operation_name, message };
        }
        let (reason, stderr) = match self.bare(operation, payload, None) {
            Ok(run) => match run.outcome {
                Outcome::Trap { reason, .. } => (reason, run.stderr),
                _ => ("for a reason that did not show again".to_owned(), run.stderr),
            },
            Err(error) => (error.to_string(), String::new()),
        };
        CallError::Trap { operation: operation_name, reason, stderr, backtrace: message }
    }
}

fn parse<T: serde::de::DeserializeOwned>(operation: &str, answer: &[u8]) -> Result<T, CallError> {
    serde_json::from_slice(answer)
        .map_err(|source| CallError::Answer { operation: operation.to_owned(), source })
}

/// Moves the engine's epoch on for as long as the engine is there.
fn keep_ticking(engine: EngineWeak) {
    thread::spawn(move || {
        loop {
            thread::sleep(TICK);
            match engine.upgrade() {
                Some(engine) => engine.increment_epoch(),
                None => return,
            }
        }
    });
}
