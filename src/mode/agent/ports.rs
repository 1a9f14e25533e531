//! The ports on which Envoy listens.

use super::free_port::{next_free, taken};
use super::service_spec::ServiceSpec;
use crate::k8s::pod::PodSpec;

/// The port for connections from other proxies; the same as the original injector's.
const PUBLIC: u16 = 20000;
/// The port of Envoy's admin interface, on loopback.
const ADMIN: u16 = 19000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EnvoyPorts {
    pub public: u16,
    pub admin: u16,
}

impl EnvoyPorts {
    /// The default ports, or the next ones that neither the pod nor an upstream uses.
    pub fn choose(service: &ServiceSpec, spec: &PodSpec) -> Self {
        let mut taken = taken(service.port_number(), &service.upstreams, spec);
        taken.extend(service.metrics.enabled.then_some(service.metrics.port));
        let public = next_free(PUBLIC, &taken);
        taken.insert(public);
        EnvoyPorts { public, admin: next_free(ADMIN, &taken) }
    }
}
