//! Finds ports that the pod does not use.

use std::collections::BTreeSet;

use crate::consul::upstream::Upstream;
use crate::k8s::pod::PodSpec;
use crate::k8s::ports;

/// The ports that the pod and its upstreams use.
pub fn taken(service_port: Option<u16>, upstreams: &[Upstream], spec: &PodSpec) -> BTreeSet<u16> {
    let mut taken = BTreeSet::new();
    taken.extend(upstreams.iter().map(|upstream| upstream.port));
    taken.extend(service_port);
    for container in spec.all_containers() {
        taken.extend(container.ports.iter().filter(|port| ports::is_tcp(port)).filter_map(ports::number));
        taken.extend(container.probes().filter_map(|(_, probe)| ports::probed(container, probe)));
    }
    taken
}

/// `from`, or the next port that is not taken.
pub fn next_free(from: u16, taken: &BTreeSet<u16>) -> u16 {
    let mut candidates = (from..=u16::MAX).chain(1024..from);
    candidates.find(|port| !taken.contains(port)).unwrap_or(from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_free_port() {
        assert_eq!(next_free(20_000, &BTreeSet::from([19_999, 20_001])), 20_000);
        assert_eq!(next_free(20_000, &BTreeSet::from([20_000, 20_001])), 20_002);
        assert_eq!(next_free(20_000, &(20_000..=u16::MAX).chain([1024]).collect()), 1025);
    }
}
