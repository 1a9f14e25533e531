//! The lifecycle sidecar sends the pod's heartbeat to the agent.

use k8s_openapi::api::core::v1::Container;

use super::injection::{Injection, number};
use super::names::LIFECYCLE;
use super::{scripts, volumes};
use crate::mode::shared::env::{field, literal};

pub fn container(injection: &Injection<'_>) -> Container {
    let settings = injection.settings;
    let mut env = injection.agent_env();
    // It may have to log in again and write a new bootstrap configuration.
    if settings.acl_auth_method.is_some() {
        env.push(field("POD_NAMESPACE", "metadata.namespace"));
        env.extend(injection.bootstrap_env());
    }
    env.push(literal("CONNECT_INJECT_SYNC_PERIOD", &injection.service.sync_period.as_seconds()));
    env.extend(injection.listener_port.map(|port| number("CONNECT_INJECT_LISTENER_PORT", port)));
    match settings.native_sidecars {
        true => env.push(number("CONNECT_INJECT_ENVOY_PORT", injection.ports.public)),
        false => env.extend(injection.linger_env()),
    }
    Container {
        command: Some(scripts::lifecycle(injection)),
        env: Some(env),
        lifecycle: Some(scripts::lifecycle_hooks(settings.native_sidecars)),
        restart_policy: injection.sidecar_restart_policy(),
        volume_mounts: Some(volumes::consul_mounts(settings)),
        ..injection.container(LIFECYCLE, &settings.image_consul, &settings.lifecycle_resources)
    }
}
