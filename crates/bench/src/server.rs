//! Calls a module like the policy server: with wasmtime, and a fresh instance of a module
//! that is already compiled and linked.

use std::time::{Duration, Instant};

use wapc::WapcHost;
use wasmtime::{Config, Engine, Module};
use wasmtime_provider::{EpochDeadlines, WasmtimeEngineProviderBuilder, WasmtimeEngineProviderPre};

/// The policy server compiles epoch checks into each policy. The epoch does not change here, so
/// the deadline is never reached.
const DEADLINE: EpochDeadlines = EpochDeadlines { wapc_init: 1, wapc_func: 1 };

/// A module in the policy server's runtime.
pub struct Server(WasmtimeEngineProviderPre);

/// The times of one call.
#[derive(Clone, Copy, Debug)]
pub struct Time {
    /// Instantiation.
    pub instance: Duration,
    /// The call itself.
    pub call: Duration,
}

#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    #[error("the module cannot be loaded: {0}")]
    Load(String),
    #[error(transparent)]
    Call(#[from] wapc::errors::Error),
}

impl Server {
    pub fn new(wasm: &[u8]) -> Result<Self, ServerError> {
        let load = |error: String| ServerError::Load(error);
        let engine =
            Engine::new(Config::new().epoch_interruption(true)).map_err(|error| load(error.to_string()))?;
        let module = Module::new(&engine, wasm).map_err(|error| load(error.to_string()))?;
        let builder = WasmtimeEngineProviderBuilder::new().engine(engine).module(module);
        Ok(Self(builder.build_pre().map_err(|error| load(error.to_string()))?))
    }

    /// Calls an operation. Log lines of the guest are discarded.
    pub fn time(&self, operation: &str, payload: &[u8]) -> Result<Time, ServerError> {
        let began = Instant::now();
        let provider =
            self.0.rehydrate(Some(DEADLINE)).map_err(|error| ServerError::Load(error.to_string()))?;
        let host = WapcHost::new(Box::new(provider), Some(Box::new(|_, _, _, _, _| Ok(Vec::new()))))?;
        let instance = began.elapsed();
        host.call(operation, payload)?;
        Ok(Time { instance, call: began.elapsed() - instance })
    }
}
