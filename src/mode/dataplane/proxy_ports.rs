//! The ports on which Envoy and consul-dataplane listen, and conflicts with them.

use std::net::IpAddr;

use super::lifecycle::Lifecycle;
use super::metrics::Metrics;
use super::ports;
use super::service::Services;
use crate::annotations::full;
use crate::annotations::names::{GRACEFUL_PORT, MERGED_METRICS_PORT, SCRAPE_PORT, UPSTREAMS};
use crate::annotations::reader::AnnotationReader;
use crate::consul::catalog_upstream::CatalogUpstream;

/// A port of the proxy.
#[derive(Debug)]
pub struct ProxyPort {
    number: u16,
    owner: &'static str,
    /// Otherwise it listens only at the pod's own address.
    on_loopback: bool,
    /// The annotation that can choose another port.
    annotation: Option<&'static str>,
}

/// A fixed port of the proxy with this index.
fn fixed(first: u16, index: u16) -> ProxyPort {
    let owner = ports::OWNERS.iter().find(|(port, _)| *port == first).map_or("the proxy", |(_, owner)| owner);
    ProxyPort {
        number: first.saturating_add(index),
        owner,
        on_loopback: first != ports::INBOUND,
        annotation: None,
    }
}

/// The ports of all proxies of the pod, except those for probes.
pub fn of(
    services: &Services,
    lifecycle: &Lifecycle,
    metrics: &Metrics,
    dns: bool,
    transparent_proxy: bool,
) -> Vec<ProxyPort> {
    let mut all = Vec::new();
    for (index, _) in (0..).zip(0..services.proxies()) {
        all.push(fixed(ports::ADMIN, index));
        all.push(fixed(ports::INBOUND, index));
        all.push(ProxyPort {
            number: lifecycle.graceful_port.saturating_add(index),
            owner: ports::GRACEFUL_OWNER,
            on_loopback: true,
            annotation: Some(GRACEFUL_PORT),
        });
    }
    all.extend(dns.then(|| fixed(ports::DNS, 0)));
    all.extend(transparent_proxy.then(|| fixed(ports::OUTBOUND, 0)));
    if metrics.scrape.enabled {
        all.push(fixed(ports::DATAPLANE_METRICS, 0));
        all.push(ProxyPort {
            number: metrics.scrape.port,
            owner: ports::SCRAPE_OWNER,
            on_loopback: true,
            annotation: Some(SCRAPE_PORT),
        });
        all.push(ProxyPort {
            number: metrics.merged_port(),
            owner: ports::MERGED_OWNER,
            on_loopback: true,
            annotation: Some(MERGED_METRICS_PORT),
        });
    }
    all
}

/// Reports annotations with a port that another part of the proxy uses, and warns of ports that
/// the app lists.
pub fn check(all: &[ProxyPort], reader: &mut AnnotationReader<'_, '_>) {
    for port in all {
        let written = port.annotation.and_then(|name| Some((name, reader.written(name)?)));
        let other = all.iter().find(|other| other.number == port.number && other.owner != port.owner);
        if let (Some((name, written)), Some(other)) = (written, other) {
            reader.problem(name, written, ports::taken(other.owner));
        }
        if reader.spec.lists_port(port.number) {
            let remedy = match port.annotation {
                Some(name) => format!("to choose another, set {}", full(name)),
                None => "let the app use another port".to_owned(),
            };
            reader.warn(format!(
                "port {} of {} is also a port of a container, and only one process can listen on it; {remedy}",
                port.number, port.owner
            ));
        }
    }
}

/// Reports upstreams whose local port the proxy uses itself.
pub fn check_upstreams(
    all: &[ProxyPort],
    upstreams: &[CatalogUpstream],
    loopback: IpAddr,
    reader: &mut AnnotationReader<'_, '_>,
) {
    for upstream in upstreams {
        let address = upstream.address(loopback);
        let conflicts = |port: &&ProxyPort| {
            let shared = address.is_unspecified() || (port.on_loopback && address == loopback);
            shared && port.number == upstream.port
        };
        if let Some(port) = all.iter().find(conflicts) {
            let written = format!("{}:{}", upstream.written_name, upstream.port);
            reader.problem(UPSTREAMS, &written, ports::taken(port.owner).of("its local port"));
        }
    }
}
