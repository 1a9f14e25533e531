//! Dataplane mode: runs consul-dataplane beside the app. The chart's controllers register the
//! pod. Modules have the names of the corresponding files of consul-k8s's webhook.

mod addresses;
mod consul_dataplane_sidecar;
mod container_init;
mod default;
mod dns;
mod envoy_args;
mod health_checks;
mod injection;
mod lifecycle;
mod metrics;
mod names;
mod native_sidecar;
mod overwrite_probes;
mod pod_options;
mod ports;
mod proxy;
mod proxy_ports;
mod redirect_traffic;
mod service;
mod settings;
mod users;
mod volumes;
mod written_back;

pub use settings::Settings;

use k8s_openapi::api::core::v1::VolumeMount;

use super::candidate::Candidate;
use super::plan::{Additions, Plan, Summary};
use super::shared::upstream_env::{self, Listener, UpstreamEnv};
use super::shared::volumes::{DATA, DATA_PATH, Volume, in_memory, mount, token};
use super::shared::{consul_namespace, obstacles, pod_resources, unfinished_job};
use crate::annotations::full;
use crate::annotations::names::NATIVE_SIDECAR;
use crate::consul::catalog_upstream::CatalogUpstream;
use crate::consul::service_name::ServiceName;
use crate::problem::Findings;
use crate::text::Shortened;
use injection::Injection;
use pod_options::PodOptions;
use proxy::Proxy;
use redirect_traffic::Redirected;
use volumes::AccessLog;

/// Whether a container of this name is one that this mode injects.
pub fn is_injected_container(name: &str) -> bool {
    [names::INIT, names::SIDECAR].into_iter().any(|injected| {
        let rest = name.strip_prefix(injected);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    })
}

/// Plans the additions to the pod; `None` if the findings have a problem.
pub fn plan(
    pod: &Candidate<'_>,
    settings: &Settings,
    findings: &mut Findings,
) -> anyhow::Result<Option<Plan>> {
    users::check(pod, settings, findings);
    let options = PodOptions::read(pod, settings, findings);
    let proxies = injection::proxies(pod, settings, &options);
    let volumes = volumes(&options, &proxies);
    check_names(pod, &options, &proxies, &volumes, findings);
    let namespace = consul_namespace::of(pod, settings.consul_namespaces.as_ref(), findings);
    upstream_env::check_size(options.upstreams.len(), pod.spec, findings);
    check_pod_resources(pod, settings, &options, findings);
    if !findings.problems.is_empty() {
        return Ok(None);
    }
    let listeners: Vec<Listener> =
        options.upstreams.iter().map(|upstream| listener(upstream, settings)).collect();
    let upstream_env = UpstreamEnv::new(&listeners, findings);
    upstream_env.warn_of_kept(pod.spec, findings);
    if options.native.is_none() {
        let remedy = match settings.native_sidecars {
            true => format!("remove {}", full(NATIVE_SIDECAR)),
            false => unfinished_job::NATIVE_SIDECARS.to_owned(),
        };
        unfinished_job::warn(pod, &remedy, findings);
    }
    let injection = Injection {
        settings,
        options: &options,
        service_account: pod.spec.service_account(),
        namespace: namespace.as_ref(),
        redirection: redirection(settings, &options)?,
        proxies,
    };
    let (init_containers, containers) = containers(&injection);
    let mounts = options.volumes.mounted_in.iter().map(|position| (*position, mount(DATA, DATA_PATH)));
    let transparent_proxy = options.transparent_proxy.as_ref();
    Ok(Some(Plan {
        annotations: written_back::annotations(pod, &injection)?,
        labels: written_back::labels(),
        volumes,
        user_volumes: options.volumes.volumes.clone(),
        init_containers,
        containers,
        upstream_env,
        mounts: mounts.collect(),
        probe_ports: transparent_proxy.map(|proxy| proxy.probe_ports.clone()).unwrap_or_default(),
        dns: options.dns.clone(),
        summary: summary(&options),
    }))
}

/// Reports the pod's containers, volumes and mounts that conflict with the injected ones.
fn check_names(
    pod: &Candidate<'_>,
    options: &PodOptions,
    proxies: &[Proxy<'_>],
    volumes: &[Volume],
    findings: &mut Findings,
) {
    let containers: Vec<String> =
        proxies.iter().flat_map(|proxy| [proxy.init_name(), proxy.sidecar_name()]).collect();
    let is_container = |name: &str| containers.iter().any(|injected| injected == name);
    let is_volume = |name: &str| volumes.iter().any(|injected| injected.name == name);
    obstacles::check(pod, is_container, is_volume, findings);
    let mounts: Vec<VolumeMount> =
        proxies.iter().flat_map(|proxy| consul_dataplane_sidecar::injected_mounts(options, proxy)).collect();
    options.volumes.check_injected(volumes, &mounts, findings);
}

fn check_pod_resources(
    pod: &Candidate<'_>,
    settings: &Settings,
    options: &PodOptions,
    findings: &mut Findings,
) {
    let injected = pod_resources::Injected {
        init: &settings.init_resources,
        sidecars: &vec![(names::SIDECAR, &options.resources); options.services.proxies()],
        native: options.native.is_some(),
    };
    pod_resources::check(pod, &injected, findings);
}

/// The address at which the app reaches an upstream.
fn listener(upstream: &CatalogUpstream, settings: &Settings) -> Listener {
    let address = upstream.address(settings.addresses.loopback());
    Listener {
        service: upstream.target.name.clone(),
        written_name: upstream.written_name.clone(),
        datacenter: upstream.options.datacenter.clone(),
        address: address.to_string(),
        port: upstream.port,
    }
}

fn redirection(settings: &Settings, options: &PodOptions) -> anyhow::Result<Option<String>> {
    let Some(proxy) = &options.transparent_proxy else { return Ok(None) };
    let probe_ports: Vec<u16> = proxy.probe_ports.iter().map(|probe| probe.port).collect();
    let redirected = Redirected {
        dns: options.dns.is_some(),
        metrics: &options.metrics,
        health: &options.health,
        probe_ports: &probe_ports,
    };
    redirect_traffic::config(&proxy.excluded, &redirected, settings.addresses).map(Some)
}

/// Native sidecars start before the user's init containers, which can then use the mesh. With an
/// ordinary sidecar those run first, because redirected traffic would reach nothing. It is the
/// first container if its lifecycle is managed, and the last otherwise.
fn containers(injection: &Injection<'_>) -> (Additions, Additions) {
    let native = injection.options.native.is_some();
    let mut init_containers = Vec::new();
    let mut sidecars = Vec::new();
    for proxy in &injection.proxies {
        init_containers.push(container_init::container(injection, proxy));
        let sidecar = consul_dataplane_sidecar::container(injection, proxy);
        if native {
            init_containers.push(sidecar);
        } else {
            sidecars.push(sidecar);
        }
    }
    let placed = |containers, first| match first {
        true => Additions { first: containers, last: Vec::new() },
        false => Additions { first: Vec::new(), last: containers },
    };
    let managed = injection.options.lifecycle.managed.is_some();
    (placed(init_containers, native), placed(sidecars, managed))
}

fn volumes(options: &PodOptions, proxies: &[Proxy<'_>]) -> Vec<Volume> {
    let tokens: Vec<_> = proxies.iter().filter_map(|proxy| proxy.token.as_ref()).collect();
    let own_token = tokens.iter().any(|token| matches!(token, proxy::Token::Pod));
    let mut volumes = vec![in_memory(DATA)];
    volumes.extend(own_token.then(token));
    volumes.extend(options.access_log.as_ref().map(|_| AccessLog::volume()));
    volumes.extend(tokens.iter().filter_map(|token| token.secret_volume()));
    volumes
}

/// The summary says what the pod waits for: the policy does not see the Kubernetes Service.
fn summary(options: &PodOptions) -> Summary {
    let services = &options.services;
    let names: Vec<&str> = services.names.iter().map(ServiceName::as_str).collect();
    let ports: Vec<&str> = services.ports.iter().map(|port| port.written.as_str()).collect();
    // The API server has not validated the names of ports yet.
    let list = |texts: &[&str]| Shortened(&texts.join(","), 250).to_string();
    let (service, waits_for) = match names.as_slice() {
        [] => (
            "with the name of its Kubernetes Service".to_owned(),
            "the pod starts when one Service selects it",
        ),
        [name] => ((*name).to_owned(), "the pod starts when one Kubernetes Service selects it"),
        names => (list(names), "the pod starts when a Kubernetes Service of each name selects it"),
    };
    Summary { service, ports: list(&ports), upstreams: options.upstreams.len(), waits_for: Some(waits_for) }
}
