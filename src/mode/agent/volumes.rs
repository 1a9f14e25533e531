//! The volumes of the injected containers, and where they are mounted.

use k8s_openapi::api::core::v1::VolumeMount;

use super::names::NO_TOKEN_VOLUME;
use super::settings::Settings;
use crate::mode::shared::volumes::{
    DATA, DATA_PATH, TOKEN, TOKEN_PATH, Volume, in_memory, mount, read_only, token,
};

pub fn volumes(settings: &Settings) -> Vec<Volume> {
    let mut volumes = vec![in_memory(DATA), in_memory(NO_TOKEN_VOLUME)];
    if settings.acl_auth_method.is_some() {
        volumes.push(token());
    }
    volumes
}

/// The mounts of the containers that call Consul.
pub fn consul_mounts(settings: &Settings) -> Vec<VolumeMount> {
    let token = if settings.acl_auth_method.is_some() { TOKEN } else { NO_TOKEN_VOLUME };
    vec![mount(DATA, DATA_PATH), read_only(mount(token, TOKEN_PATH))]
}

pub fn envoy_mounts() -> Vec<VolumeMount> {
    vec![read_only(mount(DATA, DATA_PATH)), read_only(mount(NO_TOKEN_VOLUME, TOKEN_PATH))]
}
