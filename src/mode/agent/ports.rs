//! The ports that Envoy takes in the pod's network.

use std::collections::BTreeSet;

use super::service_spec::ServiceSpec;
use crate::consul::upstream::Upstream;
use crate::k8s::pod::PodSpec;
use crate::k8s::ports;

/// Where other proxies connect to; the original injector has always taken this port.
const PUBLIC: u16 = 20000;
/// Envoy's admin interface, on loopback.
const ADMIN: u16 = 19000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EnvoyPorts {
    pub public: u16,
    pub admin: u16,
}

impl EnvoyPorts {
    /// The usual ports, or the next ones that neither the pod nor an upstream uses.
    pub fn choose(service: &ServiceSpec, spec: &PodSpec<'_>) -> Self {
        let mut taken = taken(service.port_number(), &service.upstreams, spec);
        taken.extend(service.metrics.enabled.then_some(service.metrics.port));
        let public = next_free(PUBLIC, &taken);
        taken.insert(public);
        EnvoyPorts { public, admin: next_free(ADMIN, &taken) }
    }
}

/// The ports that the pod and its upstreams use.
pub fn taken(service_port: Option<u16>, upstreams: &[Upstream], spec: &PodSpec<'_>) -> BTreeSet<u16> {
    let mut taken: BTreeSet<u16> = upstreams.iter().map(|upstream| upstream.port).collect();
    taken.extend(service_port);
    for container in spec.all_containers() {
        taken.extend(container.ports.iter().filter(|port| ports::is_tcp(port)).filter_map(ports::number));
        taken.extend(container.probes().filter_map(|(_, probe)| ports::probed(container, probe)));
    }
    taken
}

pub fn next_free(from: u16, taken: &BTreeSet<u16>) -> u16 {
    let mut candidates = (from..=u16::MAX).chain(1024..from);
    candidates.find(|port| !taken.contains(port)).unwrap_or(from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_free_port() {
        assert_eq!(next_free(PUBLIC, &BTreeSet::from([19_999, 20_001])), 20_000);
        assert_eq!(next_free(PUBLIC, &BTreeSet::from([20_000, 20_001])), 20_002);
        assert_eq!(next_free(PUBLIC, &(20_000..=u16::MAX).chain([1024]).collect()), 1025);
    }
}
