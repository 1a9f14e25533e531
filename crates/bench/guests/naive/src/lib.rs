//! A policy as the SDK's types suggest it: decodes the request, adds one container to
//! the pod, and encodes the pod again.

#![cfg(target_arch = "wasm32")]

use k8s_openapi::api::core::v1::Container;
use kubewarden_policy_sdk::request::ValidationRequest;
use kubewarden_policy_sdk::settings::Validatable;
use kubewarden_policy_sdk::wapc_guest::{CallResult, register_function};
use kubewarden_policy_sdk::{accept_request, mutate_request, protocol_version_guest, validate_settings};
use serde::{Deserialize, Serialize};

#[derive(Default, Deserialize, Serialize)]
struct Settings {}

impl Validatable for Settings {
    fn validate(&self) -> Result<(), String> {
        Ok(())
    }
}

// The symbol's name is the waPC guest ABI.
#[unsafe(no_mangle)]
pub extern "C" fn wapc_init() {
    register_function("validate", validate);
    register_function("validate_settings", validate_settings::<Settings>);
    register_function("protocol_version", protocol_version_guest);
}

fn validate(payload: &[u8]) -> CallResult {
    let request: ValidationRequest<Settings> = ValidationRequest::new(payload)?;
    let mut pod = request.request.object;
    let Some(containers) = pod["spec"]["containers"].as_array_mut() else { return accept_request() };
    let sidecar = Container {
        name: "sidecar".into(),
        image: Some("example.com/sidecar:1".into()),
        ..Default::default()
    };
    containers.push(serde_json::to_value(sidecar)?);
    mutate_request(pod)
}
