//! The checks that the pod registers with Consul's agent.
//!
//! <https://developer.hashicorp.com/consul/docs/reference/service/health-check>

use std::collections::BTreeMap;

use serde::Serialize;

use crate::consul::duration::Millis;
use crate::k8s::kubelet::EnvText;

/// After this time without a heartbeat, Consul removes a registration.
const DEREGISTER_AFTER: &str = "10m";

/// The names are the original injector's, which dashboards may use.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Check {
    Heartbeat(Heartbeat),
    Alias(Alias),
    Agent(AgentCheck),
}

/// A check that the lifecycle sidecar passes.
#[derive(Debug, Serialize)]
pub struct Heartbeat {
    name: &'static str,
    id: EnvText,
    ttl: String,
    deregister_critical_service_after: &'static str,
}

/// A check that is critical if one of the service's checks is.
#[derive(Debug, Serialize)]
pub struct Alias {
    name: &'static str,
    alias_service: EnvText,
}

/// A check that the agent runs.
#[derive(Debug, Serialize)]
pub struct AgentCheck {
    name: &'static str,
    #[serde(flatten)]
    request: Request,
    interval: String,
    timeout: String,
    #[serde(flatten)]
    thresholds: Option<Thresholds>,
}

/// The request of a check. Every target begins with the pod's address; the init container puts an
/// IPv6 address into brackets.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Request {
    Http {
        http: EnvText,
        method: &'static str,
        header: BTreeMap<EnvText, Vec<EnvText>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        tls_skip_verify: Option<bool>,
    },
    Tcp {
        tcp: EnvText,
    },
    Grpc {
        grpc: EnvText,
    },
}

/// The number of consecutive results that change the state.
#[derive(Debug, Serialize)]
pub struct Thresholds {
    pub success_before_passing: u64,
    pub failures_before_critical: u64,
}

impl Check {
    /// The check that the lifecycle sidecar passes every `period`. Its ID contains the pod's address,
    /// so that it differs for a later pod with the same name. The scripts build the same ID.
    pub fn heartbeat(id: &EnvText, period: Millis) -> Self {
        Check::Heartbeat(Heartbeat {
            name: "Pod",
            id: id.with("-pod-").with_reference("POD_IP"),
            ttl: ttl(period).to_string(),
            deregister_critical_service_after: DEREGISTER_AFTER,
        })
    }

    pub fn alias(service_id: &EnvText) -> Self {
        Check::Alias(Alias { name: "Destination Alias", alias_service: service_id.clone() })
    }

    /// Checks that Envoy listens.
    pub fn public_listener(port: u16) -> Self {
        Check::Agent(AgentCheck {
            name: "Proxy Public Listener",
            request: Request::tcp(port),
            interval: seconds(2),
            timeout: seconds(2),
            thresholds: None,
        })
    }

    pub fn readiness(request: Request, interval: u64, timeout: u64, thresholds: Thresholds) -> Self {
        Check::Agent(AgentCheck {
            name: "Readiness",
            request,
            interval: seconds(interval),
            timeout: seconds(timeout),
            thresholds: Some(thresholds),
        })
    }
}

impl Request {
    pub fn http(https: bool, port: u16, path: &str, header: BTreeMap<EnvText, Vec<EnvText>>) -> Self {
        let scheme = if https { "https://" } else { "http://" };
        Request::Http {
            http: at_pod(scheme, port, path),
            method: "GET",
            header,
            // Like the kubelet.
            tls_skip_verify: https.then_some(true),
        }
    }

    pub fn tcp(port: u16) -> Self {
        Request::Tcp { tcp: at_pod("", port, "") }
    }

    /// Without a service, the agent checks the whole server.
    pub fn grpc(port: u16, service: &str) -> Self {
        let path = if service.is_empty() { String::new() } else { format!("/{service}") };
        Request::Grpc { grpc: at_pod("", port, &path) }
    }
}

fn at_pod(scheme: &str, port: u16, path: &str) -> EnvText {
    EnvText::literal(scheme).with_reference("POD_IP").with(&format!(":{port}{path}"))
}

fn seconds(number: u64) -> String {
    format!("{number}s")
}

/// The pod is considered gone after three missed heartbeats.
fn ttl(period: Millis) -> Millis {
    Millis(period.0.saturating_mul(3).max(period.0.saturating_add(10_000)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_heartbeat_may_be_lost_twice() {
        assert_eq!(ttl(Millis(10_000)), Millis(30_000));
        assert_eq!(ttl(Millis(1000)), Millis(11_000));
    }

    #[test]
    fn checks_in_the_form_that_consul_reads() {
        let id = EnvText::literal("web-0");
        assert_eq!(
            json!([Check::heartbeat(&id, Millis(1500)), Check::alias(&id), Check::public_listener(20_000)]),
            json!([
                { "name": "Pod", "id": "web-0-pod-$(POD_IP)", "ttl": "11500ms", "deregister_critical_service_after": "10m" },
                { "name": "Destination Alias", "alias_service": "web-0" },
                { "name": "Proxy Public Listener", "tcp": "$(POD_IP):20000", "interval": "2s", "timeout": "2s" },
            ])
        );
    }
}
