//! Consul's sidecar injection as a Kubewarden policy. This file has only the entry points that
//! the policy server calls.
//!
//! <https://docs.kubewarden.io/reference/spec/intro-spec> describes the calls.

#![deny(unsafe_code)]

pub mod admission;
pub mod annotations;
pub mod configuration;
pub mod consul;
pub mod gate;
pub mod json;
pub mod k8s;
pub mod mode;
pub mod nearest;
pub mod problem;
pub mod reason;
pub mod request;
pub mod response;
pub mod review;
pub mod settings;
pub mod text;
pub mod warning;

#[cfg(target_arch = "wasm32")]
mod guest {
    use anyhow::Context as _;
    use kubewarden_policy_sdk::{protocol_version_guest, wapc_guest};
    use wapc_guest::{CallResult, host_call, register_function};

    use crate::admission;
    use crate::response::LogLine;

    /// Called once by the host before anything else.
    // The symbol's name is the waPC guest ABI.
    #[expect(unsafe_code)]
    #[unsafe(no_mangle)]
    pub extern "C" fn wapc_init() {
        register_function("validate", validate);
        register_function("validate_settings", validate_settings);
        register_function("protocol_version", protocol_version_guest);
    }

    fn validate(payload: &[u8]) -> CallResult {
        let answer = admission::validate(payload);
        log(answer.log.as_ref())?;
        Ok(serde_json::to_vec(&answer.response).context("the response")?)
    }

    fn validate_settings(payload: &[u8]) -> CallResult {
        let (response, line) = admission::validate_settings(payload);
        log(line.as_ref())?;
        Ok(serde_json::to_vec(&response)?)
    }

    fn log(line: Option<&LogLine>) -> serde_json::Result<()> {
        if let Some(line) = line {
            // A failed log call must not change the answer.
            let _ = host_call("kubewarden", "tracing", "log", &serde_json::to_vec(line)?);
        }
        Ok(())
    }
}
