//! The Consul Connect sidecar injector as a Kubewarden policy: the entry points
//! that the policy server calls, and nothing else.
//!
//! <https://docs.kubewarden.io/reference/spec/intro-spec> describes the calls.

#![deny(unsafe_code)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects, clippy::string_slice))]

pub mod admission;
pub mod annotations;
pub mod consul;
pub mod decision;
pub mod duration;
pub mod env_text;
pub mod nearest;
pub mod pod;
pub mod pod_resources;
pub mod probe;
pub mod problem;
pub mod quantity;
pub mod reason;
pub mod settings;
pub mod sidecar;
pub mod words;
pub mod workload;

#[cfg(target_arch = "wasm32")]
// The signature is waPC's; an error there would reach the user without a message.
#[expect(clippy::unnecessary_wraps)]
mod guest {
    use std::sync::atomic::AtomicU8;

    use kubewarden_policy_sdk::settings::SettingsValidationResponse;
    use kubewarden_policy_sdk::{protocol_version_guest, wapc_guest};
    use wapc_guest::{CallResult, host_call, register_function};

    use crate::admission::{self, LogLine};

    /// Makes the data that is written begin with a page: each page that an instance
    /// writes to costs it a fault. The linker puts this crate's data before all other,
    /// and it is such data since it can be written and is not zero.
    #[used]
    static BEFORE: Page = Page { _not_zero: AtomicU8::new(1) };

    #[repr(align(4096))]
    struct Page {
        _not_zero: AtomicU8,
    }

    /// Called once by the host before anything else.
    // The symbol's name is the waPC guest ABI.
    #[expect(unsafe_code)]
    #[unsafe(no_mangle)]
    pub extern "C" fn wapc_init() {
        work_memory::MEMORY.begin();
        register_function("validate", validate);
        register_function("validate_settings", validate_settings);
        register_function("protocol_version", protocol_version_guest);
        work_memory::MEMORY.keep();
    }

    fn validate(payload: &[u8]) -> CallResult {
        let answer = admission::validate(payload);
        if let Some(line) = &answer.log {
            log(line);
        }
        Ok(answer.response.into_bytes())
    }

    fn validate_settings(payload: &[u8]) -> CallResult {
        let message = admission::validate_settings(payload).err();
        let response = SettingsValidationResponse { valid: message.is_none(), message };
        Ok(serde_json::to_vec(&response)?)
    }

    /// A log line that is lost is no reason to refuse a pod.
    fn log(line: &LogLine) {
        let _ = host_call("kubewarden", "tracing", "log", line.to_json().as_bytes());
    }
}
