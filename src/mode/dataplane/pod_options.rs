//! The options in a pod's annotations, with the settings as defaults.

use k8s_openapi::api::core::v1::PodDNSConfig;

use super::default::CONCURRENCY_LIMIT;
use super::envoy_args;
use super::health_checks::HealthChecks;
use super::lifecycle::Lifecycle;
use super::metrics::Metrics;
use super::native_sidecar::{self, NativeProbe};
use super::redirect_traffic::{self, Excluded};
use super::service::Services;
use super::settings::Settings;
use super::volumes::{AccessLog, UserVolumes};
use super::{dns, overwrite_probes, proxy_ports};
use crate::annotations::metadata::MetaValue;
use crate::annotations::names::{CONCURRENCY, META, OVERWRITE_PROBES, PROXY_CONFIG, UPSTREAMS};
use crate::annotations::reader::{AnnotationReader, Empty};
use crate::annotations::{full, metadata, resources, unknown};
use crate::consul::catalog_upstream::{self, CatalogUpstream};
use crate::mode::candidate::Candidate;
use crate::mode::plan::ProbePort;
use crate::mode::shared::upstream_ports;
use crate::problem::Findings;
use crate::settings::ModeName;
use crate::settings::resources::Resources;

/// The keys of the metadata that the endpoints controller writes.
const RESERVED_METADATA: &[&str] =
    &["pod-name", "pod-uid", "k8s-namespace", "k8s-service-name", "managed-by", "synthetic-node"];

#[derive(Debug)]
pub struct PodOptions {
    pub services: Services,
    pub upstreams: Vec<CatalogUpstream>,
    /// `None`: transparent proxy is off.
    pub transparent_proxy: Option<TransparentProxy>,
    pub dns: Option<PodDNSConfig>,
    pub metrics: Metrics,
    pub lifecycle: Lifecycle,
    pub health: HealthChecks,
    /// `None`: the proxy is an ordinary container.
    pub native: Option<NativeProbe>,
    pub concurrency: u32,
    /// Arguments for Envoy in addition to consul-dataplane's.
    pub envoy_args: Vec<String>,
    pub resources: Resources,
    pub volumes: UserVolumes,
    pub access_log: Option<AccessLog>,
}

#[derive(Debug)]
pub struct TransparentProxy {
    pub excluded: Excluded,
    pub overwrite_probes: bool,
    pub probe_ports: Vec<ProbePort>,
}

impl PodOptions {
    /// Reads all annotations of a pod. Its default replaces an invalid value, so that all problems
    /// are found.
    pub fn read(pod: &Candidate<'_>, settings: &Settings, findings: &mut Findings) -> Self {
        unknown::warn(pod.annotations, ModeName::Dataplane, findings);
        let metadata = metadata::parse(pod.annotations, RESERVED_METADATA, findings);
        warn_of_variables(&metadata, findings);
        let resources = resources::parse(pod.annotations, &settings.sidecar.resources, findings);
        let mut reader = AnnotationReader { annotations: pod.annotations, spec: pod.spec, findings };
        let reader = &mut reader;
        let services = Services::read(reader, pod, settings);
        let upstreams = upstreams(reader, &services, settings);
        let transparent_proxy = transparent_proxy(reader, pod, settings);
        let dns = dns::config(reader, &settings.dns, settings.addresses, pod, transparent_proxy.is_some());
        let metrics =
            Metrics::read(reader, &settings.metrics, services.ports.first().map(|port| port.number));
        services.check_together(reader, transparent_proxy.is_some(), metrics.scrape.enabled, metrics.merging);
        let lifecycle = Lifecycle::read(reader, &settings.lifecycle, pod.is_job);
        let proxy_ports =
            proxy_ports::of(&services, &lifecycle, &metrics, dns.is_some(), transparent_proxy.is_some());
        proxy_ports::check(&proxy_ports, reader);
        proxy_ports::check_upstreams(&proxy_ports, &upstreams, settings.addresses.loopback(), reader);
        let health = HealthChecks::read(reader, &settings.sidecar.health, pod.is_job);
        let native = native_sidecar::read(reader, settings.native_sidecars, &settings.native_probe);
        let concurrency = reader.number(CONCURRENCY, 0, CONCURRENCY_LIMIT);
        let extra_args = &settings.sidecar.extra_args;
        let envoy_args = envoy_args::read(reader, extra_args, services.are_several());
        let volumes = UserVolumes::read(reader);
        let access_log = AccessLog::read(reader, settings.access_log_path.as_deref());
        check_proxy_config(reader);
        PodOptions {
            services,
            upstreams,
            transparent_proxy,
            dns,
            metrics,
            lifecycle,
            health,
            native,
            concurrency: concurrency.unwrap_or(settings.sidecar.concurrency),
            envoy_args,
            resources,
            volumes,
            access_log,
        }
    }
}

/// The controller replaces only `$POD_NAME`.
fn warn_of_variables(metadata: &[(String, MetaValue)], findings: &mut Findings) {
    for (key, value) in metadata {
        if let MetaValue::Variable(name) = value
            && *name != "POD_NAME"
        {
            findings.warn(format!(
                "{}: Consul's endpoints controller does not replace ${name}, so the value stays as it is; remove it",
                full(&format!("{META}{key}"))
            ));
        }
    }
}

fn upstreams(
    reader: &mut AnnotationReader<'_, '_>,
    services: &Services,
    settings: &Settings,
) -> Vec<CatalogUpstream> {
    let Some(value) = reader.get(UPSTREAMS) else { return Vec::new() };
    let spec = reader.spec;
    let resolve_port = |text: &str| spec.resolve_container_port(text);
    // Partitions require namespaces.
    let namespaces = settings.consul_namespaces.is_some();
    let findings = &mut *reader.findings;
    let upstreams = catalog_upstream::parse_list(
        &full(UPSTREAMS),
        value,
        &resolve_port,
        namespaces,
        settings.addresses.loopback(),
        findings,
    );
    let own: Vec<u16> = services.ports.iter().map(|port| port.number).collect();
    for CatalogUpstream { target, port, .. } in &upstreams {
        if !target.prepared_query && !namespaces {
            upstream_ports::warn_of_dot(&target.name, findings);
        }
        upstream_ports::warn(&target.name, *port, &own, spec, findings);
    }
    upstreams
}

fn transparent_proxy(
    reader: &mut AnnotationReader<'_, '_>,
    pod: &Candidate<'_>,
    settings: &Settings,
) -> Option<TransparentProxy> {
    let enabled = redirect_traffic::enabled(reader, settings);
    let asked = reader.bool(OVERWRITE_PROBES, Empty::Invalid);
    let excluded = Excluded::read(reader, settings.addresses);
    if !enabled {
        return None;
    }
    let overwrite_probes = asked.unwrap_or(settings.transparent_proxy.overwrite_probes);
    overwrite_probes::warn(pod.spec, overwrite_probes, &excluded, reader);
    let probe_ports = match overwrite_probes {
        true => overwrite_probes::ports(pod.spec, pod.spec_path, reader),
        false => Vec::new(),
    };
    Some(TransparentProxy { excluded, overwrite_probes, probe_ports })
}

/// Checks the proxy configuration: the controller silently ignores an invalid one.
fn check_proxy_config(reader: &mut AnnotationReader<'_, '_>) {
    let Some(written) = reader.written(PROXY_CONFIG) else { return };
    let rule = "must be a JSON object such as {\"local_connect_timeout_ms\": 1000}";
    reader.json::<serde_json::Map<_, _>>(PROXY_CONFIG, written, rule);
}
