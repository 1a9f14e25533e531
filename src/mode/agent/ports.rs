//! The ports that Envoy takes in the pod's network.

use json_text::order;

use crate::annotations::Wanted;
use crate::pod::Spec;

/// Where other proxies connect to; the original has always taken this port.
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
    pub fn choose(wanted: &Wanted, spec: &Spec<'_>) -> Self {
        let mut taken: Vec<u16> = wanted.upstreams.iter().map(|upstream| upstream.port).collect();
        for container in spec.containers.iter().chain(&spec.init_containers) {
            taken.extend(container.ports.iter().filter(|port| port.tcp).map(|port| port.number));
            taken.extend(container.probed_ports().into_iter().flatten());
        }
        taken.extend(wanted.port.as_ref().map(|port| port.number));
        let free = |from: u16, other: Option<u16>| match taken.contains(&from) || other == Some(from) {
            true => next_free(&taken, from, other),
            false => from,
        };
        let public = free(PUBLIC, None);
        EnvoyPorts { public, admin: free(ADMIN, Some(public)) }
    }
}

/// Of pods with very many ports, too, in no time.
fn next_free(taken: &[u16], from: u16, other: Option<u16>) -> u16 {
    let number = |at: usize| taken.get(at).copied();
    let order = order(taken.len(), &|left, right| number(left).cmp(&number(right)));
    let is_taken = |port: u16| order.binary_search_by(|at| number(*at).cmp(&Some(port))).is_ok();
    let mut candidates = (from..=u16::MAX).chain(1024..from);
    candidates.find(|port| !is_taken(*port) && Some(*port) != other).unwrap_or(from)
}
