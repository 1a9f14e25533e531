//! A policy that is loaded once and called in a fresh instance each time.

use std::{fs, path::Path, sync::Arc, time::Duration};

use serde_json::Value;

use crate::{
    error::{CallError, LoadError},
    log::{LogSink, Logs},
    module::{self, Metadata},
    request::AdmissionRequest,
    response::{AdmissionResponse, PolicyAnswer, SettingsAnswer},
    runner::{Outcome, Runner},
};

/// The policy server's default limit.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(2);

/// How a policy is loaded.
#[derive(Clone)]
pub struct PolicyBuilder {
    timeout: Option<Duration>,
    log: Option<LogSink>,
}

impl Default for PolicyBuilder {
    fn default() -> Self {
        Self { timeout: Some(DEFAULT_TIMEOUT), log: None }
    }
}

impl PolicyBuilder {
    /// The time limit of a call; `None` for no limit.
    #[must_use]
    pub fn timeout(mut self, timeout: Option<Duration>) -> Self {
        self.timeout = timeout;
        self
    }

    /// Receives the lines that the guest logs.
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
        let (module, metadata) = module::inspect(wasm)?;
        let runner = Runner::new(module).map_err(|error| LoadError::NotPolicy(error.to_string()))?;
        Ok(Policy { loaded: Arc::new(Loaded { metadata, runner, timeout: self.timeout }), log: self.log })
    }
}

struct Loaded {
    metadata: Option<Metadata>,
    runner: Runner,
    timeout: Option<Duration>,
}

/// A loaded policy. Cheap to clone, and callable from many threads at once.
#[derive(Clone)]
pub struct Policy {
    loaded: Arc<Loaded>,
    log: Option<LogSink>,
}

/// The response to a request, and the error if the policy gave no answer.
#[derive(Debug)]
pub struct Review {
    pub response: AdmissionResponse,
    pub failure: Option<CallError>,
}

/// The result of one call, and its cost from instantiation to response.
#[derive(Clone, Debug)]
pub struct Observation {
    pub response: Vec<u8>,
    /// Units of work, about one for each WebAssembly instruction: the same on every machine.
    pub fuel: u64,
    /// The peak size of the linear memory, in bytes.
    pub peak_memory: u64,
    /// The time in this host's interpreter.
    pub time: Duration,
    /// The last host capability that the guest called and this host does not offer.
    pub refused: Option<String>,
}

impl Policy {
    /// Loads a policy from a file, with the policy server's limits.
    pub fn from_path(path: impl AsRef<Path>) -> Result<Self, LoadError> {
        Self::builder().path(path)
    }

    /// Loads a policy with these limits and this sink for its log lines.
    pub fn builder() -> PolicyBuilder {
        PolicyBuilder::default()
    }

    /// The same policy, and a collection of its log lines.
    pub fn with_logs(&self) -> (Self, Logs) {
        let logs = Logs::default();
        (Self { loaded: Arc::clone(&self.loaded), log: Some(logs.sink()) }, logs)
    }

    /// The metadata of `kwctl annotate`, if the module has any.
    pub fn metadata(&self) -> Option<&Metadata> {
        self.loaded.metadata.as_ref()
    }

    /// Calls a waPC operation with any payload, as the policy server would.
    pub fn call(&self, operation: &str, payload: &[u8]) -> Result<Vec<u8>, CallError> {
        self.observe(operation, payload).map(|observation| observation.response)
    }

    /// Like [`Policy::call`], and measures the cost.
    pub fn observe(&self, operation: &str, payload: &[u8]) -> Result<Observation, CallError> {
        let run = self
            .loaded
            .runner
            .run(operation, payload, self.log.as_ref(), self.loaded.timeout)
            .map_err(|error| CallError::Start(error.to_string()))?;
        let operation = operation.to_owned();
        match run.outcome {
            Outcome::Response(response) => Ok(Observation {
                response,
                fuel: run.fuel,
                peak_memory: run.memory,
                time: run.time,
                refused: run.refused,
            }),
            Outcome::GuestError(message) => Err(CallError::Guest { operation, message }),
            Outcome::Trap(reason) => Err(CallError::Trap { operation, reason, stderr: run.stderr }),
            Outcome::Interrupted => {
                let limit = self.loaded.timeout.unwrap_or_default();
                Err(CallError::Timeout { operation, limit })
            }
            Outcome::NotStarted(message) => Err(CallError::Start(message)),
        }
    }

    /// Calls `validate` and returns the guest's own answer. [`Policy::review`] turns it into
    /// the response to the API server.
    pub fn validate(&self, request: &AdmissionRequest, settings: &Value) -> Result<PolicyAnswer, CallError> {
        self.ask("validate", &request.payload(settings))
    }

    /// Calls `validate` and builds the response to the API server.
    pub fn review(&self, request: &AdmissionRequest, settings: &Value) -> Review {
        let uid = &request.uid;
        match self.validate(request, settings) {
            Ok(answer) => Review {
                response: AdmissionResponse::from_answer(uid, request.object.as_ref(), answer),
                failure: None,
            },
            Err(failure) => {
                Review { response: AdmissionResponse::from_failure(uid, &failure), failure: Some(failure) }
            }
        }
    }

    /// Calls `validate_settings`, as a policy server does when it starts.
    pub fn validate_settings(&self, settings: &Value) -> Result<SettingsAnswer, CallError> {
        self.ask("validate_settings", settings.to_string().as_bytes())
    }

    fn ask<T: serde::de::DeserializeOwned>(&self, operation: &str, payload: &[u8]) -> Result<T, CallError> {
        let answer = self.call(operation, payload)?;
        serde_json::from_slice(&answer)
            .map_err(|source| CallError::Answer { operation: operation.to_owned(), source })
    }
}
