//! Local ports of upstreams that something else may need.

use crate::k8s::pod::PodSpec;
use crate::problem::Findings;
use crate::text::Quoted;

/// Warns of a port that the app listens on, or that Envoy may not bind. `own` are the ports of
/// the service.
pub fn warn(upstream: &str, port: u16, own: &[u16], spec: &PodSpec<'_>, findings: &mut Findings) {
    let name = Quoted(upstream, 60);
    if port < 1024 {
        findings.warn(format!(
            "upstream {name}: local port {port} is privileged and Envoy does not run as root; use a port from 1024 on if it cannot be bound"
        ));
    }
    if own.contains(&port) {
        findings.warn(format!(
            "upstream {name}: local port {port} is the service's own, so Envoy would listen there in its place and send the service's traffic to the upstream; use another port"
        ));
    } else if spec.lists_port(port) {
        findings.warn(format!(
            "upstream {name}: local port {port} is also a port of this pod's containers, and only one of them can listen on it; use another port"
        ));
    }
}

/// Warns of a dot where Consul namespaces are off.
pub fn warn_of_dot(upstream: &str, findings: &mut Findings) {
    if upstream.contains('.') {
        findings.warn(format!(
            "upstream {}: Consul namespaces are off, so the dot is part of the service's name; write the name without it if a namespace was meant",
            Quoted(upstream, 60)
        ));
    }
}
