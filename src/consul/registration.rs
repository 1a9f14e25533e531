//! What is registered with the agent: the service and its sidecar proxy, as one
//! document for `consul services register`.
//!
//! <https://developer.hashicorp.com/consul/docs/services/configuration/services-configuration-reference>

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use crate::annotations::{MetaValue, Wanted};
use crate::consul::namespace::Namespace;
use crate::consul::upstream::{Destination, Upstream};
use crate::duration::Millis;
use crate::json::encode;

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
        EnvText(text.replace('$', "$$"))
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

    pub fn into_inner(self) -> String {
        self.0
    }
}

impl From<&str> for EnvText {
    fn from(literal: &str) -> Self {
        EnvText::literal(literal)
    }
}

impl Serialize for EnvText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
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

#[derive(Debug, Serialize)]
struct Document {
    services: [Service; 2],
}

#[derive(Debug, Default, Serialize)]
struct Service {
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    name: EnvText,
    id: EnvText,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<EnvText>,
    address: EnvText,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<EnvText>,
    meta: BTreeMap<EnvText, EnvText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    proxy: Option<Proxy>,
    checks: Vec<Check>,
}

#[derive(Debug, Serialize)]
struct Proxy {
    destination_service_name: EnvText,
    destination_service_id: EnvText,
    #[serde(skip_serializing_if = "Option::is_none")]
    local_service_address: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    local_service_port: Option<u16>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    upstreams: Vec<ProxyUpstream>,
}

#[derive(Debug, Serialize)]
struct ProxyUpstream {
    destination_type: &'static str,
    destination_name: EnvText,
    #[serde(skip_serializing_if = "Option::is_none")]
    destination_namespace: Option<EnvText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    datacenter: Option<EnvText>,
    local_bind_address: &'static str,
    local_bind_port: u16,
}

/// A health check of Consul's agent.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Check {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<EnvText>,
    pub name: EnvText,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<EnvText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<&'static str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub header: BTreeMap<EnvText, Vec<EnvText>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub tls_skip_verify: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tcp: Option<EnvText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grpc: Option<EnvText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alias_service: Option<EnvText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub success_before_passing: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failures_before_critical: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deregister_critical_service_after: Option<&'static str>,
}

/// A service of the pod with its proxy, ready to be written down.
#[derive(Debug)]
pub struct Registration<'w> {
    pub wanted: &'w Wanted,
    pub namespace: Option<&'w Namespace>,
    pub public_port: u16,
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

impl Registration<'_> {
    pub fn service_id(&self) -> EnvText {
        EnvText::reference("POD_NAME").with("-").with(self.wanted.service.as_str())
    }

    pub fn proxy_id(&self) -> EnvText {
        self.service_id().with("-sidecar-proxy")
    }

    /// The id of the TTL check that the lifecycle sidecar keeps alive.
    pub fn check_id(&self) -> EnvText {
        self.service_id().with("-pod")
    }

    /// The document for pods with an address of this family.
    pub fn document(&self, family: Family, readiness: Option<Check>) -> EnvText {
        EnvText(encode(&Document { services: [self.service(readiness), self.proxy(family)] }))
    }

    fn service(&self, readiness: Option<Check>) -> Service {
        let pod = Check {
            id: Some(self.check_id()),
            name: names::POD_CHECK.into(),
            ttl: Some(ttl(self.wanted.sync_period).to_string()),
            deregister_critical_service_after: Some(DEREGISTER_AFTER),
            ..Check::default()
        };
        let mut checks = vec![pod];
        checks.extend(readiness);
        Service {
            name: self.wanted.service.as_str().into(),
            id: self.service_id(),
            port: self.wanted.port.as_ref().map(|port| port.number),
            checks,
            ..self.common()
        }
    }

    fn proxy(&self, family: Family) -> Service {
        let port = self.wanted.port.as_ref().map(|port| port.number);
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
            alias_service: Some(self.service_id()),
            deregister_critical_service_after: Some(DEREGISTER_AFTER),
            ..Check::default()
        };
        Service {
            kind: Some("connect-proxy"),
            name: EnvText::literal(self.wanted.service.as_str()).with("-sidecar-proxy"),
            id: self.proxy_id(),
            port: Some(self.public_port),
            proxy: Some(Proxy {
                destination_service_name: self.wanted.service.as_str().into(),
                destination_service_id: self.service_id(),
                local_service_address: port.map(|_| LOOPBACK),
                local_service_port: port,
                upstreams: self.wanted.upstreams.iter().map(upstream).collect(),
            }),
            checks: vec![listener, alias],
            ..self.common()
        }
    }

    fn common(&self) -> Service {
        let mut meta: BTreeMap<EnvText, EnvText> = BTreeMap::new();
        for (key, value) in &self.wanted.meta {
            let value = match value {
                MetaValue::Literal(text) => EnvText::literal(text),
                MetaValue::Variable(name) => EnvText::reference(name),
            };
            meta.insert(EnvText::literal(key), value);
        }
        meta.insert(names::META_POD_NAME.into(), EnvText::reference("POD_NAME"));
        meta.insert(names::META_NAMESPACE.into(), EnvText::reference("POD_NAMESPACE"));
        Service {
            namespace: self.namespace.map(|namespace| EnvText::literal(&namespace.name)),
            address: EnvText::reference("POD_IP"),
            tags: self.wanted.tags.iter().map(|tag| EnvText::literal(tag)).collect(),
            meta,
            ..Service::default()
        }
    }
}

fn upstream(upstream: &Upstream) -> ProxyUpstream {
    let (destination_type, namespace) = match &upstream.destination {
        Destination::Service { namespace } => ("service", namespace.as_deref()),
        Destination::PreparedQuery => ("prepared_query", None),
    };
    ProxyUpstream {
        destination_type,
        destination_name: upstream.name.as_str().into(),
        destination_namespace: namespace.map(EnvText::literal),
        datacenter: upstream.datacenter.as_deref().map(EnvText::literal),
        local_bind_address: LOOPBACK,
        local_bind_port: upstream.port,
    }
}

/// Two heartbeats may be lost before the pod counts as gone.
fn ttl(period: Millis) -> Millis {
    Millis(period.0.saturating_mul(3).max(period.0.saturating_add(10_000)))
}

/// A `service-defaults` entry.
///
/// <https://developer.hashicorp.com/consul/docs/reference/config-entry/service-defaults>
pub fn service_defaults(wanted: &Wanted, namespace: Option<&Namespace>) -> Option<EnvText> {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Entry<'a> {
        kind: &'static str,
        name: EnvText,
        protocol: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        namespace: Option<&'a str>,
    }
    let protocol = wanted.protocol?;
    Some(EnvText(encode(&Entry {
        kind: "service-defaults",
        name: wanted.service.as_str().into(),
        protocol: protocol.to_string(),
        namespace: namespace.map(|namespace| namespace.name.as_str()),
    })))
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
