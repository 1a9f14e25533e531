//! The volumes of the injected containers, and where they are mounted.

use k8s_openapi::api::core::v1::{
    EmptyDirVolumeSource, ProjectedVolumeSource, ServiceAccountTokenProjection, Volume, VolumeMount,
    VolumeProjection,
};

/// What the injected containers share.
pub const DATA: &str = "consul-connect-inject-data";
pub const DATA_PATH: &str = "/consul/connect-inject";
/// The pod's identity for Consul's auth method.
pub const TOKEN: &str = "consul-connect-inject-token";
/// Where Kubernetes mounts service-account tokens.
pub const TOKEN_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
const TOKEN_SECONDS: i64 = 3600;

/// In memory, since the cluster autoscaler does not remove nodes with pods that have an
/// emptyDir on disk.
pub fn in_memory(name: &str) -> Volume {
    let directory = EmptyDirVolumeSource { medium: Some("Memory".to_owned()), ..Default::default() };
    Volume { name: name.to_owned(), empty_dir: Some(directory), ..Default::default() }
}

/// A token of the pod's service account for the injected containers alone.
pub fn token() -> Volume {
    let token = ServiceAccountTokenProjection {
        path: "token".to_owned(),
        expiration_seconds: Some(TOKEN_SECONDS),
        ..Default::default()
    };
    let source = VolumeProjection { service_account_token: Some(token), ..Default::default() };
    let projected = ProjectedVolumeSource { default_mode: Some(0o444), sources: Some(vec![source]) };
    Volume { name: TOKEN.to_owned(), projected: Some(projected), ..Default::default() }
}

pub fn mount(name: &str, path: &str) -> VolumeMount {
    VolumeMount { name: name.to_owned(), mount_path: path.to_owned(), ..Default::default() }
}

pub fn read_only(mount: VolumeMount) -> VolumeMount {
    VolumeMount { read_only: Some(true), ..mount }
}
