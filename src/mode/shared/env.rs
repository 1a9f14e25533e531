//! Environment variables of the injected containers.

use k8s_openapi::api::core::v1::{EnvVar, EnvVarSource, ObjectFieldSelector};

use crate::k8s::kubelet;

/// A variable with a literal value.
pub fn literal(name: &str, value: &str) -> EnvVar {
    expanded(name, &kubelet::literal(value))
}

/// A variable whose value may refer to earlier variables.
pub fn expanded(name: &str, value: &str) -> EnvVar {
    EnvVar { name: name.to_owned(), value: Some(value.to_owned()), value_from: None }
}

/// A variable with the value of a field of the pod.
///
/// <https://kubernetes.io/docs/concepts/workloads/pods/downward-api/>
pub fn field(name: &str, path: &str) -> EnvVar {
    let selector = ObjectFieldSelector { api_version: None, field_path: path.to_owned() };
    let source = EnvVarSource { field_ref: Some(selector), ..Default::default() };
    EnvVar { name: name.to_owned(), value: None, value_from: Some(source) }
}
