//! The data from which the injected containers are built, and their common parts.

use k8s_openapi::api::core::v1::{Container, EnvVar};

use super::ports::EnvoyPorts;
use super::readiness;
use super::registration::{self, Registration};
use super::service_spec::ServiceSpec;
use super::settings::Settings;
use crate::consul::namespace::Namespace;
use crate::k8s::kubelet::EnvText;
use crate::mode::candidate::Candidate;
use crate::mode::shared::env::{expanded, field, literal};
use crate::mode::shared::resources::requirements;
use crate::mode::shared::scrape;
use crate::mode::shared::security::restricted;
use crate::settings::resources::Resources;

/// The user and group of the original injector's containers.
const USER: i64 = 5995;

#[derive(Debug)]
pub struct Injection<'a> {
    pub settings: &'a Settings,
    pub service: &'a ServiceSpec,
    pub namespace: Option<&'a Namespace>,
    pub ports: EnvoyPorts,
    pub service_id: EnvText,
    /// The value of a variable.
    pub registration: String,
    /// The service's port, if only the lifecycle sidecar checks that something listens on it.
    pub listener_port: Option<u16>,
    /// The time between the pod's deletion and the kill signal.
    pub grace_seconds: u64,
}

impl<'a> Injection<'a> {
    pub fn new(
        pod: &Candidate<'_>,
        settings: &'a Settings,
        service: &'a ServiceSpec,
        namespace: Option<&'a Namespace>,
    ) -> serde_json::Result<Self> {
        let ports = EnvoyPorts::choose(service, pod.spec);
        let checked_port = service.port_number().filter(|_| settings.health_checks);
        let readiness = checked_port.and_then(|port| readiness::of_service(port, pod.spec));
        let listener_port = service.port_number().filter(|_| readiness.is_none());
        let registration = Registration::new(service, namespace, ports.public, readiness);
        Ok(Injection {
            settings,
            service,
            namespace,
            ports,
            service_id: registration::service_id(service),
            registration: registration.document()?,
            listener_port,
            grace_seconds: pod.spec.grace_seconds(),
        })
    }

    /// The common parts of a container, without a command.
    pub fn container(&self, name: &str, image: &str, resources: &Resources) -> Container {
        Container {
            name: name.to_owned(),
            image: Some(image.to_owned()),
            image_pull_policy: self.settings.image_pull_policy.clone(),
            resources: Some(requirements(resources)),
            security_context: Some(restricted((!self.settings.openshift).then_some(USER))),
            ..Default::default()
        }
    }

    /// The restart policy of a native sidecar.
    pub fn sidecar_restart_policy(&self) -> Option<String> {
        self.settings.native_sidecars.then(|| "Always".to_owned())
    }

    /// The address of the agent, and the service and tokens that the scripts manage.
    pub fn agent_env(&self) -> Vec<EnvVar> {
        let Settings { tls, agent, acl_auth_method, .. } = self.settings;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let mut env = vec![
            field("POD_NAME", "metadata.name"),
            field("POD_IP", "status.podIP"),
            field("HOST_IP", "status.hostIP"),
            literal("CONNECT_INJECT_AGENT_SCHEME", scheme),
            number("CONNECT_INJECT_AGENT_PORT", agent.http_port),
            expanded("CONNECT_INJECT_SERVICE_ID", self.service_id.as_str()),
        ];
        if let Some(name) = tls.as_ref().and_then(|tls| tls.server_name.as_ref()) {
            env.push(literal("CONNECT_INJECT_TLS_SERVER_NAME", name));
        }
        if let Some(method) = acl_auth_method {
            env.push(literal("CONNECT_INJECT_AUTH_METHOD", method));
            if self.settings.envoy.reads_token_file {
                env.push(literal("CONNECT_INJECT_ENVOY_TOKEN_FILE", "1"));
            }
        }
        if let Some(namespace) = self.namespace {
            env.push(literal("CONNECT_INJECT_NAMESPACE", &namespace.name));
            if acl_auth_method.is_some() {
                env.push(literal("CONNECT_INJECT_LOGIN_NAMESPACE", &namespace.login));
            }
        }
        env
    }

    /// Options for Envoy's bootstrap configuration.
    pub fn bootstrap_env(&self) -> Vec<EnvVar> {
        let mut env = vec![
            number("CONNECT_INJECT_GRPC_PORT", self.settings.agent.grpc_port),
            number("CONNECT_INJECT_ENVOY_ADMIN", self.ports.admin),
        ];
        let metrics = &self.service.metrics;
        // The flag exists since Consul 1.10, and is not needed for the default.
        if metrics.enabled && metrics.path != scrape::PATH {
            env.push(literal("CONNECT_INJECT_SCRAPE_PATH", &metrics.path));
        }
        env
    }

    /// Ordinary sidecars get SIGTERM together with the app: how long they wait for the app to stop,
    /// and the port on which it listens until then.
    pub fn linger_env(&self) -> Vec<EnvVar> {
        if self.settings.native_sidecars {
            return Vec::new();
        }
        let port = self.service.port_number();
        let linger = linger_seconds(self.grace_seconds, port.is_some());
        let mut env = vec![number("CONNECT_INJECT_LINGER", linger)];
        env.extend(port.map(|port| number("CONNECT_INJECT_LINGER_PORT", port)));
        env
    }
}

/// An app without a port gives no sign that it has stopped, so the sidecars wait a part of the time.
fn linger_seconds(grace: u64, has_port: bool) -> u64 {
    let until_end = if has_port { grace.saturating_sub(5) } else { 0 };
    until_end.max(grace / 3).max(1).min(grace)
}

pub fn number(name: &str, number: impl Into<u64>) -> EnvVar {
    literal(name, &number.into().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sidecars_linger_for_a_part_of_the_grace_period() {
        for (grace, with_port, without) in [(0, 0, 0), (1, 1, 1), (6, 2, 2), (30, 25, 10), (60, 55, 20)] {
            assert_eq!(linger_seconds(grace, true), with_port, "{grace}");
            assert_eq!(linger_seconds(grace, false), without, "{grace}");
        }
    }
}
