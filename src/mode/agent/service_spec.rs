//! The service that a pod's annotations describe.

use super::metrics;
use super::settings::{Settings, parse_sync_period};
use crate::annotations::metadata::{K8S_NAMESPACE_KEY, MetaValue, POD_NAME_KEY};
use crate::annotations::names::{PROTOCOL, SYNC_PERIOD, UPSTREAMS};
use crate::annotations::service::ServicePort;
use crate::annotations::{Annotations, envoy_args, full, metadata, resources, service, tags, unknown};
use crate::consul::duration::Millis;
use crate::consul::envoy_args::EnvoyArgs;
use crate::consul::protocol::Protocol;
use crate::consul::service_name::ServiceName;
use crate::consul::upstream::{self, Destination, Upstream};
use crate::mode::candidate::Candidate;
use crate::mode::shared::scrape::Scrape;
use crate::mode::shared::upstream_ports;
use crate::problem::{Findings, Problem};
use crate::settings::ModeName;
use crate::settings::resources::Resources;

/// The metadata keys that the policy sets.
const RESERVED_METADATA: &[&str] = &[POD_NAME_KEY, K8S_NAMESPACE_KEY];

/// The service that a pod registers, with the defaults filled in.
#[derive(Debug)]
pub struct ServiceSpec {
    pub name: ServiceName,
    pub port: Option<ServicePort>,
    pub upstreams: Vec<Upstream>,
    pub protocol: Option<Protocol>,
    /// Overrides the setting's.
    pub envoy_args: Option<EnvoyArgs>,
    pub tags: Vec<String>,
    pub metadata: Vec<(String, MetaValue)>,
    pub envoy_resources: Resources,
    pub sync_period: Millis,
    pub metrics: Scrape,
}

impl ServiceSpec {
    /// Reads all annotations of a pod. Its default replaces an invalid value, so that all problems
    /// are found. Without a valid name there is no service.
    pub fn read(pod: &Candidate<'_>, settings: &Settings, findings: &mut Findings) -> Option<Self> {
        let annotations = pod.annotations;
        unknown::warn(annotations, ModeName::Agent, findings);
        let acls = settings.acl_auth_method.is_some();
        let name = service::name(annotations, pod.spec, pod.spec_path, acls, findings);
        let port = service::port(annotations, pod.spec, name.as_ref(), findings);
        let own_port = port.as_ref().map(|port| port.number);
        let upstreams = upstreams(pod, own_port, settings.consul_namespaces.is_some(), findings);
        let protocol = protocol(annotations, settings, findings);
        let envoy_args = envoy_args::parse(annotations, findings);
        let tags = tags::parse(annotations, findings);
        let metadata = metadata::parse(annotations, RESERVED_METADATA, findings);
        let envoy_resources = resources::parse(annotations, &settings.envoy.resources, findings);
        let sync_period = sync_period(annotations, settings, findings);
        let metrics = metrics::read(pod, &settings.metrics, own_port, &upstreams, findings);
        Some(ServiceSpec {
            name: name?,
            port,
            upstreams,
            protocol,
            envoy_args,
            tags,
            metadata,
            envoy_resources,
            sync_period,
            metrics,
        })
    }

    pub fn port_number(&self) -> Option<u16> {
        self.port.as_ref().map(|port| port.number)
    }
}

fn upstreams(
    pod: &Candidate<'_>,
    own_port: Option<u16>,
    namespaces: bool,
    findings: &mut Findings,
) -> Vec<Upstream> {
    let Some(value) = pod.annotations.get(UPSTREAMS) else { return Vec::new() };
    let resolve_port = |text: &str| pod.spec.resolve_port(text);
    let upstreams = upstream::parse_list(&full(UPSTREAMS), value, &resolve_port, namespaces, findings);
    for upstream in &upstreams {
        let name = upstream.name.as_str();
        if matches!(upstream.destination, Destination::Service { .. }) && !namespaces {
            upstream_ports::warn_of_dot(name, findings);
        }
        upstream_ports::warn(name, upstream.port, own_port.as_slice(), pod.spec, findings);
    }
    upstreams
}

fn protocol(annotations: &Annotations<'_>, settings: &Settings, findings: &mut Findings) -> Option<Protocol> {
    let central_config = &settings.central_config;
    let written = annotations.get(PROTOCOL);
    let protocol = match written {
        Some(written) => {
            let protocol = written.parse().ok();
            if protocol.is_none() {
                findings.problem(Problem::new(full(PROTOCOL), Protocol::RULE).value(written));
            }
            protocol
        }
        None => central_config.default_protocol,
    };
    if written.is_some() && !central_config.enabled {
        findings.warn(format!(
            "{} has no effect, because the policy's setting centralConfig.enabled is false; write a service-defaults entry in Consul",
            full(PROTOCOL)
        ));
    }
    protocol.filter(|_| central_config.enabled)
}

fn sync_period(annotations: &Annotations<'_>, settings: &Settings, findings: &mut Findings) -> Millis {
    let Some(written) = annotations.get(SYNC_PERIOD) else { return settings.sync_period };
    parse_sync_period(written).unwrap_or_else(|flaw| {
        findings.problem(flaw.at(full(SYNC_PERIOD)).value(written));
        settings.sync_period
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::annotations::names::NAMESPACE;
    use crate::annotations::names::{CPU_LIMIT, ENVOY_ARGS, MEMORY_LIMIT, MEMORY_REQUEST, PORT, SERVICE};
    use crate::k8s::pod::{Metadata, PodSpec};
    use crate::mode::agent::settings::tests::settings;
    use serde_json::{Value, json};

    fn read(settings_value: &Value, written: &[(&str, &str)]) -> (Option<ServiceSpec>, Findings) {
        let spec = json!({ "serviceAccountName": "web", "containers": [{ "name": "web", "ports": [
            { "containerPort": 53, "name": "dns", "protocol": "UDP" },
            { "containerPort": 8080, "name": "http" },
        ] }] });
        let spec = PodSpec::of(&spec).unwrap();
        let (metadata, annotations) = (Metadata::default(), written.iter().copied().collect());
        let pod = Candidate {
            namespace: "shop",
            metadata: &metadata,
            annotations: &annotations,
            spec: &spec,
            spec_path: "spec",
            is_job: false,
        };
        let mut findings = Findings::default();
        let service = ServiceSpec::read(&pod, &settings(settings_value), &mut findings);
        (service, findings)
    }

    fn warnings(settings: &Value, written: &[(&str, &str)]) -> Vec<String> {
        let findings = read(settings, written).1;
        findings.warnings.iter().map(|warning| warning.as_str().to_owned()).collect()
    }

    #[test]
    fn the_defaults_come_from_the_pod_and_the_settings() {
        let settings = json!({ "centralConfig": { "defaultProtocol": "http" }, "syncPeriod": "20s" });
        let (service, findings) = read(&settings, &[]);
        let service = service.unwrap();
        assert_eq!((service.name.as_str(), service.port.unwrap().number), ("web", 8080));
        assert_eq!((service.protocol, service.sync_period), (Some(Protocol::Http), Millis(20_000)));
        assert!(findings.problems.is_empty() && findings.warnings.is_empty(), "{findings:?}");
    }

    #[test]
    fn every_problem_of_a_pod_is_reported() {
        let (_, findings) = read(
            &json!({ "acls": { "enabled": true } }),
            &[
                (SERVICE, "Other"),
                (PORT, "htpp"),
                (UPSTREAMS, "db"),
                (PROTOCOL, "udp"),
                (ENVOY_ARGS, "'"),
                ("service-meta-consul-x", &"x".repeat(513)),
                ("service-meta-pod-name", "1"),
                (CPU_LIMIT, "x"),
                (MEMORY_REQUEST, "2Gi"),
                (MEMORY_LIMIT, "1Gi"),
                (SYNC_PERIOD, "1"),
            ],
        );
        assert_eq!(findings.problems.len(), 12, "{findings:#?}");
    }

    #[test]
    fn an_upstream_on_a_port_of_the_pod_gets_a_warning_that_says_whose_it_is() {
        for (port, own) in [("9090", "9090"), ("http", "8080"), (" 7070 ", "7070")] {
            let upstreams = format!("db:{own},cache:8080").replace("db:8080,", "");
            let warnings = warnings(&json!({}), &[(PORT, port), (UPSTREAMS, &upstreams)]);
            let own = format!("local port {own} is the service's own port: Envoy would listen there");
            assert!(warnings[0].contains(&own), "{port}: {warnings:?}");
            let others = &warnings[1..];
            assert!(others.iter().all(|warning| warning.contains("also a port of this")), "{warnings:?}");
        }
        // A service without a port has none of its own.
        let warnings = warnings(&json!({}), &[(PORT, ""), (UPSTREAMS, "db:8080,cache:9090")]);
        assert!(warnings.len() == 1 && warnings[0].contains("also a port"), "{warnings:?}");
    }

    #[test]
    fn what_the_policy_writes_itself_is_not_taken_from_the_pod() {
        let expected = "annotation consul.hashicorp.com/consul-namespace has no effect, because the injector sets it; remove it";
        assert_eq!(warnings(&json!({}), &[(NAMESPACE, "shop")]), [expected]);
    }

    #[test]
    fn warnings_say_what_to_do() {
        let warnings = warnings(
            &json!({ "centralConfig": { "enabled": false } }),
            &[
                ("connect-servce", "x"),
                ("transparent-proxy", "true"),
                ("quite-another-thing", "x"),
                (ENVOY_ARGS, "stray"),
                (PROTOCOL, "http"),
                (UPSTREAMS, "a.b:80,c:8080"),
            ],
        );
        for expected in [
            "did you mean connect-service?",
            "only in mode dataplane",
            "annotation consul.hashicorp.com/quite-another-thing is unknown",
            "centralConfig",
            "the dot",
            "privileged",
            "is the service's own",
            "\"stray\" is neither an Envoy flag",
        ] {
            assert!(warnings.iter().any(|warning| warning.contains(expected)), "{expected}: {warnings:#?}");
        }
        assert_eq!(warnings.len(), 8, "{warnings:#?}");
    }
}
