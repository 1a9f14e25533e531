//! The service's name and port.

use k8s_openapi::api::core::v1::ContainerPort;

use super::names::{PORT, SERVICE};
use super::{Annotations, full};
use crate::consul::service_name::{ServiceName, ServiceNameError};
use crate::k8s::pod::{Container, PodSpec};
use crate::k8s::ports;
use crate::problem::{Findings, Flaw, Problem};
use crate::text::Quoted;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServicePort {
    pub number: u16,
    /// The annotation's value for a pod that has none: the port's name, else its number.
    pub written_back: Option<String>,
}

/// The service's name; without an annotation, the first container's name. With ACLs it must be
/// the name of the pod's service account. `spec_path` is the specification's path in the
/// request's object.
pub fn name(
    annotations: &Annotations<'_>,
    spec: &PodSpec,
    spec_path: &str,
    acls: bool,
    findings: &mut Findings,
) -> Option<ServiceName> {
    let written = annotations.get(SERVICE);
    // A pod without containers has that problem already.
    let text = written.or_else(|| spec.containers.first().map(|container| container.name.as_str()))?;
    match ServiceName::parse(text) {
        Ok(name) => {
            if acls {
                check_identity(&name, spec, spec_path, findings);
            }
            Some(name)
        }
        Err(error) => {
            let problem = match written {
                None => container_name_problem(error, spec_path),
                Some(_) => {
                    let account = Quoted(spec.service_account(), 100);
                    let remedy =
                        format!("with ACLs enabled, write the name of the pod's service account, {account}");
                    match acls {
                        true => Flaw::new(error.rule(), remedy).at(full(SERVICE)),
                        false => error.flaw().at(full(SERVICE)),
                    }
                }
            };
            findings.problem(problem.value(text));
            None
        }
    }
}

fn container_name_problem(error: ServiceNameError, spec_path: &str) -> Problem {
    let why = format!("as the default service name, {}", error.rule());
    let remedy = format!("set {} to another name", full(SERVICE));
    Flaw::new(why, remedy).at(format!("{spec_path}.containers[0].name"))
}

/// Checks that the pod's service account has the service's name: with ACLs, it logs in with it.
pub fn check_identity(service: &ServiceName, spec: &PodSpec, spec_path: &str, findings: &mut Findings) {
    let account = spec.service_account();
    // The service account is compared with the name that the service can have.
    let identity = service.identity();
    let shown = Quoted(&identity, 100);
    if identity != service.as_str() {
        let why = "must consist of lower-case letters, digits, '-' and '_' when ACLs are enabled";
        let flaw = Flaw::new(why, format!("did you mean {shown}?"));
        findings.problem(flaw.at(full(SERVICE)).value(service.as_str()));
    }
    if identity != account {
        let why = format!(
            "must be the service name {shown}: with ACLs enabled, a pod can log in to Consul only as its own service"
        );
        let create = "create a ServiceAccount with the service's name and set serviceAccountName to it";
        let write = format!("set {} to the service account's name", full(SERVICE));
        // No ServiceAccount has an underscore, and no service with ACLs a dot. Consul's rule for
        // the login excludes the account default.
        let fixed = account.contains('.') || account == "default";
        let remedy = match (identity.contains('_'), fixed) {
            (false, false) => format!("{create}, or {write}"),
            (false, true) => create.to_owned(),
            (true, false) => write,
            (true, true) => {
                format!("set serviceAccountName and {} to the same lower-case name", full(SERVICE))
            }
        };
        let problem = Flaw::new(why, remedy).at(format!("{spec_path}.serviceAccountName"));
        findings.problem(problem.value(account));
    }
}

/// The service's port; without an annotation, the first TCP port of the pod's containers, never
/// of a native sidecar. An empty annotation means none: the service only calls others.
pub fn port(
    annotations: &Annotations<'_>,
    spec: &PodSpec,
    service: Option<&ServiceName>,
    findings: &mut Findings,
) -> Option<ServicePort> {
    match annotations.get(PORT) {
        Some("") => None,
        Some(written) => match spec.resolve_port(written.trim()) {
            Ok(number) => {
                warn_of_one_name_for_two_ports(written.trim(), number, spec, findings);
                Some(ServicePort { number, written_back: None })
            }
            Err(flaw) => {
                findings.problem(flaw.at(full(PORT)).value(written));
                None
            }
        },
        None => {
            let mut listed = tcp_ports(spec);
            let (owner, port, number) = listed.next()?;
            if let Some(service) = service {
                warn_of_another_containers_port(service, owner, number, spec, findings);
            }
            let name = ports::name(port).map_or_else(|| number.to_string(), str::to_owned);
            Some(ServicePort { number, written_back: Some(name) })
        }
    }
}

/// The TCP ports that the containers list, each with its container.
fn tcp_ports(spec: &PodSpec) -> impl Iterator<Item = (&Container, &ContainerPort, u16)> {
    let ports = spec.containers.iter().flat_map(|owner| owner.ports.iter().map(move |port| (owner, port)));
    ports
        .filter(|(_, port)| ports::is_tcp(port))
        .filter_map(|(owner, port)| Some((owner, port, ports::number(port)?)))
}

/// Warns if the port belongs to one container, and another one has the service's name.
pub fn warn_of_another_containers_port(
    service: &ServiceName,
    owner: &Container,
    number: u16,
    spec: &PodSpec,
    findings: &mut Findings,
) {
    let has_its_name = |container: &Container| container.name == service.as_str();
    if has_its_name(owner) || !spec.containers.iter().any(has_its_name) {
        return;
    }
    let other = tcp_ports(spec).find(|(container, ..)| has_its_name(container));
    let other = other.map_or_else(|| "no port".to_owned(), |(_, _, number)| number.to_string());
    findings.warn(format!(
        "the service's port is {number}, the first port listed, of container {}; container {} lists {other}; to choose, set {}",
        Quoted(&owner.name, 40),
        Quoted(service.as_str(), 40),
        full(PORT)
    ));
}

pub fn warn_of_one_name_for_two_ports(written: &str, taken: u16, spec: &PodSpec, findings: &mut Findings) {
    let mut others =
        tcp_ports(spec).filter(|(_, port, number)| ports::name(port) == Some(written) && *number != taken);
    if let Some((owner, _, other)) = others.next() {
        findings.warn(format!(
            "{}: the port name {} is ambiguous: it is used for port {taken}, and container {} has it for port {other}; write the number",
            full(PORT),
            Quoted(written, 20),
            Quoted(&owner.name, 40),
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn problems(service: &str, acls: bool) -> Vec<String> {
        let spec = json!({ "serviceAccountName": "web", "containers": [{ "name": "web" }] });
        let spec = PodSpec::of(&spec).unwrap();
        let mut findings = Findings::default();
        name(&Annotations::from_iter([(SERVICE, service)]), &spec, "spec", acls, &mut findings);
        findings.problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn with_acls_the_service_account_is_compared_with_the_name_that_the_service_can_have() {
        let upper = "must consist of lower-case letters";
        let account = "spec.serviceAccountName: invalid value \"web\": must be the service name";
        for (service, expected) in [
            ("web", &[][..]),
            ("Web", &[upper]),
            ("other", &[account]),
            ("Other", &[upper, account]),
            ("we.b", &[upper, account]),
            ("my_web", &[account]),
            (
                "my web",
                &[
                    "a letter or digit; with ACLs enabled, write the name of the pod's service account, \"web\"",
                ],
            ),
        ] {
            let problems = problems(service, true);
            assert_eq!(problems.len(), expected.len(), "{problems:#?}");
            for (problem, part) in problems.iter().zip(expected) {
                assert!(problem.contains(part), "{problem}");
            }
        }
        assert!(problems("Web", true)[0].ends_with("did you mean \"web\"?"));
        // Neither of these can be a ServiceAccount's name.
        assert!(problems("Other", true)[1].contains("must be the service name \"other\""));
        assert!(!problems("my_web", true)[0].contains("create a ServiceAccount"));
        assert!(problems("Other", false).is_empty());
    }

    #[test]
    fn name_and_port_come_from_the_pod_where_it_has_no_annotation() {
        let spec = json!({ "containers": [{ "name": "web", "ports": [
            { "containerPort": 53, "name": "dns", "protocol": "UDP" },
            { "containerPort": 8080, "name": "http" },
        ] }] });
        let spec = PodSpec::of(&spec).unwrap();
        let mut findings = Findings::default();
        let none = Annotations::default();
        assert_eq!(name(&none, &spec, "spec", false, &mut findings).unwrap().as_str(), "web");
        let http = ServicePort { number: 8080, written_back: Some("http".to_owned()) };
        assert_eq!(port(&none, &spec, None, &mut findings), Some(http));
        let mut port = |written| port(&Annotations::from_iter([(PORT, written)]), &spec, None, &mut findings);
        assert_eq!(port(" http ").unwrap().number, 8080);
        assert_eq!(port("9090"), Some(ServicePort { number: 9090, written_back: None }));
        assert_eq!(port(""), None);
        assert_eq!(port("htpp"), None);
        assert!(findings.problems[0].to_string().starts_with(
            "annotation consul.hashicorp.com/connect-service-port: invalid value \"htpp\": must be"
        ));
    }

    /// The port that is taken for a service, and the warnings.
    fn taken(spec: serde_json::Value, service: &str, written: &[(&str, &str)]) -> (Option<u16>, Vec<String>) {
        let spec = PodSpec::of(&spec).unwrap();
        let mut findings = Findings::default();
        let service = ServiceName::parse(service).unwrap();
        let annotations = written.iter().copied().collect();
        let port = port(&annotations, &spec, Some(&service), &mut findings);
        let warnings = findings.warnings.iter().map(|warning| warning.as_str().to_owned());
        (port.map(|port| port.number), warnings.collect())
    }

    #[test]
    fn the_default_port_is_a_containers_and_never_a_native_sidecars() {
        let proxy =
            json!([{ "name": "sql", "restartPolicy": "Always", "ports": [{ "containerPort": 5432 }] }]);
        let spec = json!({ "initContainers": proxy, "containers": [{ "name": "web" }] });
        assert_eq!(taken(spec.clone(), "web", &[]), (None, vec![]));
        assert_eq!(taken(spec, "web", &[(PORT, "5432")]).0, Some(5432));
    }

    #[test]
    fn a_port_that_is_probably_not_the_services_gets_a_warning() {
        let port = |number: u16| json!([{ "name": "http", "containerPort": number }]);
        let spec = json!({ "containers": [{ "name": "proxy", "ports": port(4180) }, { "name": "orders", "ports": port(8080) }] });
        let (number, warnings) = taken(spec.clone(), "orders", &[]);
        assert_eq!(number, Some(4180));
        assert!(
            warnings[0].contains("of container \"proxy\"; container \"orders\" lists 8080"),
            "{warnings:?}"
        );
        assert_eq!(taken(spec.clone(), "other", &[]), (Some(4180), vec![]));
        let database = json!({ "containers": [{ "name": "web" }, { "name": "sql", "ports": port(5432) }] });
        let (number, warnings) = taken(database.clone(), "web", &[]);
        assert_eq!(number, Some(5432));
        assert!(
            warnings[0].contains("of container \"sql\"; container \"web\" lists no port"),
            "{warnings:?}"
        );
        assert_eq!(taken(database, "sql", &[]), (Some(5432), vec![]));
        let (number, warnings) = taken(spec, "orders", &[(PORT, "http")]);
        assert_eq!(number, Some(4180));
        assert!(
            warnings[0].contains("used for port 4180, and container \"orders\" has it for port 8080"),
            "{warnings:?}"
        );
    }
}
