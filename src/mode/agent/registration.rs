//! The registration of the service and its sidecar proxy with the agent: a document for
//! `consul services register`.
//!
//! <https://developer.hashicorp.com/consul/docs/reference/service>

use std::collections::BTreeMap;

use serde::Serialize;

use super::checks::Check;
use super::service_spec::ServiceSpec;
use crate::annotations::metadata::{K8S_NAMESPACE_KEY, MetaValue, POD_NAME_KEY};
use crate::consul::duration::Millis;
use crate::consul::namespace::Namespace;
use crate::consul::upstream::{Destination, Upstream};
use crate::k8s::kubelet::EnvText;
use crate::mode::shared::upstream_env::LOOPBACK;
use crate::problem::{Findings, Flaw};

/// The suffix of a proxy's name and ID, after those of its service. The scripts have it, too.
const PROXY_SUFFIX: &str = "-sidecar-proxy";

/// The service, then its proxy.
#[derive(Debug, Serialize)]
pub struct Registration {
    services: [Service; 2],
}

#[derive(Debug, Serialize)]
struct Service {
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    name: EnvText,
    id: EnvText,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<EnvText>,
    address: EnvText,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<EnvText>,
    meta: BTreeMap<EnvText, EnvText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    config: Option<ProxyConfig>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    upstreams: Vec<ProxyUpstream>,
}

/// Options for Envoy's bootstrap configuration.
#[derive(Debug, Serialize)]
struct ProxyConfig {
    envoy_prometheus_bind_addr: EnvText,
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

/// The id of the pod's service. The ids of its proxy and of both heartbeats begin with it.
pub fn service_id(service: &ServiceSpec) -> EnvText {
    EnvText::reference("POD_NAME").with("-").with(service.name.as_str())
}

impl Registration {
    /// `readiness` checks that the service is ready, if Consul's agent can do that.
    pub fn new(
        service: &ServiceSpec,
        namespace: Option<&Namespace>,
        public_port: u16,
        readiness: Option<Check>,
    ) -> Self {
        let (name, id) = (EnvText::literal(service.name.as_str()), service_id(service));
        let proxy_id = id.with(PROXY_SUFFIX);
        let port = service.port_number();
        let common = |name: EnvText, id: &EnvText| Service {
            kind: None,
            name,
            id: id.clone(),
            namespace: namespace.map(|namespace| EnvText::literal(&namespace.name)),
            address: EnvText::reference("POD_IP"),
            tags: service.tags.iter().map(|tag| EnvText::literal(tag)).collect(),
            meta: meta(&service.metadata),
            port: None,
            proxy: None,
            checks: Vec::new(),
        };
        let heartbeat = Check::heartbeat(&id, service.sync_period);
        // The other checks are critical while the service is not ready or Envoy does not run. With
        // its own heartbeat, the proxy stays registered as long as the pod exists.
        let every_third = Millis(service.sync_period.0.saturating_mul(3));
        let proxy_checks = vec![
            Check::public_listener(public_port),
            Check::alias(&id),
            Check::heartbeat(&proxy_id, every_third),
        ];
        let proxy = Proxy {
            destination_service_name: name.clone(),
            destination_service_id: id.clone(),
            local_service_address: port.map(|_| LOOPBACK),
            local_service_port: port,
            config: service.metrics.enabled.then(|| ProxyConfig {
                envoy_prometheus_bind_addr: EnvText::reference("POD_IP")
                    .with(&format!(":{}", service.metrics.port)),
            }),
            upstreams: service.upstreams.iter().map(ProxyUpstream::new).collect(),
        };
        Registration {
            services: [
                Service {
                    port,
                    checks: [heartbeat].into_iter().chain(readiness).collect(),
                    ..common(name.clone(), &id)
                },
                Service {
                    kind: Some("connect-proxy"),
                    port: Some(public_port),
                    proxy: Some(proxy),
                    checks: proxy_checks,
                    ..common(name.with(PROXY_SUFFIX), &proxy_id)
                },
            ],
        }
    }

    /// The registration as JSON, for an environment variable in which the kubelet expands references
    /// to fields of the pod.
    pub fn document(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }
}

/// Checks the size: on Linux, an environment variable has at most 128 KiB.
pub fn check_size(document: &str, findings: &mut Findings) {
    const LIMIT: usize = 100 * 1024;
    let size = document.len();
    if size > LIMIT {
        let why = format!("must be at most {LIMIT} bytes to fit into an environment variable, found {size}");
        let remedy = "use fewer or shorter upstreams, tags, metadata or probe headers";
        findings.problem(Flaw::new(why, remedy).at("the service's registration"));
    }
}

fn meta(own: &[(String, MetaValue)]) -> BTreeMap<EnvText, EnvText> {
    let mut meta = BTreeMap::from([
        (EnvText::literal(POD_NAME_KEY), EnvText::reference("POD_NAME")),
        (EnvText::literal(K8S_NAMESPACE_KEY), EnvText::reference("POD_NAMESPACE")),
    ]);
    meta.extend(own.iter().map(|(key, value)| {
        let value = match value {
            MetaValue::Literal(text) => EnvText::literal(text),
            MetaValue::Variable(name) => EnvText::reference(name),
        };
        (EnvText::literal(key), value)
    }));
    meta
}

impl ProxyUpstream {
    fn new(upstream: &Upstream) -> Self {
        let literal = |text: &String| EnvText::literal(text);
        ProxyUpstream {
            destination_type: match &upstream.destination {
                Destination::Service { .. } => "service",
                Destination::PreparedQuery => "prepared_query",
            },
            destination_name: EnvText::literal(upstream.name.as_str()),
            destination_namespace: upstream.namespace().map(literal),
            datacenter: upstream.datacenter.as_ref().map(literal),
            local_bind_address: LOOPBACK,
            local_bind_port: upstream.port,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::annotations::service::ServicePort;
    use crate::consul::service_name::ServiceName;
    use crate::mode::shared::scrape::Scrape;
    use crate::settings::resources::Resources;
    use serde_json::{Value, json};

    fn service() -> ServiceSpec {
        ServiceSpec {
            name: ServiceName::parse("web").unwrap(),
            port: Some(ServicePort { number: 8080, written_back: None }),
            upstreams: Vec::new(),
            protocol: None,
            envoy_args: None,
            tags: Vec::new(),
            metadata: Vec::new(),
            envoy_resources: Resources::default(),
            sync_period: Millis(10_000),
            metrics: Scrape { enabled: false, port: 20_200, path: "/metrics".to_owned() },
        }
    }

    fn registered(service: &ServiceSpec) -> Value {
        let document = Registration::new(service, None, 20_000, None).document().unwrap();
        serde_json::from_str(&document).unwrap()
    }

    #[test]
    fn service_and_proxy() {
        let id = "$(POD_NAME)-web";
        let proxy_id = "$(POD_NAME)-web-sidecar-proxy";
        let meta = json!({ "pod-name": "$(POD_NAME)", "k8s-namespace": "$(POD_NAMESPACE)" });
        let heartbeat = |id: &str, ttl: &str| json!({ "name": "Pod", "id": format!("{id}-pod-$(POD_IP)"), "ttl": ttl, "deregister_critical_service_after": "10m" });
        assert_eq!(
            registered(&service()),
            json!({ "services": [
                {
                    "name": "web", "id": id, "address": "$(POD_IP)", "port": 8080, "meta": meta,
                    "checks": [heartbeat(id, "30s")],
                },
                {
                    "kind": "connect-proxy", "name": "web-sidecar-proxy", "id": proxy_id,
                    "address": "$(POD_IP)", "port": 20000, "meta": meta,
                    "proxy": {
                        "destination_service_name": "web", "destination_service_id": id,
                        "local_service_address": "127.0.0.1", "local_service_port": 8080,
                    },
                    "checks": [
                        { "name": "Proxy Public Listener", "tcp": "$(POD_IP):20000", "interval": "2s", "timeout": "2s" },
                        { "name": "Destination Alias", "alias_service": id },
                        heartbeat(proxy_id, "90s"),
                    ],
                },
            ] })
        );
    }

    #[test]
    fn a_service_without_a_port_only_calls_others() {
        let upstream = |destination, datacenter: Option<&str>| Upstream {
            destination,
            name: ServiceName::parse("db").unwrap(),
            port: 1234,
            datacenter: datacenter.map(str::to_owned),
        };
        let namespace = Some("team".to_owned());
        let service = ServiceSpec {
            port: None,
            upstreams: vec![
                upstream(Destination::Service { namespace }, Some("dc2")),
                upstream(Destination::PreparedQuery, None),
            ],
            ..service()
        };
        let document = registered(&service);
        assert!(document["services"][0].get("port").is_none());
        assert_eq!(
            document["services"][1]["proxy"],
            json!({
                "destination_service_name": "web", "destination_service_id": "$(POD_NAME)-web",
                "upstreams": [
                    {
                        "destination_type": "service", "destination_name": "db", "destination_namespace": "team",
                        "datacenter": "dc2", "local_bind_address": "127.0.0.1", "local_bind_port": 1234,
                    },
                    {
                        "destination_type": "prepared_query", "destination_name": "db",
                        "local_bind_address": "127.0.0.1", "local_bind_port": 1234,
                    },
                ],
            })
        );
    }

    #[test]
    fn the_kubelet_expands_nothing_of_the_users() {
        let literal = |text: &str| MetaValue::Literal(text.to_owned());
        let service = ServiceSpec {
            tags: vec!["$(POD_IP)".to_owned(), "$".to_owned()],
            metadata: vec![("a".into(), literal("$$(x)")), ("b".into(), MetaValue::Variable("HOST_IP"))],
            ..service()
        };
        for registered in registered(&service)["services"].as_array().unwrap() {
            assert_eq!(registered["tags"], json!(["$$(POD_IP)", "$$"]));
            assert_eq!(registered["meta"]["a"], "$$$$(x)");
            assert_eq!(registered["meta"]["b"], "$(HOST_IP)");
        }
    }

    #[test]
    fn a_document_that_fits_into_no_variable_is_a_problem() {
        let mut findings = Findings::default();
        check_size(&"x".repeat(102_400), &mut findings);
        assert!(findings.problems.is_empty());
        check_size(&"x".repeat(102_401), &mut findings);
        let problem = findings.problems[0].to_string();
        assert!(problem.starts_with("the service's registration: must be at most 102400 bytes"), "{problem}");
    }
}
