//! What is registered with the agent: the service and its sidecar proxy, as one
//! document for `consul services register`.
//!
//! <https://developer.hashicorp.com/consul/docs/services/configuration/services-configuration-reference>

use crate::annotations::{MetaValue, Wanted};
use crate::consul::namespace::Namespace;
use crate::consul::upstream::{Destination, Upstream};
use crate::duration::Millis;
use crate::json::{InString, List, Object, object};
use crate::problem::Problem;

/// A text that the kubelet puts into a container's environment. The kubelet
/// expands `$(NAME)` there and makes `$` of `$$`, so a text that is meant to the
/// letter has every `$` doubled.
///
/// <https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/>
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct EnvText(String);

impl EnvText {
    /// Arrives in the container as it is written here.
    pub fn literal(text: &str) -> Self {
        EnvText::default().with(text)
    }

    /// The value of a variable that stands earlier in the environment.
    pub fn reference(variable: &str) -> Self {
        EnvText(["$(", variable, ")"].concat())
    }

    #[must_use]
    pub fn with(mut self, literal: &str) -> Self {
        let mut parts = literal.split('$');
        self.0.push_str(parts.next().unwrap_or_default());
        for part in parts {
            self.0.push_str("$$");
            self.0.push_str(part);
        }
        self
    }

    #[must_use]
    pub fn number(mut self, number: u16) -> Self {
        self.0.push_str(itoa::Buffer::new().format(number));
        self
    }

    #[must_use]
    pub fn join(mut self, other: &EnvText) -> Self {
        self.0.push_str(&other.0);
        self
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for EnvText {
    fn from(literal: &str) -> Self {
        EnvText::literal(literal)
    }
}

/// Names that the original injector gives, and that people's dashboards know.
pub mod names {
    pub const PUBLIC_LISTENER_CHECK: &str = "Proxy Public Listener";
    pub const ALIAS_CHECK: &str = "Destination Alias";
    pub const POD_CHECK: &str = "Pod";
    pub const READINESS_CHECK: &str = "Readiness";
    pub const META_POD_NAME: &str = "pod-name";
    pub const META_NAMESPACE: &str = "k8s-namespace";
}

/// After so long in critical state a registration goes away by itself.
const DEREGISTER_AFTER: &str = "10m";
/// Every listener of a mesh pod is reached through loopback.
pub const LOOPBACK: &str = "127.0.0.1";

/// The check of a service's readiness, for Consul's agent.
#[derive(Debug, Clone, Default)]
pub struct Check {
    pub http: Option<EnvText>,
    pub method: Option<&'static str>,
    pub header: Vec<(EnvText, Vec<EnvText>)>,
    pub tls_skip_verify: bool,
    pub tcp: Option<EnvText>,
    pub grpc: Option<EnvText>,
    pub interval: String,
    pub timeout: String,
    pub success_before_passing: u64,
    pub failures_before_critical: u64,
}

impl Check {
    pub fn write(&self, out: &mut Object<'_>) {
        out.string("name", names::READINESS_CHECK);
        for (key, address) in [("http", &self.http), ("tcp", &self.tcp), ("grpc", &self.grpc)] {
            if let Some(address) = address {
                out.string(key, address.as_str());
            }
        }
        if let Some(method) = self.method {
            out.string("method", method);
        }
        out.string("interval", &self.interval);
        out.string("timeout", &self.timeout);
        if !self.header.is_empty() {
            out.object("header", |headers| {
                for (name, values) in &self.header {
                    headers.list_entry(name.as_str(), |list| {
                        for value in values {
                            list.string(value.as_str());
                        }
                    });
                }
            });
        }
        if self.tls_skip_verify {
            out.bool("tls_skip_verify", true);
        }
        out.number("success_before_passing", self.success_before_passing);
        out.number("failures_before_critical", self.failures_before_critical);
    }
}

/// A single string of a process's environment may have 128 KiB on Linux.
const DOCUMENT_LIMIT: usize = 100 * 1024;

/// What the pod registers, ready to be handed to its containers.
#[derive(Debug)]
pub struct Registration {
    pub service_id: EnvText,
    pub proxy_id: EnvText,
    /// The TTL check that the lifecycle sidecar keeps alive.
    pub check_id: EnvText,
    /// The document for pods with an IPv4 address.
    pub ipv4: InString,
    pub ipv6: InString,
    /// Whether Consul itself checks that the service is ready.
    pub has_readiness: bool,
}

/// The address that a check or registration has in the pod's URLs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    Ipv4,
    Ipv6,
}

impl Family {
    /// The pod's address as it stands before a colon and a port.
    pub fn host(self) -> EnvText {
        let ip = EnvText::reference("POD_IP");
        match self {
            Family::Ipv4 => ip,
            Family::Ipv6 => EnvText::literal("[").join(&ip).with("]"),
        }
    }
}

impl Registration {
    /// `readiness` is the service's check for each family, if there is one.
    pub fn new(
        wanted: &Wanted,
        namespace: Option<&Namespace>,
        public_port: u16,
        readiness: impl Fn(Family) -> Option<Check>,
    ) -> Self {
        let service_id = EnvText::reference("POD_NAME").with("-").with(wanted.service.as_str());
        let mut registration = Registration {
            proxy_id: service_id.clone().with("-sidecar-proxy"),
            check_id: service_id.clone().with("-pod"),
            service_id,
            ipv4: InString::default(),
            ipv6: InString::default(),
            has_readiness: false,
        };
        let parts = Parts::new(&registration, wanted, namespace, public_port);
        let document = |family, readiness| {
            InString::object(|document| {
                document.list("services", |services| {
                    services.object(|service| parts.service(service, readiness));
                    services.object(|proxy| parts.proxy(proxy, family));
                });
            })
        };
        let readiness = [readiness(Family::Ipv4), readiness(Family::Ipv6)];
        let [ipv4_check, ipv6_check] = &readiness;
        let documents =
            (document(Family::Ipv4, ipv4_check.as_ref()), document(Family::Ipv6, ipv6_check.as_ref()));
        (registration.ipv4, registration.ipv6) = documents;
        registration.has_readiness = ipv4_check.is_some();
        registration
    }

    /// The problem of a pod whose registration does not fit into a variable.
    pub fn too_large(&self) -> Option<Problem> {
        self.ipv6.over(DOCUMENT_LIMIT).map(|size| {
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

/// What the documents are written from.
struct Parts<'r> {
    registration: &'r Registration,
    wanted: &'r Wanted,
    public_port: u16,
    service: EnvText,
    namespace: Option<EnvText>,
    tags: Vec<EnvText>,
    meta: Vec<(EnvText, EnvText)>,
}

impl<'r> Parts<'r> {
    fn new(
        registration: &'r Registration,
        wanted: &'r Wanted,
        namespace: Option<&Namespace>,
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
            registration,
            wanted,
            public_port,
            service: wanted.service.as_str().into(),
            namespace: namespace.map(|namespace| EnvText::literal(&namespace.name)),
            tags: wanted.tags.iter().map(|tag| EnvText::literal(tag)).collect(),
            meta: meta.collect(),
        }
    }

    fn service(&self, out: &mut Object<'_>, readiness: Option<&Check>) {
        self.common(out, &self.service, &self.registration.service_id);
        if let Some(port) = &self.wanted.port {
            out.number("port", port.number.into());
        }
        out.list("checks", |checks| {
            own_check(checks, names::POD_CHECK, |check| {
                check.string("id", self.registration.check_id.as_str());
                check.string("ttl", &ttl(self.wanted.sync_period).to_string());
            });
            if let Some(readiness) = readiness {
                checks.object(|check| readiness.write(check));
            }
        });
    }

    fn proxy(&self, out: &mut Object<'_>, family: Family) {
        out.string("kind", "connect-proxy");
        self.common(out, &self.service.clone().with("-sidecar-proxy"), &self.registration.proxy_id);
        out.number("port", self.public_port.into());
        out.object("proxy", |proxy| {
            proxy.string("destination_service_name", self.service.as_str());
            proxy.string("destination_service_id", self.registration.service_id.as_str());
            if let Some(port) = &self.wanted.port {
                proxy.string("local_service_address", LOOPBACK);
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
            own_check(checks, names::PUBLIC_LISTENER_CHECK, |check| {
                check.string("tcp", family.host().with(":").number(self.public_port).as_str());
                check.string("interval", "2s");
                check.string("timeout", "2s");
            });
            own_check(checks, names::ALIAS_CHECK, |check| {
                check.string("alias_service", self.registration.service_id.as_str());
            });
        });
    }

    fn common(&self, out: &mut Object<'_>, name: &EnvText, id: &EnvText) {
        out.string("name", name.as_str());
        out.string("id", id.as_str());
        if let Some(namespace) = &self.namespace {
            out.string("namespace", namespace.as_str());
        }
        out.string("address", "$(POD_IP)");
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
            meta.string(names::META_POD_NAME, "$(POD_NAME)");
            meta.string(names::META_NAMESPACE, "$(POD_NAMESPACE)");
        });
    }
}

/// A check that is not the user's.
fn own_check(checks: &mut List<'_>, name: &'static str, write: impl FnOnce(&mut Object<'_>)) {
    checks.object(|check| {
        check.string("name", name);
        write(check);
        check.string("deregister_critical_service_after", DEREGISTER_AFTER);
    });
}

fn write_upstream(out: &mut Object<'_>, upstream: &Upstream) {
    let (kind, namespace) = match &upstream.destination {
        Destination::Service { namespace } => ("service", namespace.as_deref()),
        Destination::PreparedQuery => ("prepared_query", None),
    };
    out.string("destination_type", kind);
    out.string("destination_name", EnvText::literal(upstream.name.as_str()).as_str());
    for (key, value) in [("destination_namespace", namespace), ("datacenter", upstream.datacenter.as_deref())]
    {
        if let Some(value) = value {
            out.string(key, EnvText::literal(value).as_str());
        }
    }
    out.string("local_bind_address", LOOPBACK);
    out.number("local_bind_port", upstream.port.into());
}

/// Two heartbeats may be lost before the pod counts as gone.
fn ttl(period: Millis) -> Millis {
    Millis(period.0.saturating_mul(3).max(period.0.saturating_add(10_000)))
}

/// A `service-defaults` entry.
///
/// <https://developer.hashicorp.com/consul/docs/reference/config-entry/service-defaults>
pub fn service_defaults(wanted: &Wanted, namespace: Option<&Namespace>) -> Option<EnvText> {
    let protocol = wanted.protocol?;
    let mut entry = String::new();
    object(&mut entry, |out| {
        out.string("Kind", "service-defaults");
        out.string("Name", EnvText::literal(wanted.service.as_str()).as_str());
        out.string("Protocol", &protocol.to_string());
        if let Some(namespace) = namespace {
            out.string("Namespace", EnvText::literal(&namespace.name).as_str());
        }
    });
    Some(EnvText(entry))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kubelet makes of a value, by the rules of its expansion.
    fn expanded(text: &str, variables: &[(&str, &str)]) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            out.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix('$') {
                out.push('$');
                rest = after;
            } else if let Some((name, after)) = rest.strip_prefix('(').and_then(|r| r.split_once(')')) {
                match variables.iter().find(|(known, _)| *known == name) {
                    Some((_, value)) => out.push_str(value),
                    None => out.push_str(&format!("$({name})")),
                }
                rest = after;
            } else {
                out.push('$');
            }
        }
        out + rest
    }

    #[test]
    fn a_literal_survives_the_kubelet_and_a_reference_is_filled_in() {
        for text in ["$", "$$", "$(POD_IP)", "$$(POD_IP)", "$POD_IP", "a$", "${x}", "$$$(x"] {
            assert_eq!(expanded(&EnvText::literal(text).0, &[("POD_IP", "10.0.0.1")]), text);
        }
        let reference = EnvText::literal("$a-").join(&EnvText::reference("POD_IP"));
        assert_eq!(expanded(&reference.0, &[("POD_IP", "10.0.0.1")]), "$a-10.0.0.1");
    }

    #[test]
    fn the_heartbeat_may_miss_twice() {
        assert_eq!(ttl(Millis(10_000)), Millis(30_000));
        assert_eq!(ttl(Millis(1000)), Millis(11_000));
    }
}
