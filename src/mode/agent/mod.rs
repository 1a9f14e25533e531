//! Agent mode: the pod registers itself with the Consul agent on its node, and runs Envoy beside
//! the app.

mod checks;
mod default;
mod envoy;
mod free_port;
mod init;
mod injection;
mod lifecycle;
mod metrics;
mod names;
mod ports;
mod readiness;
mod registration;
mod scripts;
mod service_defaults;
mod service_spec;
mod settings;
mod volumes;

use std::collections::BTreeMap;

pub use names::CONTAINERS;
pub use settings::Settings;

use super::candidate::Candidate;
use super::plan::{Additions, Plan, Summary};
use super::shared::upstream_env::{LOOPBACK, Listener, UpstreamEnv};
use super::shared::{consul_namespace, obstacles, pod_resources, unfinished_job, upstream_env};
use crate::annotations::names::{NAMESPACE, PORT, PREFIX, SERVICE, STATUS};
use crate::consul::namespace::Namespace;
use crate::consul::upstream::Upstream;
use crate::problem::Findings;
use injection::Injection;
use names::{ENVOY, LIFECYCLE, VOLUMES};
use service_spec::ServiceSpec;

/// Plans the additions to the pod; `None` if the findings have a problem.
pub fn plan(
    pod: &Candidate<'_>,
    settings: &Settings,
    findings: &mut Findings,
) -> anyhow::Result<Option<Plan>> {
    let is_volume = |name: &str| VOLUMES.contains(&name);
    obstacles::check(pod, |name| CONTAINERS.contains(&name), is_volume, findings);
    let service = ServiceSpec::read(pod, settings, findings);
    check_pod_resources(pod, settings, service.as_ref(), findings);
    let namespace = consul_namespace::of(pod, settings.consul_namespaces.as_ref(), findings);
    let Some(service) = service else { return Ok(None) };
    upstream_env::check_size(service.upstreams.len(), pod.spec, findings);
    let injection = Injection::new(pod, settings, &service, namespace.as_ref())?;
    registration::check_size(&injection.registration, findings);
    if !findings.problems.is_empty() {
        return Ok(None);
    }
    let listeners: Vec<Listener> = service.upstreams.iter().map(listener).collect();
    let upstream_env = UpstreamEnv::new(&listeners, findings);
    upstream_env.warn_of_kept(pod.spec, findings);
    if !settings.native_sidecars {
        unfinished_job::warn(pod, unfinished_job::NATIVE_SIDECARS, findings);
    }
    let (init_containers, containers) = containers(&injection)?;
    let summary = Summary {
        service: service.name.to_string(),
        ports: service.port_number().map(|port| port.to_string()).unwrap_or_default(),
        upstreams: service.upstreams.len(),
        waits_for: None,
    };
    Ok(Some(Plan {
        summary,
        annotations: annotations(pod, &service, namespace.as_ref()),
        labels: BTreeMap::from([status()]),
        volumes: volumes::volumes(settings),
        init_containers,
        containers,
        upstream_env,
        ..Plan::default()
    }))
}

/// The additions to both lists of containers. Native sidecars start before the user's init
/// containers, which can then use the mesh.
fn containers(injection: &Injection<'_>) -> anyhow::Result<(Additions, Additions)> {
    let init = init::container(injection)?;
    let (envoy, lifecycle) = (envoy::container(injection), lifecycle::container(injection));
    let (first, last) = match injection.settings.native_sidecars {
        // The containers after the lifecycle sidecar do not start until Envoy listens.
        true => (vec![init, envoy, lifecycle], Vec::new()),
        // Heartbeats start without waiting for Envoy's image.
        false => (vec![init], vec![lifecycle, envoy]),
    };
    Ok((Additions { first, last: Vec::new() }, Additions { first: Vec::new(), last }))
}

fn check_pod_resources(
    pod: &Candidate<'_>,
    settings: &Settings,
    service: Option<&ServiceSpec>,
    findings: &mut Findings,
) {
    let envoy = service.map_or(&settings.envoy.resources, |service| &service.envoy_resources);
    let injected = pod_resources::Injected {
        init: &settings.init_resources,
        sidecars: &[(ENVOY, envoy), (LIFECYCLE, &settings.lifecycle_resources)],
        native: settings.native_sidecars,
    };
    pod_resources::check(pod, &injected, findings);
}

/// The annotations for service and port are added to pods that do not have them.
fn annotations(
    pod: &Candidate<'_>,
    service: &ServiceSpec,
    namespace: Option<&Namespace>,
) -> BTreeMap<String, String> {
    let missing = |name: &str| pod.annotations.get(name).is_none();
    let mut annotations = BTreeMap::from([status()]);
    annotations.extend(service.metrics.annotations());
    if let Some(namespace) = namespace {
        annotations.insert(format!("{PREFIX}{NAMESPACE}"), namespace.name.clone());
    }
    if missing(SERVICE) {
        annotations.insert(format!("{PREFIX}{SERVICE}"), service.name.to_string());
    }
    if let Some(port) = service.port.as_ref().and_then(|port| port.written_back.as_ref()) {
        annotations.insert(format!("{PREFIX}{PORT}"), port.clone());
    }
    annotations
}

fn status() -> (String, String) {
    (format!("{PREFIX}{STATUS}"), "injected".to_owned())
}

/// The address at which the app reaches an upstream.
fn listener(upstream: &Upstream) -> Listener {
    Listener {
        service: upstream.name.to_string(),
        written_name: upstream.written_name().into_owned(),
        datacenter: upstream.datacenter.clone(),
        address: LOOPBACK.to_owned(),
        port: upstream.port,
    }
}
