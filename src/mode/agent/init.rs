//! The init container waits for the agent, registers the pod and writes Envoy's bootstrap
//! configuration.

use k8s_openapi::api::core::v1::Container;

use super::injection::Injection;
use super::names::INIT;
use super::service_defaults::ServiceDefaults;
use super::{scripts, volumes};
use crate::mode::shared::env::{expanded, field, literal};

pub fn container(injection: &Injection<'_>) -> anyhow::Result<Container> {
    let settings = injection.settings;
    // Referenced in the registration.
    let mut env = vec![field("POD_NAMESPACE", "metadata.namespace")];
    env.extend(injection.agent_env());
    env.extend(injection.bootstrap_env());
    env.push(expanded("CONNECT_INJECT_REGISTRATION", &injection.registration));
    // The lifecycle sidecar reads it from the shared volume.
    if let Some(tls) = &settings.tls {
        env.push(literal("CONNECT_INJECT_TLS_CA", &tls.ca_cert));
    }
    if let Some(entry) = ServiceDefaults::new(injection.service, injection.namespace) {
        env.push(literal("CONNECT_INJECT_SERVICE_DEFAULTS", &serde_json::to_string(&entry)?));
    }
    if let Some(namespace) = injection.namespace {
        env.push(literal("CONNECT_INJECT_NAMESPACE_DOCUMENT", &namespace.creation_request()?));
    }
    Ok(Container {
        command: Some(scripts::init(injection)),
        env: Some(env),
        volume_mounts: Some(volumes::consul_mounts(settings)),
        ..injection.container(INIT, &settings.image_consul, &settings.init_resources)
    })
}
