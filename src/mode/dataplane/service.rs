//! The services of the pod: one, or several with a proxy each.

use super::names::{INIT, SIDECAR};
use super::settings::Settings;
use crate::annotations::full;
use crate::annotations::names::{
    DEFAULT_PORT, ENABLE_METRICS, KUBERNETES_SERVICE, METRICS_MERGING, PORT, SERVICE, TRANSPARENT_PROXY,
};
use crate::annotations::reader::AnnotationReader;
use crate::annotations::service::{
    check_identity, warn_of_another_containers_port, warn_of_one_name_for_two_ports,
};
use crate::consul::service_name::ServiceName;
use crate::k8s::names::is_dns_label;
use crate::k8s::ports;
use crate::mode::candidate::Candidate;
use crate::problem::Flaw;

/// The proxies of more services would share ports.
const SERVICES_LIMIT: usize = 100;

#[derive(Debug, Default)]
pub struct Services {
    /// Empty if the service has the name of the Kubernetes Service.
    pub names: Vec<ServiceName>,
    /// In the order of the annotation or of the first container's ports.
    pub ports: Vec<Port>,
    /// The annotation's value for a pod that has none.
    pub written_back: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// A name or a number.
    pub written: String,
    pub number: u16,
}

impl Services {
    pub fn read(reader: &mut AnnotationReader<'_, '_>, pod: &Candidate<'_>, settings: &Settings) -> Self {
        let names = names(reader);
        if settings.auth_method.is_some() {
            check_account(reader, pod, &names);
        }
        let (ports, written_back) = match reader.get(PORT) {
            Some(written) => (listed_ports(reader, written), None),
            None => default_ports(pod),
        };
        warn_of_other_ports(reader, pod, &names, &ports);
        let services = Services { names, ports, written_back };
        services.check_default_port(reader);
        services.check_counts(reader);
        services.check_kubernetes_service(reader);
        services
    }

    /// Whether there are several services, each with its own proxy.
    pub fn are_several(&self) -> bool {
        self.names.len() > 1
    }

    /// The number of the pod's proxies.
    pub fn proxies(&self) -> usize {
        self.names.len().max(1)
    }

    /// Reports options that are not supported with several services.
    pub fn check_together(
        &self,
        reader: &mut AnnotationReader<'_, '_>,
        transparent_proxy: bool,
        metrics: bool,
        merging: bool,
    ) {
        let Some(written) = reader.get(SERVICE).filter(|_| self.are_several()) else { return };
        let mut report = |on: bool, what: &str, annotation: &str| {
            if on {
                let why = format!("several services are not supported with {what}");
                let remedy = format!("set {} to \"false\"", full(annotation));
                reader.problem(SERVICE, written, Flaw::new(why, remedy));
            }
        };
        report(transparent_proxy, "transparent proxy", TRANSPARENT_PROXY);
        report(metrics, "the proxy's metrics", ENABLE_METRICS);
        report(merging, "merged metrics", METRICS_MERGING);
    }

    fn check_default_port(&self, reader: &mut AnnotationReader<'_, '_>) {
        let Some(written) = reader.written(DEFAULT_PORT).map(str::trim) else { return };
        let is_listed = |port: &Port| port.written == written || written.parse() == Ok(port.number);
        // Without a list, the ports are those of the Kubernetes Service.
        if !self.ports.is_empty() && !self.ports.iter().any(is_listed) {
            let ports: Vec<&str> = self.ports.iter().map(|port| port.written.as_str()).collect();
            let flaw =
                Flaw::new("must be a port of the service", format!("write one of {}", ports.join(", ")));
            reader.problem(DEFAULT_PORT, written, flaw);
        }
    }

    fn check_kubernetes_service(&self, reader: &mut AnnotationReader<'_, '_>) {
        let Some(written) = reader.written(KUBERNETES_SERVICE) else { return };
        if !is_dns_label(written) {
            let rule = "must be the name of a Kubernetes Service that selects this pod";
            reader.problem(KUBERNETES_SERVICE, written, rule);
        } else if self.are_several() {
            let why = "is not supported with several services, each of which has a Kubernetes Service";
            reader.problem(KUBERNETES_SERVICE, written, Flaw::new(why, "remove it"));
        }
    }

    /// Several services have one port each, share one, or have none.
    fn check_counts(&self, reader: &mut AnnotationReader<'_, '_>) {
        let (services, ports) = (self.names.len(), self.ports.len());
        if !self.are_several() || ports < 2 || ports == services {
            return;
        }
        let remedy = "list one port for each service, in the order of connect-service";
        match reader.get(PORT) {
            Some(written) => {
                let why = format!("has {ports} ports for {services} services");
                reader.problem(PORT, written, Flaw::new(why, remedy));
            }
            None => {
                let why = format!(
                    "is required, because the first container has {ports} ports for {services} services"
                );
                reader.findings.problem(Flaw::new(why, remedy).at(full(PORT)));
            }
        }
    }
}

/// The names in the annotation. Without any, the service has the name of the Kubernetes Service.
fn names(reader: &mut AnnotationReader<'_, '_>) -> Vec<ServiceName> {
    let Some(written) = reader.written(SERVICE) else { return Vec::new() };
    let items: Vec<&str> = written.split(',').map(str::trim).collect();
    if items.len() > SERVICES_LIMIT {
        let why = format!("must list at most {SERVICES_LIMIT} services: the proxies have no ports for more");
        reader.problem(SERVICE, written, Flaw::new(why, "run the others in pods of their own"));
        return Vec::new();
    }
    let several = items.len() > 1;
    let mut names: Vec<ServiceName> = Vec::new();
    for item in items {
        match ServiceName::parse(item) {
            Err(error) => reader.problem(SERVICE, item, error.flaw()),
            Ok(name) if names.contains(&name) => {
                reader.problem(SERVICE, item, "must be listed only once");
            }
            Ok(name) => {
                if several {
                    check_length(reader, item);
                }
                names.push(name);
            }
        }
    }
    names
}

/// With several services, each name is also that of a Kubernetes Service, and is appended to the
/// names of containers.
fn check_length(reader: &mut AnnotationReader<'_, '_>, name: &str) {
    const CONTAINER_NAME_LIMIT: usize = 63;
    let room = CONTAINER_NAME_LIMIT.saturating_sub(INIT.len().max(SIDECAR.len())).saturating_sub(1);
    if name.len() > room || !is_dns_label(name) {
        let why = "with several services, the name becomes part of container names";
        let remedy = format!("write lower-case letters, digits and '-', at most {room}");
        reader.problem(SERVICE, name, Flaw::new(why, remedy));
    }
}

/// With ACLs, a pod logs in as its service account, which must have the service's name. With
/// several services, each one has its own service account.
fn check_account(reader: &mut AnnotationReader<'_, '_>, pod: &Candidate<'_>, names: &[ServiceName]) {
    match names {
        [name] => check_identity(name, pod.spec, pod.spec_path, reader.findings),
        [] if pod.spec.service_account() == "default" => reader.warn(format!(
            "{}.serviceAccountName: with ACLs enabled, \"default\" cannot log in to Consul; create a ServiceAccount with the name of the pod's Service and set it here",
            pod.spec_path
        )),
        _ => (),
    }
}

/// The ports in the annotation. If it is empty, the Kubernetes Service defines them.
fn listed_ports(reader: &mut AnnotationReader<'_, '_>, written: &str) -> Vec<Port> {
    let mut ports = Vec::new();
    if written.trim().is_empty() {
        return ports;
    }
    for item in written.split(',').map(str::trim) {
        match reader.spec.resolve_container_port(item) {
            Ok(number) => ports.push(Port { written: item.to_owned(), number }),
            Err(flaw) => reader.problem(PORT, item, flaw),
        }
    }
    ports
}

/// The TCP ports of the first container: the mesh carries only TCP.
fn default_ports(pod: &Candidate<'_>) -> (Vec<Port>, Option<String>) {
    let listed = pod.spec.containers.first().into_iter().flat_map(|container| &container.ports);
    let ports: Vec<Port> = listed
        .filter(|port| ports::is_tcp(port))
        .filter_map(|port| {
            let number = ports::number(port)?;
            let written = ports::name(port).map_or_else(|| number.to_string(), str::to_owned);
            Some(Port { written, number })
        })
        .collect();
    let written: Vec<&str> = ports.iter().map(|port| port.written.as_str()).collect();
    let written_back = (!written.is_empty()).then(|| written.join(","));
    (ports, written_back)
}

/// Warns if other ports may have been intended.
fn warn_of_other_ports(
    reader: &mut AnnotationReader<'_, '_>,
    pod: &Candidate<'_>,
    names: &[ServiceName],
    ports: &[Port],
) {
    if reader.get(PORT).is_some() {
        for port in ports {
            warn_of_one_name_for_two_ports(&port.written, port.number, pod.spec, reader.findings);
        }
    } else if let ([name], Some(port), Some(owner)) = (names, ports.first(), pod.spec.containers.first()) {
        warn_of_another_containers_port(name, owner, port.number, pod.spec, reader.findings);
    }
}
