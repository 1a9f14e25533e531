//! The lower bound of a policy that decodes the pod and encodes it again.

#![cfg(target_arch = "wasm32")]

use kubewarden_policy_sdk::wapc_guest::{CallResult, register_function};
use kubewarden_policy_sdk::{mutate_request, protocol_version_guest};
use serde_json::Value;

// The symbol's name is the waPC guest ABI.
#[unsafe(no_mangle)]
pub extern "C" fn wapc_init() {
    register_function("validate", validate);
    register_function("validate_settings", validate_settings);
    register_function("protocol_version", protocol_version_guest);
}

fn validate(payload: &[u8]) -> CallResult {
    let mut payload: Value = serde_json::from_slice(payload)?;
    mutate_request(payload["request"]["object"].take())
}

fn validate_settings(payload: &[u8]) -> CallResult {
    let _: Value = serde_json::from_slice(payload)?;
    Ok(br#"{"valid":true}"#.to_vec())
}
