//! Consul DNS: the proxy resolves names such as `web.virtual.consul`.

use std::net::IpAddr;

use k8s_openapi::api::core::v1::{PodDNSConfig, PodDNSConfigOption};

use super::addresses::Addresses;
use super::default;
use crate::annotations::full;
use crate::annotations::names::CONSUL_DNS;
use crate::annotations::reader::{AnnotationReader, Empty};
use crate::k8s::names::is_dns_subdomain;
use crate::mode::candidate::Candidate;
use crate::problem::Flaw;
use crate::settings::reader::SettingsReader;

/// The block `dns`.
#[derive(Debug)]
pub struct DnsSettings {
    redirection: bool,
    nameservers: Vec<IpAddr>,
    cluster_domain: String,
    searches: Vec<String>,
    options: Vec<PodDNSConfigOption>,
}

impl DnsSettings {
    /// Both switches default to transparent proxy's, as in the chart. Without name servers there is
    /// no redirection.
    pub fn read(block: &mut SettingsReader<'_, '_>, transparent_proxy: bool) -> Self {
        const SEARCHES_LIMIT: usize = 29;
        let enabled = block.bool("enabled", transparent_proxy);
        let redirection = block.bool("enableRedirection", transparent_proxy);
        let mut nameservers = Vec::new();
        for written in block.strings("nameservers", "[\"10.96.0.10\"]").unwrap_or_default() {
            match written.parse() {
                Ok(address) => nameservers.push(address),
                Err(_) => {
                    let rule = "must be an IP address, such as the cluster address of the Service kube-dns";
                    block.problem("nameservers", &written, rule);
                }
            }
        }
        if nameservers.len() > 2 {
            let rule =
                "must be at most two: Kubernetes allows three name servers, and the first is the proxy";
            block.problem_without_value("nameservers", rule);
        }
        let key = "clusterDomain";
        let cluster_domain = block.non_empty(key).unwrap_or(default::CLUSTER_DOMAIN).to_owned();
        let rule = "must be a DNS name such as cluster.local";
        if !is_dns_subdomain(&cluster_domain) {
            block.problem(key, &cluster_domain, rule);
        }
        let searches = block.strings("searches", "[\"corp.example\"]").unwrap_or_default();
        for search in searches.iter().filter(|search| !is_dns_subdomain(search)) {
            block.problem("searches", search, rule);
        }
        if searches.len() > SEARCHES_LIMIT {
            let rule = format!(
                "must be at most {SEARCHES_LIMIT}: Kubernetes allows 32, with the three of the cluster"
            );
            block.problem_without_value("searches", rule);
        }
        let options = block.strings("options", "[\"ndots:5\"]");
        if options.iter().flatten().any(|option| option.is_empty() || option.starts_with(':')) {
            block.problem_without_value("options", "must be options of resolv.conf, such as ndots:5");
        }
        let defaults = || default::DNS_OPTIONS.iter().map(|option| (*option).to_owned()).collect();
        let options = options.unwrap_or_else(defaults).iter().map(|option| dns_option(option)).collect();
        DnsSettings { redirection: enabled && redirection, nameservers, cluster_domain, searches, options }
    }

    pub fn warning(&self) -> Option<&'static str> {
        (self.redirection && self.nameservers.is_empty()).then_some(
            "setting dns.nameservers is empty, so pods do not use Consul DNS; write the addresses of the cluster's name servers, or set dns.enabled: false",
        )
    }
}

/// An option as in `resolv.conf`.
fn dns_option(written: &str) -> PodDNSConfigOption {
    let (name, value) = written.split_once(':').map_or((written, None), |(name, value)| (name, Some(value)));
    PodDNSConfigOption { name: Some(name.to_owned()), value: value.map(str::to_owned) }
}

/// The `dnsConfig` of a pod that uses Consul DNS; `None` for other pods.
pub fn config(
    reader: &mut AnnotationReader<'_, '_>,
    settings: &DnsSettings,
    addresses: Addresses,
    pod: &Candidate<'_>,
    transparent_proxy: bool,
) -> Option<PodDNSConfig> {
    let asked = reader.bool(CONSUL_DNS, Empty::Invalid);
    if asked == Some(true) && !transparent_proxy {
        reader.warn(format!("{} has no effect without transparent proxy; remove it", full(CONSUL_DNS)));
    }
    if !transparent_proxy || !asked.unwrap_or(settings.redirection) {
        return None;
    }
    if settings.nameservers.is_empty() {
        if asked == Some(true) {
            let why = "requires the policy's setting dns.nameservers, which is empty";
            let remedy = "ask the policy's administrator to set it, or write \"false\"";
            reader.findings.problem(Flaw::new(why, remedy).at(full(CONSUL_DNS)));
        }
        return None;
    }
    if pod.spec.dns_config.is_some() {
        let why = "is not supported together with Consul DNS, which sets it";
        let remedy = format!("remove it, or set {} to \"false\"", full(CONSUL_DNS));
        reader.findings.problem(Flaw::new(why, remedy).at(format!("{}.dnsConfig", pod.spec_path)));
        return None;
    }
    let domain = &settings.cluster_domain;
    let cluster = [format!("{}.svc.{domain}", pod.namespace), format!("svc.{domain}"), domain.clone()];
    let nameservers = [addresses.loopback()].into_iter().chain(settings.nameservers.iter().copied());
    Some(PodDNSConfig {
        nameservers: Some(nameservers.map(|address| address.to_string()).collect()),
        searches: Some(cluster.into_iter().chain(settings.searches.iter().cloned()).collect()),
        options: (!settings.options.is_empty()).then(|| settings.options.clone()),
    })
}
