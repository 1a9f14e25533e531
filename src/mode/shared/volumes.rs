//! The volumes of the injected containers, and where they are mounted.

use k8s_openapi::api::core::v1::{
    EmptyDirVolumeSource, ProjectedVolumeSource, SecretVolumeSource, ServiceAccountTokenProjection,
    VolumeMount, VolumeProjection,
};
use serde::Serialize;

/// A volume of the pod, with the one source that it has.
#[derive(Debug, Serialize)]
pub struct Volume {
    pub name: String,
    #[serde(flatten)]
    source: Source,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
enum Source {
    EmptyDir(EmptyDirVolumeSource),
    Projected(ProjectedVolumeSource),
    Secret(SecretVolumeSource),
}

/// The volume that the injected containers share.
pub const DATA: &str = "consul-connect-inject-data";
pub const DATA_PATH: &str = "/consul/connect-inject";
/// The volume with the token for Consul's auth method.
pub const TOKEN: &str = "consul-connect-inject-token";
/// The path at which Kubernetes mounts service account tokens.
pub const TOKEN_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
const TOKEN_SECONDS: i64 = 3600;

/// A volume in memory: the cluster autoscaler does not remove nodes with pods that have an emptyDir
/// on disk.
pub fn in_memory(name: &str) -> Volume {
    let directory = EmptyDirVolumeSource { medium: Some("Memory".to_owned()), ..Default::default() };
    Volume { name: name.to_owned(), source: Source::EmptyDir(directory) }
}

/// A volume on disk, for files whose size has no limit.
pub fn on_disk(name: &str) -> Volume {
    Volume { name: name.to_owned(), source: Source::EmptyDir(EmptyDirVolumeSource::default()) }
}

/// A token of the pod's service account, only for the injected containers.
pub fn token() -> Volume {
    let token = ServiceAccountTokenProjection {
        path: "token".to_owned(),
        expiration_seconds: Some(TOKEN_SECONDS),
        ..Default::default()
    };
    let source = VolumeProjection { service_account_token: Some(token), ..Default::default() };
    let projected = ProjectedVolumeSource { default_mode: Some(0o444), sources: Some(vec![source]) };
    Volume { name: TOKEN.to_owned(), source: Source::Projected(projected) }
}

pub fn secret(name: &str, secret: &str) -> Volume {
    let source = SecretVolumeSource { secret_name: Some(secret.to_owned()), ..Default::default() };
    Volume { name: name.to_owned(), source: Source::Secret(source) }
}

pub fn mount(name: &str, path: &str) -> VolumeMount {
    VolumeMount { name: name.to_owned(), mount_path: path.to_owned(), ..Default::default() }
}

pub fn read_only(mount: VolumeMount) -> VolumeMount {
    VolumeMount { read_only: Some(true), ..mount }
}
