//! The lower bound of every policy: accepts, and does not look at the request.

#![cfg(target_arch = "wasm32")]

use kubewarden_policy_sdk::wapc_guest::{CallResult, register_function};
use kubewarden_policy_sdk::{accept_request, protocol_version_guest};

// The symbol's name is the waPC guest ABI.
#[unsafe(no_mangle)]
pub extern "C" fn wapc_init() {
    register_function("validate", |_| accept_request());
    register_function("validate_settings", |_| Ok(br#"{"valid":true}"#.to_vec()) as CallResult);
    register_function("protocol_version", protocol_version_guest);
}
