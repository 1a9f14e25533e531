//! The ports that a pod's containers list.

use k8s_openapi::api::core::v1::{ContainerPort, Probe};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::pod::{Container, PodSpec};
use crate::problem::Flaw;
use crate::text::quoted_list;

/// A port's number, if it is valid.
pub fn number(port: &ContainerPort) -> Option<u16> {
    valid(port.container_port)
}

fn valid(number: i32) -> Option<u16> {
    u16::try_from(number).ok().filter(|number| *number > 0)
}

pub fn is_tcp(port: &ContainerPort) -> bool {
    port.protocol.as_deref().is_none_or(|protocol| matches!(protocol, "" | "TCP"))
}

/// A port's name, if it has one.
pub fn name(port: &ContainerPort) -> Option<&str> {
    port.name.as_deref().filter(|name| !name.is_empty())
}

/// The number of a probe's port, which may be one of the container's own port names.
pub fn of_probe(container: &Container, port: &IntOrString) -> Option<u16> {
    match port {
        IntOrString::Int(number) => valid(*number),
        IntOrString::String(text) => {
            let named = container.ports.iter().find(|port| name(port) == Some(text));
            named.and_then(number).or_else(|| valid(text.parse().ok()?))
        }
    }
}

/// The port of the pod that a probe connects to; `None` for a probe of another host.
pub fn probed(container: &Container, probe: &Probe) -> Option<u16> {
    if let Some(http) = &probe.http_get {
        return of_probe(container, &http.port).filter(|_| !names_host(http.host.as_deref()));
    }
    if let Some(tcp) = &probe.tcp_socket {
        return of_probe(container, &tcp.port).filter(|_| !names_host(tcp.host.as_deref()));
    }
    valid(probe.grpc.as_ref()?.port)
}

/// Whether a probe names a host. Without one, or with an empty name, it connects to the pod.
pub fn names_host(host: Option<&str>) -> bool {
    host.is_some_and(|host| !host.is_empty())
}

impl PodSpec {
    /// Whether a container or native sidecar lists this TCP port.
    pub fn lists_port(&self, wanted: u16) -> bool {
        self.running_ports().any(|port| is_tcp(port) && number(port) == Some(wanted))
    }

    fn running_ports(&self) -> impl Iterator<Item = &ContainerPort> {
        self.running().flat_map(|container| &container.ports).filter(|port| number(port).is_some())
    }

    /// A port of a container or native sidecar, by its name or its number.
    pub fn resolve_port(&self, text: &str) -> Result<u16, Flaw> {
        let of_init_container = "is a port of an init container, which ends before the service runs";
        self.resolve(text, &self.running_ports().collect::<Vec<_>>(), of_init_container)
    }

    /// A port of an ordinary container, by its name or its number: Consul's endpoints controller
    /// reads no other containers.
    pub fn resolve_container_port(&self, text: &str) -> Result<u16, Flaw> {
        let of_init_container =
            "is a port of an init container, which Consul's endpoints controller does not read";
        let ports: Vec<_> = self.containers.iter().flat_map(|container| &container.ports).collect();
        self.resolve(text, &ports, of_init_container)
    }

    fn resolve(&self, text: &str, ports: &[&ContainerPort], of_init_container: &str) -> Result<u16, Flaw> {
        let mut named = ports.iter().filter(|port| name(port) == Some(text)).peekable();
        if named.peek().is_some() {
            let tcp = named.find(|port| is_tcp(port)).and_then(|port| number(port));
            return tcp.ok_or_else(|| "must be a TCP port: the mesh carries only TCP".into());
        }
        let plain = !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
        if let Some(number) = text.parse().ok().filter(|_| plain) {
            return Ok(number);
        }
        let rule = port_rule(ports);
        let mut init_ports = self.init_containers.iter().flat_map(|container| &container.ports);
        Err(match init_ports.any(|port| name(port) == Some(text)) {
            true => Flaw::new(of_init_container, rule),
            false => rule.into(),
        })
    }
}

fn port_rule(ports: &[&ContainerPort]) -> String {
    let names: Vec<&str> = ports.iter().filter(|port| is_tcp(port)).filter_map(|port| name(port)).collect();
    if names.is_empty() {
        return "must be a port number from 1 to 65535, or the name of a container port; this pod's ports have no names"
            .to_owned();
    }
    let names = quoted_list(&names, 20);
    format!("must be a port number from 1 to 65535, or one of the pod's port names: {names}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn ports_by_name_and_number() {
        let spec = json!({
            "containers": [{ "ports": [
                { "name": "http", "containerPort": 8080 },
                { "name": "dns", "containerPort": 53, "protocol": "UDP" },
            ] }],
            "initContainers": [{ "ports": [{ "name": "setup", "containerPort": 9 }] }],
        });
        let spec = PodSpec::of(&spec).unwrap();
        assert_eq!(spec.resolve_port("http").unwrap(), 8080);
        assert_eq!(spec.resolve_port("9090").unwrap(), 9090);
        assert!(spec.resolve_port("dns").unwrap_err().to_string().contains("TCP"));
        assert!(spec.resolve_port("setup").unwrap_err().to_string().contains("an init container"));
        for text in ["", "0", "080", "65536", "-1", "+80", "nope", "8 0"] {
            assert!(spec.resolve_port(text).is_err(), "{text:?}");
        }
        assert!(spec.resolve_container_port("setup").unwrap_err().to_string().contains("controller"));
        assert!(spec.resolve_port("htpp").unwrap_err().to_string().ends_with("names: \"http\""));
        assert!(spec.lists_port(8080) && !spec.lists_port(53) && !spec.lists_port(9));
    }

    #[test]
    fn the_port_that_a_probe_connects_to() {
        for (probe, port) in [
            (json!({ "httpGet": { "port": "web" } }), Some(8080)),
            (json!({ "httpGet": { "port": 80, "host": "" } }), Some(80)),
            (json!({ "tcpSocket": { "port": 80, "host": "a.b" } }), None),
            (json!({ "tcpSocket": { "port": "0" } }), None),
            (json!({ "tcpSocket": { "port": "other" } }), None),
            (json!({ "grpc": { "port": 9 } }), Some(9)),
            (json!({ "grpc": { "port": 0 } }), None),
            (json!({ "exec": { "command": ["true"] } }), None),
        ] {
            let ports = json!([{ "name": "web", "containerPort": 8080 }]);
            let spec = json!({ "containers": [{ "ports": ports, "livenessProbe": probe }] });
            let spec = PodSpec::of(&spec).unwrap();
            let container = &spec.containers[0];
            let (_, probe) = container.probes().next().unwrap();
            assert_eq!(probed(container, probe), port, "{probe:?}");
        }
    }
}
