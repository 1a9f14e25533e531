//! Transparent proxy: redirects the pod's traffic through Envoy without changes to the app.

use std::net::IpAddr;

use serde::Serialize;

use super::addresses::Addresses;
use super::health_checks::HealthChecks;
use super::metrics::Metrics;
use super::settings::Settings;
use super::{ports, users};
use crate::annotations::names::{
    EXCLUDE_INBOUND_PORTS, EXCLUDE_OUTBOUND_CIDRS, EXCLUDE_OUTBOUND_PORTS, EXCLUDE_UIDS, TRANSPARENT_PROXY,
};
use crate::annotations::reader::{AnnotationReader, Empty};
use crate::problem::Flaw;

/// Traffic that the annotations exclude from the redirection.
#[derive(Debug, Default)]
pub struct Excluded {
    inbound_ports: Vec<String>,
    outbound_ports: Vec<String>,
    outbound_cidrs: Vec<String>,
    uids: Vec<String>,
}

/// Whether transparent proxy is on.
pub fn enabled(reader: &mut AnnotationReader<'_, '_>, settings: &Settings) -> bool {
    let asked = reader.bool(TRANSPARENT_PROXY, Empty::Invalid);
    if let Some(written) = reader.get(TRANSPARENT_PROXY).filter(|_| asked == Some(true) && settings.openshift)
    {
        let rule = "must be \"false\" on OpenShift, where the proxy's user ID is not known before the pod is admitted";
        reader.problem(TRANSPARENT_PROXY, written, rule);
    }
    asked.unwrap_or(settings.transparent_proxy.enabled)
}

impl Excluded {
    pub fn read(reader: &mut AnnotationReader<'_, '_>, addresses: Addresses) -> Self {
        let port_list = |reader: &mut AnnotationReader<'_, '_>, name| {
            items(reader, name, |reader, item| reader.spec.resolve_port(item).map(|port| port.to_string()))
        };
        Excluded {
            inbound_ports: port_list(reader, EXCLUDE_INBOUND_PORTS),
            outbound_ports: port_list(reader, EXCLUDE_OUTBOUND_PORTS),
            outbound_cidrs: items(reader, EXCLUDE_OUTBOUND_CIDRS, |_, item| cidr(item, addresses)),
            uids: items(reader, EXCLUDE_UIDS, |_, item| uid(item)),
        }
    }

    pub fn has_inbound_port(&self, port: u16) -> bool {
        self.inbound_ports.contains(&port.to_string())
    }
}

/// The validated items of a comma-separated list.
fn items(
    reader: &mut AnnotationReader<'_, '_>,
    name: &str,
    check: impl Fn(&AnnotationReader<'_, '_>, &str) -> Result<String, Flaw>,
) -> Vec<String> {
    let mut items = Vec::new();
    for item in reader.written(name).into_iter().flat_map(|list| list.split(',')).map(str::trim) {
        match check(reader, item) {
            Ok(item) => items.push(item),
            Err(flaw) => reader.problem(name, item, flaw),
        }
    }
    items
}

fn cidr(written: &str, addresses: Addresses) -> Result<String, Flaw> {
    let (address, length) =
        written.split_once('/').map_or((written, None), |(address, length)| (address, Some(length)));
    let flaw = || {
        let why = "must be an IP address or a CIDR block";
        Flaw::new(why, "write a list such as 10.0.0.1,10.1.0.0/16")
    };
    let address: IpAddr = address.parse().map_err(|_| flaw())?;
    let bits = if address.is_ipv4() { 32 } else { 128 };
    let digits = |length: &str| length.bytes().all(|byte| byte.is_ascii_digit());
    let fits = |length: &str| digits(length) && length.parse().is_ok_and(|length: u8| length <= bits);
    if !length.is_none_or(fits) {
        return Err(flaw());
    }
    if address.is_ipv6() && !addresses.dual_stack {
        let why = "must be an IPv4 address or block: only IPv4 traffic is redirected";
        return Err(Flaw::new(why, "remove it, or ask the policy's administrator to set dualStack: true"));
    }
    Ok(written.to_owned())
}

fn uid(written: &str) -> Result<String, Flaw> {
    let digits = !written.is_empty() && written.bytes().all(|byte| byte.is_ascii_digit());
    match written.parse::<u32>() {
        Ok(uid) if digits => Ok(uid.to_string()),
        _ => Err(Flaw::new("must be a user ID", "write a list such as 1000,1001")),
    }
}

/// The configuration that connect-init and the CNI plugin read.
///
/// <https://pkg.go.dev/github.com/hashicorp/consul/sdk/iptables#Config>
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Config {
    #[serde(rename = "ConsulDNSIP")]
    consul_dns_ip: String,
    #[serde(rename = "ConsulDNSPort")]
    consul_dns_port: u16,
    #[serde(rename = "ProxyUserID")]
    proxy_user_id: String,
    proxy_inbound_port: u16,
    proxy_outbound_port: u16,
    exclude_inbound_ports: Option<Vec<String>>,
    exclude_outbound_ports: Option<Vec<String>>,
    #[serde(rename = "ExcludeOutboundCIDRs")]
    exclude_outbound_cidrs: Option<Vec<String>>,
    #[serde(rename = "ExcludeUIDs")]
    exclude_uids: Option<Vec<String>>,
    #[serde(rename = "NetNS")]
    net_ns: String,
    iptables_provider: Option<()>,
}

/// Other options of the pod that affect the redirection.
#[derive(Debug)]
pub struct Redirected<'a> {
    pub dns: bool,
    pub metrics: &'a Metrics,
    pub health: &'a HealthChecks,
    /// The ports of Envoy's listeners for the app's probes.
    pub probe_ports: &'a [u16],
}

/// The configuration as JSON.
pub fn config(
    excluded: &Excluded,
    redirected: &Redirected<'_>,
    addresses: Addresses,
) -> anyhow::Result<String> {
    let mut inbound: Vec<String> = Vec::new();
    inbound.extend(redirected.metrics.scrape.enabled.then(|| redirected.metrics.scrape.port.to_string()));
    inbound.extend(redirected.health.ready_port.then(|| ports::READY.to_string()));
    inbound.extend(redirected.probe_ports.iter().map(u16::to_string));
    inbound.extend(excluded.inbound_ports.iter().cloned());
    let list = |items: Vec<String>| (!items.is_empty()).then_some(items);
    let uids = [users::INIT.to_string()].into_iter().chain(excluded.uids.iter().cloned());
    let config = Config {
        consul_dns_ip: if redirected.dns { addresses.loopback().to_string() } else { String::new() },
        consul_dns_port: if redirected.dns { ports::DNS } else { 0 },
        proxy_user_id: users::SIDECAR.to_string(),
        proxy_inbound_port: ports::INBOUND,
        proxy_outbound_port: ports::OUTBOUND,
        exclude_inbound_ports: list(inbound),
        exclude_outbound_ports: list(excluded.outbound_ports.clone()),
        exclude_outbound_cidrs: list(excluded.outbound_cidrs.clone()),
        exclude_uids: Some(uids.collect()),
        net_ns: String::new(),
        iptables_provider: None,
    };
    Ok(serde_json::to_string(&config)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_of_addresses() {
        let single = Addresses { dual_stack: false };
        for text in ["10.0.0.0/8", "1.1.1.1", "0.0.0.0/0"] {
            assert_eq!(cidr(text, single).unwrap(), text);
        }
        for text in ["", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/+8", "10.0.0", "example.com", "<a&b>"] {
            assert!(cidr(text, single).unwrap_err().to_string().contains("a CIDR block"), "{text}");
        }
        assert!(cidr("fd00::/8", single).unwrap_err().to_string().contains("IPv4"));
        assert!(cidr("fd00::/8", Addresses { dual_stack: true }).is_ok());
    }

    #[test]
    fn users() {
        assert_eq!(uid("1000").unwrap(), "1000");
        for text in ["", "root", "-1", "+1", "4294967296"] {
            assert!(uid(text).is_err(), "{text}");
        }
    }
}
