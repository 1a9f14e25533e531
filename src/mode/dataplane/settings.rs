//! The settings of dataplane mode. Their names are those of Consul's Helm chart.

use std::net::IpAddr;

use super::addresses::Addresses;
use super::default::{self, CONCURRENCY_LIMIT};
use super::dns::DnsSettings;
use super::envoy_args;
use super::health_checks::HealthDefaults;
use super::lifecycle::LifecycleDefaults;
use super::metrics::MetricsDefaults;
use super::native_sidecar::NativeProbe;
use super::{ports, volumes};
use crate::consul::duration::Millis;
use crate::consul::envoy_args::EnvoyArgs;
use crate::consul::namespace::{ConsulNamespaces, NAME_RULE, is_namespace_name};
use crate::k8s::names::is_dns_subdomain;
use crate::problem::Flaw;
use crate::settings::blocks::{self, Tls};
use crate::settings::image::{Release, tag};
use crate::settings::reader::SettingsReader;
use crate::settings::resources::{Resources, resources};

#[derive(Debug)]
pub struct Settings {
    pub image_k8s: String,
    pub image_dataplane: String,
    pub image_pull_policy: Option<String>,
    pub servers: Servers,
    pub log: Log,
    pub init_resources: Resources,
    pub sidecar: Sidecar,
    pub lifecycle: LifecycleDefaults,
    pub native_sidecars: bool,
    pub native_probe: NativeProbe,
    pub transparent_proxy: TransparentProxyDefaults,
    /// Whether the CNI plugin redirects the traffic instead of the init container.
    pub cni: bool,
    pub dns: DnsSettings,
    pub metrics: MetricsDefaults,
    pub access_log_path: Option<String>,
    /// `None`: Consul namespaces are off.
    pub consul_namespaces: Option<ConsulNamespaces>,
    /// `None`: admin partitions are off.
    pub partition: Option<String>,
    /// `None`: ACLs are off.
    pub auth_method: Option<String>,
    pub tls: Option<Tls>,
    pub openshift: bool,
    pub addresses: Addresses,
}

/// The address and ports of the Consul servers.
#[derive(Debug)]
pub struct Servers {
    pub address: String,
    /// The HTTPS port where TLS is on.
    pub http_port: u16,
    pub grpc_port: u16,
    pub api_timeout: String,
    pub skip_server_watch: bool,
}

#[derive(Debug)]
pub struct Log {
    pub level: String,
    pub json: bool,
}

#[derive(Debug)]
pub struct Sidecar {
    pub resources: Resources,
    pub concurrency: u32,
    pub extra_args: EnvoyArgs,
    pub health: HealthDefaults,
}

#[derive(Debug)]
pub struct TransparentProxyDefaults {
    pub enabled: bool,
    pub overwrite_probes: bool,
}

impl Settings {
    pub fn read(top: &mut SettingsReader<'_, '_>) -> Self {
        let image_k8s = blocks::image(top, "imageK8S", default::IMAGE_K8S);
        let image_dataplane = image_dataplane(top);
        let image_pull_policy = blocks::pull_policy(top);
        let extra_args = blocks::envoy_extra_args(top);
        if let Some(flaw) = envoy_args::log_format_flaw(&extra_args) {
            top.problem_without_value("envoyExtraArgs", flaw);
        }
        let log = log(top);
        let api_timeout = api_timeout(top);
        let native_sidecars = top.bool("nativeSidecars", true);
        let native_probe = top.block("dataplaneAsSidecarInitContainer", NativeProbe::read);
        let init_resources = top.block("initContainer", |block| resources(block, &default::INIT));
        let mut lifecycle = LifecycleDefaults::default();
        let sidecar = top.block("sidecarProxy", |block| {
            lifecycle = block.block("lifecycle", LifecycleDefaults::read);
            Sidecar {
                resources: resources(block, &default::SIDECAR),
                concurrency: block.number("concurrency", 0, CONCURRENCY_LIMIT, default::CONCURRENCY),
                extra_args,
                health: HealthDefaults::read(block),
            }
        });
        let openshift = top.bool("openshift", false);
        let transparent_proxy = transparent_proxy(top, openshift);
        let cni = top.block("cni", |block| block.bool("enabled", false));
        let dns = top.block("dns", |block| DnsSettings::read(block, transparent_proxy.enabled));
        let metrics = top.block("metrics", MetricsDefaults::read);
        check_ports(top, &lifecycle, &metrics);
        let access_log_path = top.block("accessLogs", access_log_path);
        let consul_namespaces = blocks::consul_namespaces(top, true);
        let partition = partition(top, consul_namespaces.is_some());
        let auth_method = blocks::acl_auth_method(top);
        let tls = blocks::tls(top, false);
        let servers = top.block("servers", |block| {
            let http_port = block.port("httpPort", 1, default::HTTP_PORT);
            let https_port = block.port("httpsPort", 1, default::HTTPS_PORT);
            Servers {
                address: address(block),
                http_port: if tls.is_some() { https_port } else { http_port },
                grpc_port: block.port("grpcPort", 1, default::GRPC_PORT),
                api_timeout,
                skip_server_watch: block.bool("skipServerWatch", false),
            }
        });
        let addresses = Addresses { dual_stack: top.bool("dualStack", false) };
        Settings {
            image_k8s,
            image_dataplane,
            image_pull_policy,
            servers,
            log,
            init_resources,
            sidecar,
            lifecycle,
            native_sidecars,
            native_probe,
            transparent_proxy,
            cni,
            dns,
            metrics,
            access_log_path,
            consul_namespaces,
            partition,
            auth_method,
            tls,
            openshift,
            addresses,
        }
    }

    /// The version in an injected pod's annotations. The controllers do not register pods of
    /// versions before 1.0.0.
    pub fn k8s_version(&self) -> String {
        let tag = tag(&self.image_k8s).map(|tag| tag.strip_prefix('v').unwrap_or(tag));
        let version = tag.and_then(|tag| tag.split('-').next());
        match version.filter(|version| Release::parse(version).is_some_and(|release| release.major > 0)) {
            Some(version) => format!("v{version}"),
            None => default::K8S_VERSION.to_owned(),
        }
    }
}

fn image_dataplane(top: &mut SettingsReader<'_, '_>) -> String {
    /// The first with `-graceful-addr` and `-check-proxy-health`.
    const OLDEST: Release = Release { major: 1, minor: 9 };
    let key = "imageConsulDataplane";
    let image = blocks::image(top, key, default::IMAGE_DATAPLANE);
    if Release::of("consul-dataplane", &image).is_some_and(|release| release < OLDEST) {
        let why = "must be version 1.9 or later, which supports all flags that the policy sets";
        let remedy = format!("write an image such as {}", default::IMAGE_DATAPLANE);
        top.problem(key, &image, Flaw::new(why, remedy));
    }
    image
}

/// Reports ports that two parts of the proxy would use, whether or not they are enabled.
fn check_ports(top: &mut SettingsReader<'_, '_>, lifecycle: &LifecycleDefaults, metrics: &MetricsDefaults) {
    let chosen = [
        ("sidecarProxy.lifecycle.defaultGracefulPort", lifecycle.graceful_port, ports::GRACEFUL_OWNER),
        ("metrics.defaultPrometheusScrapePort", metrics.scrape.port, ports::SCRAPE_OWNER),
        ("metrics.defaultMergedMetricsPort", metrics.merged_port, ports::MERGED_OWNER),
    ];
    for (key, port, _) in chosen {
        let others =
            chosen.iter().filter(|(other, ..)| *other != key).map(|(_, port, owner)| (*port, *owner));
        if let Some((_, owner)) = others.chain(ports::OWNERS).find(|(other, _)| *other == port) {
            top.problem(key, &port.to_string(), ports::taken(owner));
        }
    }
}

fn log(top: &mut SettingsReader<'_, '_>) -> Log {
    const LEVELS: [&str; 5] = ["trace", "debug", "info", "warn", "error"];
    let key = "logLevel";
    let rule = "must be trace, debug, info, warn or error";
    // The chart's own default is the empty string.
    let written = top.string_with_rule(key, rule).filter(|level| !level.is_empty());
    let level = written.unwrap_or(default::LOG_LEVEL).to_owned();
    if !LEVELS.contains(&level.to_ascii_lowercase().as_str()) {
        top.problem(key, &level, rule);
    }
    Log { level, json: top.bool("logJSON", false) }
}

fn api_timeout(top: &mut SettingsReader<'_, '_>) -> String {
    let key = "consulAPITimeout";
    let rule = "must be a duration longer than 0, such as 5s";
    let text = top.string_with_rule(key, rule).unwrap_or(default::API_TIMEOUT);
    if matches!(Millis::parse_go(text), None | Some(Millis(0))) {
        top.problem(key, text, rule);
    }
    text.to_owned()
}

fn transparent_proxy(top: &mut SettingsReader<'_, '_>, openshift: bool) -> TransparentProxyDefaults {
    top.block("transparentProxy", |block| {
        let key = "defaultEnabled";
        let enabled = block.bool(key, true);
        if enabled && openshift {
            let why = "must be false with openshift: true, because the redirection of traffic requires a known user ID of the proxy";
            let remedy = "set it to false, or set openshift: false and use a security context constraint that allows user 5995";
            block.problem_without_value(key, Flaw::new(why, remedy));
        }
        TransparentProxyDefaults { enabled, overwrite_probes: block.bool("defaultOverwriteProbes", true) }
    })
}

fn access_log_path(block: &mut SettingsReader<'_, '_>) -> Option<String> {
    let key = "path";
    let path = block.non_empty(key)?;
    if let Some(flaw) = volumes::access_log_flaw(path) {
        block.problem(key, path, flaw);
    }
    Some(path.to_owned())
}

fn partition(top: &mut SettingsReader<'_, '_>, namespaces: bool) -> Option<String> {
    top.block("adminPartitions", |block| {
        let key = "name";
        let name = block.non_empty(key);
        if let Some(name) = name.filter(|name| !is_namespace_name(name)) {
            block.problem(key, name, NAME_RULE);
        }
        let enabled = block.bool("enabled", name.is_some());
        if enabled && !namespaces {
            let why = "requires Consul namespaces, which are disabled";
            let flaw = Flaw::new(why, "set enableConsulNamespaces: true, or remove it");
            block.problem_without_value("enabled", flaw);
        }
        enabled.then(|| name.unwrap_or(default::PARTITION).to_owned())
    })
}

/// The address of the Consul servers, which consul-dataplane and connect-init resolve.
fn address(block: &mut SettingsReader<'_, '_>) -> String {
    let key = "address";
    let address = block.non_empty(key).unwrap_or(default::ADDRESS);
    if address.starts_with("exec=") {
        let why =
            "must not be a command: it would run in every pod, whose containers do not have its program";
        let remedy = "write a DNS name of the servers, or the address of a load balancer";
        block.problem(key, address, Flaw::new(why, remedy));
    } else if address.parse::<IpAddr>().is_err() && !is_dns_subdomain(&address.to_ascii_lowercase()) {
        let rule =
            format!("must be a DNS name or an IP address without a port, such as {}", default::ADDRESS);
        block.problem(key, address, rule);
    }
    address.to_owned()
}
