//! What is registered with the agent: the service and its sidecar proxy, as one
//! document for `consul services register`.
//!
//! <https://developer.hashicorp.com/consul/docs/services/configuration/services-configuration-reference>

use json_text::{Object, Text, object};

use crate::annotations::{MetaValue, Wanted};
use crate::consul::namespace::Namespace;
use crate::consul::upstream::{Destination, Upstream};
use crate::duration::Millis;
use crate::env_text::EnvText;
use crate::problem::Problem;

/// Names that the original injector gives, and that people's dashboards know.
pub mod names {
    pub const PUBLIC_LISTENER_CHECK: &str = "Proxy Public Listener";
    pub const ALIAS_CHECK: &str = "Destination Alias";
    pub const POD_CHECK: &str = "Pod";
    pub const READINESS_CHECK: &str = "Readiness";
    pub const META_POD_NAME: &str = "pod-name";
    pub const META_NAMESPACE: &str = "k8s-namespace";
}

/// What a service's proxy is called and what its id ends with.
const PROXY_SUFFIX: &str = "-sidecar-proxy";
/// What the id of a heartbeat ends with, after that of what it keeps.
const HEARTBEAT_SUFFIX: &str = "-pod";
/// After so long without a heartbeat a registration goes away by itself.
const DEREGISTER_AFTER: &str = "10m";
/// Every listener of a mesh pod is reached through loopback.
pub const LOOPBACK: &str = "127.0.0.1";

/// The check of a service's readiness, for Consul's agent.
#[derive(Debug, Clone)]
pub struct Check<'p> {
    pub probe: Probing<'p>,
    pub port: u16,
    pub interval_seconds: u64,
    pub timeout_seconds: u64,
    pub success_before_passing: u64,
    pub failures_before_critical: u64,
}

/// How a check asks.
#[derive(Debug, Clone)]
pub enum Probing<'p> {
    Http {
        https: bool,
        /// Path and query, as they stand in a URL.
        path: String,
        header: Vec<(EnvText<'p>, Vec<EnvText<'p>>)>,
    },
    Tcp,
    /// Empty: the whole server.
    Grpc(EnvText<'p>),
}

impl Check<'_> {
    pub fn write(&self, out: &mut Object<'_>) {
        out.constant("name", names::READINESS_CHECK);
        let port = &*self.port.to_string();
        match &self.probe {
            Probing::Http { https, path, header } => {
                let scheme = if *https { "https://" } else { "http://" };
                out.on_new_line("http", &[scheme, ":", port, EnvText::literal(path).as_str()]);
                out.constant("method", "GET");
                out.object("header", |headers| {
                    for (name, values) in header {
                        headers.list_entry(name.as_str(), |list| {
                            for value in values {
                                list.string(value.as_str());
                            }
                        });
                    }
                });
                // As the kubelet does.
                if *https {
                    out.bool("tls_skip_verify", true);
                }
            }
            Probing::Tcp => out.on_new_line("tcp", &[":", port]),
            Probing::Grpc(service) if service.as_str().is_empty() => {
                out.on_new_line("grpc", &[":", port]);
            }
            Probing::Grpc(service) => out.on_new_line("grpc", &[":", port, "/", service.as_str()]),
        }
        out.seconds("interval", self.interval_seconds);
        out.seconds("timeout", self.timeout_seconds);
        out.number("success_before_passing", self.success_before_passing);
        out.number("failures_before_critical", self.failures_before_critical);
    }
}

/// A single string of a process's environment may have 128 KiB on Linux.
const DOCUMENT_LIMIT: usize = 100 * 1024;

/// What the pod registers.
#[derive(Debug)]
pub struct Registration<'p> {
    /// The ids of the proxy and of both heartbeats are made of it, here and by the
    /// scripts, which end it in the same way.
    pub service_id: EnvText<'static>,
    public_port: u16,
    /// The check that the service is ready, where Consul itself does it.
    pub readiness: Option<Check<'p>>,
}

impl<'p> Registration<'p> {
    pub fn new(wanted: &Wanted, public_port: u16, readiness: Option<Check<'p>>) -> Self {
        let service_id = EnvText::reference("POD_NAME").with("-").with(wanted.service.as_str());
        Registration { service_id, public_port, readiness }
    }

    /// Writes the members of the document, but for the pod's address in what checks ask:
    /// an IPv6 address stands in brackets there, and only the pod itself will know. A
    /// target begins a line, and the init container puts the address in.
    pub fn write(&self, document: &mut Object<'_>, wanted: &Wanted, namespace: Option<&Namespace>) {
        let parts = Parts::new(self, wanted, namespace);
        document.list("services", |services| {
            services.object(|service| parts.service(service));
            services.object(|proxy| parts.proxy(proxy));
        });
    }

    /// About how many bytes the document has in the pod. Whatever the texts are, it has
    /// no more than `LONGER` times as many.
    pub fn length(&self, wanted: &Wanted) -> usize {
        // What all have, and what each upstream has.
        const REST: usize = 1_100;
        const UPSTREAM: usize = 120;
        let mut length = REST.saturating_add(self.service_id.as_str().len().saturating_mul(9));
        // Both services have tags and metadata, in quotes that are escaped.
        let mut add = |text: &str| {
            length = length.saturating_add(text.len().saturating_add(5).saturating_mul(2));
        };
        wanted.tags.iter().for_each(|tag| add(tag));
        for (key, value) in &wanted.meta {
            add(key);
            add(value.as_str());
        }
        for upstream in &wanted.upstreams {
            add(upstream.name.as_str());
            upstream.datacenter.iter().chain(upstream.namespace()).for_each(|part| add(part));
        }
        match self.readiness.as_ref().map(|check| &check.probe) {
            Some(Probing::Http { path, header, .. }) => {
                add(path);
                for (name, values) in header {
                    add(name.as_str());
                    for value in values {
                        add(value.as_str());
                    }
                }
            }
            Some(Probing::Grpc(service)) => add(service.as_str()),
            Some(Probing::Tcp) | None => (),
        }
        length.saturating_add(wanted.upstreams.len().saturating_mul(UPSTREAM))
    }

    /// The problem of a pod whose registration does not fit into a variable.
    pub fn too_large(&self, wanted: &Wanted, namespace: Option<&Namespace>) -> Option<Problem> {
        // Few are near to it.
        if self.length(wanted) < DOCUMENT_LIMIT / LONGER {
            return None;
        }
        let mut document = Text::new();
        object(&mut document, |document| self.write(document, wanted, namespace));
        Some(document.len()).filter(|size| *size > DOCUMENT_LIMIT).map(|size| {
            let why = format!(
                "is {size} bytes long, over the {DOCUMENT_LIMIT} that fit into a container's variable"
            );
            Problem::new(
                "the service's registration",
                why,
                "use fewer or shorter upstreams, tags, metadata or probe headers",
            )
        })
    }
}

/// Escaped, a control character is six bytes, of which one is a backslash that is
/// escaped again.
const LONGER: usize = 8;

/// What the document is written from.
struct Parts<'r> {
    registration: &'r Registration<'r>,
    proxy_id: EnvText<'static>,
    wanted: &'r Wanted,
    service: EnvText<'r>,
    namespace: Option<EnvText<'r>>,
    tags: Vec<EnvText<'r>>,
    meta: Vec<(EnvText<'r>, EnvText<'r>)>,
}

impl<'r> Parts<'r> {
    fn new(registration: &'r Registration<'r>, wanted: &'r Wanted, namespace: Option<&'r Namespace>) -> Self {
        let meta = wanted.meta.iter().map(|(key, value)| {
            let value = match value {
                MetaValue::Literal(text) => EnvText::literal(text),
                MetaValue::Variable(name) => EnvText::reference(name),
            };
            (EnvText::literal(key), value)
        });
        Parts {
            registration,
            proxy_id: registration.service_id.with(PROXY_SUFFIX),
            wanted,
            service: EnvText::literal(wanted.service.as_str()),
            namespace: namespace.map(|namespace| EnvText::literal(&namespace.name)),
            tags: wanted.tags.iter().map(|tag| EnvText::literal(tag)).collect(),
            meta: meta.collect(),
        }
    }

    fn service(&self, out: &mut Object<'_>) {
        let Registration { service_id, readiness, .. } = self.registration;
        self.common(out, &self.service, service_id);
        if let Some(port) = &self.wanted.port {
            out.number("port", port.number.into());
        }
        out.list("checks", |checks| {
            checks.object(|check| heartbeat(check, service_id, self.wanted.sync_period));
            if let Some(readiness) = readiness {
                checks.object(|check| readiness.write(check));
            }
        });
    }

    fn proxy(&self, out: &mut Object<'_>) {
        let Registration { service_id, public_port, .. } = self.registration;
        out.constant("kind", "connect-proxy");
        self.common(out, &self.service.with(PROXY_SUFFIX), &self.proxy_id);
        out.number("port", u64::from(*public_port));
        out.object("proxy", |proxy| {
            proxy.string("destination_service_name", self.service.as_str());
            proxy.string("destination_service_id", service_id.as_str());
            if let Some(port) = &self.wanted.port {
                proxy.constant("local_service_address", LOOPBACK);
                proxy.number("local_service_port", port.number.into());
            }
            if !self.wanted.upstreams.is_empty() {
                proxy.list("upstreams", |list| {
                    for upstream in &self.wanted.upstreams {
                        list.object(|out| write_upstream(out, upstream));
                    }
                });
            }
        });
        out.list("checks", |checks| {
            checks.object(|check| {
                check.constant("name", names::PUBLIC_LISTENER_CHECK);
                check.on_new_line("tcp", &[":", &public_port.to_string()]);
                check.seconds("interval", 2);
                check.seconds("timeout", 2);
            });
            checks.object(|check| {
                check.constant("name", names::ALIAS_CHECK);
                check.string("alias_service", service_id.as_str());
            });
            // Of the checks above, one is critical whenever the service is not ready, and
            // the other while Envoy is away: a pod that is there stays registered.
            checks.object(|check| {
                let every_third = Millis(self.wanted.sync_period.0.saturating_mul(3));
                heartbeat(check, &self.proxy_id, every_third);
            });
        });
    }

    fn common(&self, out: &mut Object<'_>, name: &EnvText<'_>, id: &EnvText<'_>) {
        out.string("name", name.as_str());
        out.string("id", id.as_str());
        if let Some(namespace) = &self.namespace {
            out.string("namespace", namespace.as_str());
        }
        out.constant("address", "$(POD_IP)");
        if !self.tags.is_empty() {
            out.list("tags", |tags| {
                for tag in &self.tags {
                    tags.string(tag.as_str());
                }
            });
        }
        out.object("meta", |meta| {
            for (key, value) in &self.meta {
                meta.entry(key.as_str(), value.as_str());
            }
            meta.constant(names::META_POD_NAME, "$(POD_NAME)");
            meta.constant(names::META_NAMESPACE, "$(POD_NAMESPACE)");
        });
    }
}

/// The check of `registered` that the lifecycle sidecar passes every `period`, and with
/// which the registration goes away.
fn heartbeat(check: &mut Object<'_>, registered: &EnvText<'_>, period: Millis) {
    check.constant("name", names::POD_CHECK);
    check.joined("id", &[registered.as_str(), HEARTBEAT_SUFFIX]);
    check.millis("ttl", ttl(period).0);
    check.constant("deregister_critical_service_after", DEREGISTER_AFTER);
}

fn write_upstream(out: &mut Object<'_>, upstream: &Upstream) {
    let kind = match &upstream.destination {
        Destination::Service { .. } => "service",
        Destination::PreparedQuery => "prepared_query",
    };
    out.constant("destination_type", kind);
    out.string("destination_name", EnvText::literal(upstream.name.as_str()).as_str());
    for (key, value) in
        [("destination_namespace", upstream.namespace()), ("datacenter", upstream.datacenter.as_ref())]
    {
        if let Some(value) = value {
            out.string(key, EnvText::literal(value).as_str());
        }
    }
    out.constant("local_bind_address", LOOPBACK);
    out.number("local_bind_port", upstream.port.into());
}

/// Two heartbeats may be lost before the pod counts as gone.
fn ttl(period: Millis) -> Millis {
    Millis(period.0.saturating_mul(3).max(period.0.saturating_add(10_000)))
}

/// A `service-defaults` entry.
///
/// <https://developer.hashicorp.com/consul/docs/reference/config-entry/service-defaults>
pub fn service_defaults(wanted: &Wanted, namespace: Option<&Namespace>) -> Option<EnvText<'static>> {
    let protocol = wanted.protocol?;
    let mut entry = Text::new();
    object(&mut entry, |out| {
        out.string("Kind", "service-defaults");
        out.string("Name", EnvText::literal(wanted.service.as_str()).as_str());
        out.string("Protocol", &protocol.to_string());
        if let Some(namespace) = namespace {
            out.string("Namespace", EnvText::literal(&namespace.name).as_str());
        }
    });
    Some(EnvText::expanding(entry.into_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::annotations::ServicePort;
    use crate::consul::service_name::ServiceName;
    use crate::settings::Settings;
    use proptest::prelude::*;

    #[test]
    fn the_heartbeat_may_miss_twice() {
        assert_eq!(ttl(Millis(10_000)), Millis(30_000));
        assert_eq!(ttl(Millis(1000)), Millis(11_000));
    }

    fn wanted(text: &str, count: usize) -> Wanted {
        let upstream = Upstream {
            destination: Destination::Service { namespace: Some("team".to_owned()) },
            name: ServiceName::parse("billing").unwrap(),
            port: 12_345,
            datacenter: Some("dc1".to_owned()),
        };
        Wanted {
            service: ServiceName::parse("web").unwrap(),
            port: Some(ServicePort { number: 8080, written_back: None }),
            upstreams: vec![upstream; count],
            protocol: None,
            envoy_args: None,
            tags: vec![text.to_owned(); count],
            meta: vec![(text.to_owned(), MetaValue::Literal(text.to_owned())); count],
            envoy_resources: Settings::parse(None).unwrap().envoy_resources,
            sync_period: Millis(10_000),
        }
    }

    /// The estimate, and the bytes that the document has in the pod.
    fn lengths(text: &str, count: usize) -> (usize, usize) {
        let wanted = wanted(text, count);
        let header = vec![(EnvText::literal(text), vec![EnvText::literal(text); count])];
        let check = Check {
            probe: Probing::Http { https: true, path: "/healthz".to_owned(), header },
            port: 8080,
            interval_seconds: 2,
            timeout_seconds: 1,
            success_before_passing: 1,
            failures_before_critical: 15,
        };
        let registration = Registration::new(&wanted, 20_000, Some(check));
        let mut pod = Text::new();
        object(&mut pod, |pod| pod.object_in_string("", |out| registration.write(out, &wanted, None)));
        (registration.length(&wanted), pod.len())
    }

    #[test]
    fn the_length_is_seen_before_the_document_is_written() {
        for (text, count) in [("", 0), ("version", 1), ("an ordinary value", 5)] {
            let (estimate, length) = lengths(text, count);
            let slack = 64 + count * 16;
            assert!((length..length + slack).contains(&estimate), "{estimate} for {length} of {count}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_much_longer_than_it_seems(text in "[\0-\x1f$\"\\\\]{0,100}", count in 0..20_usize) {
            let (estimate, length) = lengths(&text, count);
            prop_assert!(length <= estimate * LONGER, "{length} for {estimate}");
        }
    }
}
