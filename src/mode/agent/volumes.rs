//! The volumes of the injected containers, and where they are mounted.

use k8s_openapi::api::core::v1::{
    EmptyDirVolumeSource, ProjectedVolumeSource, ServiceAccountTokenProjection, Volume, VolumeMount,
    VolumeProjection,
};

use super::names::{DATA_VOLUME, NO_TOKEN_VOLUME, TOKEN_VOLUME};
use super::settings::Settings;

pub const DATA_PATH: &str = "/consul/connect-inject";
/// Where Kubernetes mounts service-account tokens.
const TOKEN_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
const TOKEN_SECONDS: i64 = 3600;

pub fn volumes(settings: &Settings) -> Vec<Volume> {
    let mut volumes = vec![in_memory(DATA_VOLUME), in_memory(NO_TOKEN_VOLUME)];
    if settings.acl_auth_method.is_some() {
        volumes.push(token());
    }
    volumes
}

/// The mounts of the containers that talk to Consul.
pub fn consul_mounts(settings: &Settings) -> Vec<VolumeMount> {
    let token = if settings.acl_auth_method.is_some() { TOKEN_VOLUME } else { NO_TOKEN_VOLUME };
    vec![mount(DATA_VOLUME, DATA_PATH), read_only(mount(token, TOKEN_PATH))]
}

pub fn envoy_mounts() -> Vec<VolumeMount> {
    vec![read_only(mount(DATA_VOLUME, DATA_PATH)), read_only(mount(NO_TOKEN_VOLUME, TOKEN_PATH))]
}

/// In memory, since the cluster autoscaler does not remove nodes with pods that have an
/// emptyDir on disk.
fn in_memory(name: &str) -> Volume {
    let directory = EmptyDirVolumeSource { medium: Some("Memory".to_owned()), ..Default::default() };
    Volume { name: name.to_owned(), empty_dir: Some(directory), ..Default::default() }
}

fn token() -> Volume {
    let token = ServiceAccountTokenProjection {
        path: "token".to_owned(),
        expiration_seconds: Some(TOKEN_SECONDS),
        ..Default::default()
    };
    let source = VolumeProjection { service_account_token: Some(token), ..Default::default() };
    let projected = ProjectedVolumeSource { default_mode: Some(0o444), sources: Some(vec![source]) };
    Volume { name: TOKEN_VOLUME.to_owned(), projected: Some(projected), ..Default::default() }
}

fn mount(name: &str, path: &str) -> VolumeMount {
    VolumeMount { name: name.to_owned(), mount_path: path.to_owned(), ..Default::default() }
}

fn read_only(mount: VolumeMount) -> VolumeMount {
    VolumeMount { read_only: Some(true), ..mount }
}
