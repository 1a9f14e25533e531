//! What is registered with the agent: the service and its sidecar proxy, as one
//! document for `consul services register`.
//!
//! <https://developer.hashicorp.com/consul/docs/services/configuration/services-configuration-reference>

use crate::annotations::{MetaValue, Wanted};
use crate::consul::namespace::Namespace;
use crate::consul::upstream::{Destination, Upstream};
use crate::duration::Millis;
use crate::json::{Object, object};
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
        EnvText(if text.contains('$') { text.replace('$', "$$") } else { text.to_owned() })
    }

    /// The value of a variable that stands earlier in the environment.
    pub fn reference(variable: &str) -> Self {
        EnvText(format!("$({variable})"))
    }

    #[must_use]
    pub fn with(mut self, literal: &str) -> Self {
        self.0.push_str(&EnvText::literal(literal).0);
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
    pub const META_POD_NAME: &str = "pod-name";
    pub const META_NAMESPACE: &str = "k8s-namespace";
}

/// After so long in critical state a registration goes away by itself.
const DEREGISTER_AFTER: &str = "10m";
/// Every listener of a mesh pod is reached through loopback.
pub const LOOPBACK: &str = "127.0.0.1";

/// A health check of Consul's agent.
#[derive(Debug, Clone, Default)]
pub struct Check {
    pub id: Option<EnvText>,
    pub name: EnvText,
    pub ttl: Option<String>,
    pub http: Option<EnvText>,
    pub method: Option<&'static str>,
    pub header: Vec<(EnvText, Vec<EnvText>)>,
    pub tls_skip_verify: bool,
    pub tcp: Option<EnvText>,
    pub grpc: Option<EnvText>,
    pub alias_service: Option<EnvText>,
    pub interval: Option<String>,
    pub timeout: Option<String>,
    pub success_before_passing: Option<u64>,
    pub failures_before_critical: Option<u64>,
    pub deregister_critical_service_after: Option<&'static str>,
}

impl Check {
    pub fn write(&self, out: &mut Object<'_>) {
        let mut text = |key: &'static str, value: Option<&str>| {
            if let Some(value) = value {
                out.string(key, value);
            }
        };
        text("id", self.id.as_ref().map(EnvText::as_str));
        text("name", Some(self.name.as_str()));
        text("ttl", self.ttl.as_deref());
        text("http", self.http.as_ref().map(EnvText::as_str));
        text("method", self.method);
        text("tcp", self.tcp.as_ref().map(EnvText::as_str));
        text("grpc", self.grpc.as_ref().map(EnvText::as_str));
        text("alias_service", self.alias_service.as_ref().map(EnvText::as_str));
        text("interval", self.interval.as_deref());
        text("timeout", self.timeout.as_deref());
        text("deregister_critical_service_after", self.deregister_critical_service_after);
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
        for (key, times) in [
            ("success_before_passing", self.success_before_passing),
            ("failures_before_critical", self.failures_before_critical),
        ] {
            if let Some(times) = times {
                out.number(key, times);
            }
        }
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
    pub ipv4: EnvText,
    pub ipv6: EnvText,
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
            ipv4: EnvText::default(),
            ipv6: EnvText::default(),
            has_readiness: false,
        };
        let document = |family, readiness| {
            let mut document = String::with_capacity(2048);
            let parts = Parts { registration: &registration, wanted, namespace, public_port };
            object(&mut document, |document| {
                document.list("services", |services| {
                    services.object(|service| parts.service(service, readiness));
                    services.object(|proxy| parts.proxy(proxy, family));
                });
            });
            EnvText(document)
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
        let size = self.ipv6.0.len();
        (size > DOCUMENT_LIMIT).then(|| {
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

/// What a document is written from.
struct Parts<'r> {
    registration: &'r Registration,
    wanted: &'r Wanted,
    namespace: Option<&'r Namespace>,
    public_port: u16,
}

impl Parts<'_> {
    fn service(&self, out: &mut Object<'_>, readiness: Option<&Check>) {
        let pod = Check {
            id: Some(self.registration.check_id.clone()),
            name: names::POD_CHECK.into(),
            ttl: Some(ttl(self.wanted.sync_period).to_string()),
            deregister_critical_service_after: Some(DEREGISTER_AFTER),
            ..Check::default()
        };
        let name = EnvText::literal(self.wanted.service.as_str());
        self.common(out, &name, &self.registration.service_id);
        if let Some(port) = &self.wanted.port {
            out.number("port", port.number.into());
        }
        checks(out, std::iter::once(&pod).chain(readiness));
    }

    fn proxy(&self, out: &mut Object<'_>, family: Family) {
        let listener = Check {
            name: names::PUBLIC_LISTENER_CHECK.into(),
            tcp: Some(family.host().with(&format!(":{}", self.public_port))),
            interval: Some("2s".into()),
            timeout: Some("2s".into()),
            deregister_critical_service_after: Some(DEREGISTER_AFTER),
            ..Check::default()
        };
        let alias = Check {
            name: names::ALIAS_CHECK.into(),
            alias_service: Some(self.registration.service_id.clone()),
            deregister_critical_service_after: Some(DEREGISTER_AFTER),
            ..Check::default()
        };
        let name = EnvText::literal(self.wanted.service.as_str()).with("-sidecar-proxy");
        out.string("kind", "connect-proxy");
        self.common(out, &name, &self.registration.proxy_id);
        out.number("port", self.public_port.into());
        out.object("proxy", |proxy| {
            let service = EnvText::literal(self.wanted.service.as_str());
            proxy.string("destination_service_name", service.as_str());
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
        checks(out, [&listener, &alias].into_iter());
    }

    fn common(&self, out: &mut Object<'_>, name: &EnvText, id: &EnvText) {
        out.string("name", name.as_str());
        out.string("id", id.as_str());
        if let Some(namespace) = self.namespace {
            out.string("namespace", EnvText::literal(&namespace.name).as_str());
        }
        out.string("address", EnvText::reference("POD_IP").as_str());
        if !self.wanted.tags.is_empty() {
            out.list("tags", |tags| {
                self.wanted.tags.iter().for_each(|tag| tags.string(EnvText::literal(tag).as_str()));
            });
        }
        out.object("meta", |meta| {
            for (key, value) in &self.wanted.meta {
                let value = match value {
                    MetaValue::Literal(text) => EnvText::literal(text),
                    MetaValue::Variable(name) => EnvText::reference(name),
                };
                meta.entry(EnvText::literal(key).as_str(), value.as_str());
            }
            meta.string(names::META_POD_NAME, EnvText::reference("POD_NAME").as_str());
            meta.string(names::META_NAMESPACE, EnvText::reference("POD_NAMESPACE").as_str());
        });
    }
}

fn checks<'c>(out: &mut Object<'_>, checks: impl Iterator<Item = &'c Check>) {
    out.list("checks", |list| checks.for_each(|check| list.object(|out| check.write(out))));
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
