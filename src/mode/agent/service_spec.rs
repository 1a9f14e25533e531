//! What a pod asks for, from its annotations.

use super::settings::{Settings, parse_sync_period};
use crate::annotations::metadata::MetaValue;
use crate::annotations::names::{NAMESPACE, PROTOCOL, SYNC_PERIOD, UPSTREAMS};
use crate::annotations::service::ServicePort;
use crate::annotations::{Annotations, envoy_args, full, metadata, resources, service, tags, unknown};
use crate::consul::duration::Millis;
use crate::consul::envoy_args::EnvoyArgs;
use crate::consul::protocol::Protocol;
use crate::consul::service_name::ServiceName;
use crate::consul::upstream::{self, Destination, Upstream};
use crate::mode::candidate::Candidate;
use crate::problem::{Findings, Problem};
use crate::settings::ModeName;
use crate::settings::resources::Resources;
use crate::text::Quoted;

/// The service that a pod registers, complete with the defaults.
#[derive(Debug)]
pub struct ServiceSpec {
    pub name: ServiceName,
    pub port: Option<ServicePort>,
    pub upstreams: Vec<Upstream>,
    pub protocol: Option<Protocol>,
    /// In place of the setting's.
    pub envoy_args: Option<EnvoyArgs>,
    pub tags: Vec<String>,
    pub metadata: Vec<(String, MetaValue)>,
    pub envoy_resources: Resources,
    pub sync_period: Millis,
}

impl ServiceSpec {
    /// Reads all annotations of a pod. Where one has a problem its default counts, so that
    /// problems elsewhere show as well; without a name there is no service.
    pub fn read(pod: &Candidate<'_>, settings: &Settings, findings: &mut Findings) -> Option<Self> {
        let annotations = pod.annotations;
        unknown::warn(annotations, ModeName::Agent, findings);
        if annotations.get(NAMESPACE).is_some() {
            findings.warnings.push(unknown::injectors_own(NAMESPACE, ""));
        }
        let acls = settings.acl_auth_method.is_some();
        let name = service::name(annotations, pod.spec, pod.spec_path, acls, findings);
        let port = service::port(annotations, pod.spec, findings);
        let own_port = port.as_ref().map(|port| port.number);
        let upstreams = upstreams(pod, own_port, settings.consul_namespaces.is_some(), findings);
        let protocol = protocol(annotations, settings, findings);
        let envoy_args = envoy_args::parse(annotations, findings);
        let tags = tags::parse(annotations, findings);
        let metadata = metadata::parse(annotations, findings);
        let envoy_resources = resources::parse(annotations, &settings.envoy.resources, findings);
        let sync_period = sync_period(annotations, settings, findings);
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
        })
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
        let (name, port) = (Quoted(upstream.name.as_str(), 60), upstream.port);
        let is_service = matches!(upstream.destination, Destination::Service { .. });
        if is_service && !namespaces && upstream.name.as_str().contains('.') {
            findings.warn(format!(
                "upstream {name}: Consul namespaces are off, so the dot is part of the service's name; write the name without it if a namespace was meant"
            ));
        }
        if port < 1024 {
            findings.warn(format!(
                "upstream {name}: local port {port} is privileged and Envoy does not run as root; use a port from 1024 on if it cannot be bound"
            ));
        }
        if own_port == Some(port) {
            findings.warn(format!(
                "upstream {name}: local port {port} is the service's own, so Envoy would listen there in its place and send the service's traffic to the upstream; use another port"
            ));
        } else if pod.spec.lists_port(port) {
            findings.warn(format!(
                "upstream {name}: local port {port} is also a port of this pod's containers, and only one of them can listen on it; use another port"
            ));
        }
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
                let problem = Problem::new(full(PROTOCOL), "is not a protocol", Protocol::REMEDY);
                findings.problem(problem.value(written));
            }
            protocol
        }
        None => central_config.default_protocol,
    };
    if written.is_some() && !central_config.enabled {
        findings.warn(format!(
            "{} has no effect, since the setting centralConfig.enabled is false; write a service-defaults entry in Consul",
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
