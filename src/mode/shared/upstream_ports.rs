//! Warns of local ports that conflict with the pod's own, and of dots in names.

use crate::k8s::pod::PodSpec;
use crate::problem::Findings;
use crate::text::Quoted;

/// Warns of a port that the app listens on, or that Envoy may be unable to bind. `own` are the
/// ports of the service.
pub fn warn(upstream: &str, port: u16, own: &[u16], spec: &PodSpec, findings: &mut Findings) {
    let name = Quoted(upstream, 60);
    if port < 1024 {
        findings.warn(format!(
            "upstream {name}: local port {port} is privileged, and Envoy does not run as root; if Envoy cannot bind it, use a port from 1024 to 65535"
        ));
    }
    if own.contains(&port) {
        findings.warn(format!(
            "upstream {name}: local port {port} is the service's own port: Envoy would listen there instead of the app and send the service's traffic to the upstream; use another port"
        ));
    } else if spec.lists_port(port) {
        findings.warn(format!(
            "upstream {name}: local port {port} is also a port of this pod's containers, and only one process can listen on it; use another port"
        ));
    }
}

/// Warns of a dot in a name while Consul namespaces are off.
pub fn warn_of_dot(upstream: &str, findings: &mut Findings) {
    if upstream.contains('.') {
        findings.warn(format!(
            "upstream {}: Consul namespaces are disabled, so the dot is part of the service name; if you mean a namespace, write the name without it",
            Quoted(upstream, 60)
        ));
    }
}
