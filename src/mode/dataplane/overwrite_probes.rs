//! HTTP probes of the app with transparent proxy: they are overwritten to call listeners of
//! Envoy, which the endpoints controller configures from the original probes.

use k8s_openapi::api::core::v1::Probe;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde::Serialize;

use super::redirect_traffic::Excluded;
use crate::annotations::full;
use crate::annotations::names::{EXCLUDE_INBOUND_PORTS, OVERWRITE_PROBES, PREFIX};
use crate::annotations::reader::AnnotationReader;
use crate::k8s::pod::{Container, PodSpec};
use crate::k8s::ports;
use crate::mode::plan::ProbePort;
use crate::problem::{Flaw, Problem};
use crate::text::Quoted;

/// The probes and the port of the first container's, in the order of the redirection's
/// exclusions. Each further container's port is one higher.
const KINDS: [(&str, u16); 3] =
    [("livenessProbe", 20300), ("readinessProbe", 20400), ("startupProbe", 20500)];
/// More containers would share ports.
const CONTAINERS_LIMIT: usize = 100;

fn probe<'p>(container: &'p Container, kind: &str) -> Option<&'p Probe> {
    container.probes().find(|(field, _)| *field == kind).map(|(_, probe)| probe)
}

/// The new ports of the HTTP probes: by container, in the order of [`KINDS`].
pub fn ports(spec: &PodSpec, spec_path: &str, reader: &mut AnnotationReader<'_, '_>) -> Vec<ProbePort> {
    if spec.containers.len() > CONTAINERS_LIMIT {
        let why = format!(
            "must be at most {CONTAINERS_LIMIT}: Envoy has no ports for the probes of more containers"
        );
        let remedy = format!("set {} to \"false\"", full(OVERWRITE_PROBES));
        reader.findings.problem(Flaw::new(why, remedy).at(format!("{spec_path}.containers")));
        return Vec::new();
    }
    let mut ports = Vec::new();
    for (index, container) in spec.containers.iter().enumerate() {
        for (kind, first) in KINDS {
            if let Some(http) = probe(container, kind).and_then(|probe| probe.http_get.as_ref()) {
                // The controller looks for a name in all containers.
                if !spec.containers.iter().any(|any| ports::of_probe(any, &http.port).is_some()) {
                    let subject = format!("{spec_path}.containers[{index}].{kind}.httpGet.port");
                    reader.findings.problem(invalid_port(subject, &http.port));
                }
                let number = u16::try_from(index).map_or(first, |index| first.saturating_add(index));
                ports.push(ProbePort { container: index, probe: kind, port: number });
            }
        }
    }
    ports
}

/// Overwriting an invalid port would hide it from the API server, and from the kubelet.
fn invalid_port(subject: String, port: &IntOrString) -> Problem {
    let rule = "must be a port number from 1 to 65535, or the name of a container port";
    match port {
        IntOrString::Int(number) => Problem::new(subject, rule).json(&number.to_string()),
        IntOrString::String(text) => Problem::new(subject, rule).value(text),
    }
}

/// Warns of probes that do not check the app because of transparent proxy.
pub fn warn(spec: &PodSpec, overwritten: bool, excluded: &Excluded, reader: &mut AnnotationReader<'_, '_>) {
    // A probe of another host or of an excluded port does not reach Envoy.
    let is_redirected = |container: &Container, probe: &Probe| {
        ports::probed(container, probe).is_some_and(|port| !excluded.has_inbound_port(port))
    };
    for container in &spec.containers {
        for (kind, probe) in container.probes() {
            let overwritten = overwritten && probe.http_get.is_some();
            if let Some(why) = flaw(probe, overwritten)
                && (overwritten || is_redirected(container, probe))
            {
                reader.warn(warning(container, kind, probe, why, overwritten));
            }
        }
    }
    for container in spec.init_containers.iter().filter(|container| container.is_native_sidecar()) {
        for (kind, probe) in container.probes().filter(|(_, probe)| is_redirected(container, probe)) {
            let why = "reaches Envoy, because probes of native sidecars are not overwritten";
            reader.warn(warning(container, kind, probe, why, false));
        }
    }
}

fn flaw(probe: &Probe, overwritten: bool) -> Option<&'static str> {
    if probe.tcp_socket.is_some() {
        return Some("reaches Envoy instead of the app, and always succeeds");
    }
    if probe.grpc.is_some() {
        return Some("reaches Envoy instead of the app, and always fails");
    }
    let http = probe.http_get.as_ref()?;
    if !overwritten {
        return Some("reaches Envoy and fails, because probes are not overwritten");
    }
    if http.scheme.as_deref().is_some_and(|scheme| scheme.eq_ignore_ascii_case("HTTPS")) {
        return Some("uses HTTPS, which Envoy's listener for probes does not support");
    }
    ports::names_host(http.host.as_deref()).then_some("sets a host, where Envoy does not listen")
}

/// Says how the probe can bypass Envoy. An overwritten one must also keep its port.
fn warning(container: &Container, kind: &str, probe: &Probe, why: &str, overwritten: bool) -> String {
    let port =
        ports::probed(container, probe).map_or_else(|| "its port".to_owned(), |port| format!("\"{port}\""));
    let keep = if overwritten { format!(" and {OVERWRITE_PROBES} to \"false\"") } else { String::new() };
    format!(
        "container {}: the {kind} {why}; set {PREFIX}{EXCLUDE_INBOUND_PORTS} to {port}{keep}",
        Quoted(&container.name, 30),
    )
}

/// The parts of the pod before injection that the endpoints controller reads: the ports of its
/// containers and HTTP probes.
#[derive(Debug, Default, Serialize)]
pub struct OriginalPod<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    spec: Option<OriginalSpec<'a>>,
}

#[derive(Debug, Serialize)]
struct OriginalSpec<'a> {
    containers: Vec<OriginalContainer<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct OriginalContainer<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ports: Vec<OriginalPort<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    liveness_probe: Option<OriginalProbe<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    readiness_probe: Option<OriginalProbe<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    startup_probe: Option<OriginalProbe<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct OriginalPort<'a> {
    name: &'a str,
    container_port: i32,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct OriginalProbe<'a> {
    http_get: OriginalHttpGet<'a>,
}

#[derive(Debug, Serialize)]
struct OriginalHttpGet<'a> {
    port: &'a IntOrString,
}

impl<'a> OriginalPod<'a> {
    pub fn of(spec: &'a PodSpec) -> Self {
        let probe = |probe: &'a Option<Probe>| {
            let port = &probe.as_ref()?.http_get.as_ref()?.port;
            Some(OriginalProbe { http_get: OriginalHttpGet { port } })
        };
        let containers = spec.containers.iter().map(|container| OriginalContainer {
            name: &container.name,
            ports: container.ports.iter().filter_map(named_port).collect(),
            liveness_probe: probe(&container.liveness_probe),
            readiness_probe: probe(&container.readiness_probe),
            startup_probe: probe(&container.startup_probe),
        });
        OriginalPod { spec: Some(OriginalSpec { containers: containers.collect() }) }
    }
}

/// A port that a probe can refer to by name.
fn named_port(port: &k8s_openapi::api::core::v1::ContainerPort) -> Option<OriginalPort<'_>> {
    Some(OriginalPort { name: ports::name(port)?, container_port: port.container_port })
}
