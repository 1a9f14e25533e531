//! What is registered with the agent: the service and its sidecar proxy, as one
//! document for `consul services register`.
//!
//! <https://developer.hashicorp.com/consul/docs/services/configuration/services-configuration-reference>

use json_text::{InString, Object, Text, object};

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

/// What the pod registers, ready to be handed to its containers.
#[derive(Debug)]
pub struct Registration {
    /// The ids of the proxy and of both heartbeats are made of it, here and by the
    /// scripts, which end it in the same way.
    pub service_id: EnvText<'static>,
    /// The document, but for the pod's address in what checks ask: an IPv6 address
    /// stands in brackets there, and only the pod itself will know. A target begins a
    /// line, and the init container puts the address in.
    pub document: InString,
    /// Whether Consul itself checks that the service is ready.
    pub has_readiness: bool,
}

impl Registration {
    /// `readiness` is the service's check, if there is one.
    pub fn new(
        wanted: &Wanted,
        namespace: Option<&Namespace>,
        public_port: u16,
        readiness: Option<&Check<'_>>,
    ) -> Self {
        let service_id = EnvText::reference("POD_NAME").with("-").with(wanted.service.as_str());
        let parts = Parts::new(&service_id, wanted, namespace, public_port);
        let document = InString::object(|document| {
            document.list("services", |services| {
                services.object(|service| parts.service(service, readiness));
                services.object(|proxy| parts.proxy(proxy));
            });
        });
        Registration { service_id, document, has_readiness: readiness.is_some() }
    }

    /// The problem of a pod whose registration does not fit into a variable.
    pub fn too_large(&self) -> Option<Problem> {
        self.document.over(DOCUMENT_LIMIT).map(|size| {
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

/// What the document is written from.
struct Parts<'r> {
    service_id: &'r EnvText<'static>,
    proxy_id: EnvText<'static>,
    wanted: &'r Wanted,
    public_port: u16,
    service: EnvText<'r>,
    namespace: Option<EnvText<'r>>,
    tags: Vec<EnvText<'r>>,
    meta: Vec<(EnvText<'r>, EnvText<'r>)>,
}

impl<'r> Parts<'r> {
    fn new(
        service_id: &'r EnvText<'static>,
        wanted: &'r Wanted,
        namespace: Option<&'r Namespace>,
        public_port: u16,
    ) -> Self {
        let meta = wanted.meta.iter().map(|(key, value)| {
            let value = match value {
                MetaValue::Literal(text) => EnvText::literal(text),
                MetaValue::Variable(name) => EnvText::reference(name),
            };
            (EnvText::literal(key), value)
        });
        Parts {
            service_id,
            proxy_id: service_id.with(PROXY_SUFFIX),
            wanted,
            public_port,
            service: EnvText::literal(wanted.service.as_str()),
            namespace: namespace.map(|namespace| EnvText::literal(&namespace.name)),
            tags: wanted.tags.iter().map(|tag| EnvText::literal(tag)).collect(),
            meta: meta.collect(),
        }
    }

    fn service(&self, out: &mut Object<'_>, readiness: Option<&Check<'_>>) {
        self.common(out, &self.service, self.service_id);
        if let Some(port) = &self.wanted.port {
            out.number("port", port.number.into());
        }
        out.list("checks", |checks| {
            checks.object(|check| heartbeat(check, self.service_id, self.wanted.sync_period));
            if let Some(readiness) = readiness {
                checks.object(|check| readiness.write(check));
            }
        });
    }

    fn proxy(&self, out: &mut Object<'_>) {
        out.constant("kind", "connect-proxy");
        self.common(out, &self.service.with(PROXY_SUFFIX), &self.proxy_id);
        out.number("port", self.public_port.into());
        out.object("proxy", |proxy| {
            proxy.string("destination_service_name", self.service.as_str());
            proxy.string("destination_service_id", self.service_id.as_str());
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
                check.on_new_line("tcp", &[":", &self.public_port.to_string()]);
                check.seconds("interval", 2);
                check.seconds("timeout", 2);
            });
            checks.object(|check| {
                check.constant("name", names::ALIAS_CHECK);
                check.string("alias_service", self.service_id.as_str());
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
    let (kind, namespace) = match &upstream.destination {
        Destination::Service { namespace } => ("service", namespace.as_deref()),
        Destination::PreparedQuery => ("prepared_query", None),
    };
    out.constant("destination_type", kind);
    out.string("destination_name", EnvText::literal(upstream.name.as_str()).as_str());
    for (key, value) in [("destination_namespace", namespace), ("datacenter", upstream.datacenter.as_deref())]
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

    #[test]
    fn the_heartbeat_may_miss_twice() {
        assert_eq!(ttl(Millis(10_000)), Millis(30_000));
        assert_eq!(ttl(Millis(1000)), Millis(11_000));
    }
}
