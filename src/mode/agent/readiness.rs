//! A container's readiness probe as a Consul check.
//!
//! <https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/>

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{HTTPGetAction, Probe};

use super::checks::{Check, Request, Thresholds};
use crate::k8s::kubelet::EnvText;
use crate::k8s::pod::{Container, PodSpec};
use crate::k8s::{ports, probe_path};

/// In seconds. A check starts critical and first runs after up to one interval, so it is short.
const LONGEST_INTERVAL: u64 = 2;

const USER_AGENT: &str = "User-Agent";

/// The check for the readiness probe of the container that has the service's port.
pub fn of_service(port: u16, spec: &PodSpec) -> Option<Check> {
    let lists_port = |container: &&Container| {
        container.ports.iter().any(|listed| ports::is_tcp(listed) && ports::number(listed) == Some(port))
    };
    let owner = spec.running().find(lists_port);
    // A port that no container lists must belong to the only container.
    let owner = owner.or_else(|| spec.containers.first().filter(|_| spec.running().count() == 1))?;
    check(owner, owner.readiness_probe.as_ref()?)
}

/// The equivalent check, if there is one. The agent runs outside of the pod: it cannot run `exec`
/// probes, and a probe's host could be a different one there.
fn check(container: &Container, probe: &Probe) -> Option<Check> {
    let request = request(container, probe)?;
    let or = |value: Option<i32>, default: u64| {
        value.and_then(|value| u64::try_from(value).ok()).filter(|value| *value > 0).unwrap_or(default)
    };
    let period = or(probe.period_seconds, 10);
    let interval = period.min(LONGEST_INTERVAL);
    let scaled = |times: u64| times.saturating_mul(period).div_ceil(interval).min(100_000);
    let thresholds = Thresholds {
        // The first success counts immediately, each further one after a period.
        success_before_passing: 1 + scaled(or(probe.success_threshold, 1).saturating_sub(1)),
        failures_before_critical: scaled(or(probe.failure_threshold, 3)),
    };
    Some(Check::readiness(request, interval, or(probe.timeout_seconds, 1).min(86_400), thresholds))
}

fn request(container: &Container, probe: &Probe) -> Option<Request> {
    let port = ports::probed(container, probe)?;
    if let Some(http) = &probe.http_get {
        let https = http.scheme.as_deref() == Some("HTTPS");
        let path = probe_path::path_and_query(http.path.as_deref().unwrap_or_default());
        return Some(Request::http(https, port, &path, headers(http)));
    }
    if probe.tcp_socket.is_some() {
        return Some(Request::tcp(port));
    }
    let grpc = probe.grpc.as_ref()?;
    Some(Request::grpc(port, grpc.service.as_deref().unwrap_or_default()))
}

/// Values by canonical name: Consul would send `host` in addition to its own `Host`.
fn headers(http: &HTTPGetAction) -> BTreeMap<EnvText, Vec<EnvText>> {
    let mut headers: BTreeMap<EnvText, Vec<EnvText>> = BTreeMap::new();
    for header in http.http_headers.iter().flatten() {
        let name = EnvText::literal(&canonical(&header.name));
        headers.entry(name).or_default().push(EnvText::literal(&header.value));
    }
    let agent = headers.entry(EnvText::literal(USER_AGENT));
    agent.or_insert_with(|| vec![EnvText::literal("kube-probe/consul")]);
    headers
}

/// Like Go's `http.CanonicalHeaderKey`: each word starts with an upper-case letter and continues in
/// lower case. Invalid names are not changed.
fn canonical(name: &str) -> String {
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return name.to_owned();
    }
    let word = |word: &str| {
        let (first, rest) = word.split_at_checked(1).unwrap_or(("", word));
        first.to_ascii_uppercase() + &rest.to_ascii_lowercase()
    };
    name.split('-').map(word).collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn checked(probe: Value) -> Option<Value> {
        let ports = json!([{ "name": "web", "containerPort": 8080 }]);
        let spec = json!({ "containers": [{ "name": "a", "ports": ports, "readinessProbe": probe }] });
        let spec = PodSpec::of(&spec).unwrap();
        of_service(8080, &spec).map(|check| serde_json::to_value(check).unwrap())
    }

    #[test]
    fn http_with_everything() {
        let check = checked(json!({
            "httpGet": {
                "path": "ready?x=$(POD_IP)#f", "port": "web", "scheme": "HTTPS",
                "httpHeaders": [{ "name": "Host", "value": "a.b" }, { "name": "X", "value": "$1" }],
            },
            "periodSeconds": 10, "timeoutSeconds": 3, "failureThreshold": 3, "successThreshold": 2,
        }));
        assert_eq!(
            check.unwrap(),
            json!({
                "name": "Readiness", "http": "https://$(POD_IP):8080/ready?x=$$(POD_IP)", "method": "GET",
                "header": { "Host": ["a.b"], "X": ["$$1"], "User-Agent": ["kube-probe/consul"] },
                "tls_skip_verify": true, "interval": "2s", "timeout": "3s",
                "success_before_passing": 6, "failures_before_critical": 15,
            })
        );
    }

    /// Consul's agent is Go, and looks a header up by its canonical name.
    #[test]
    fn headers_by_the_names_that_consul_looks_for() {
        let header = |name: &str, value: &str| json!({ "name": name, "value": value });
        let headers =
            [header("hOST", "a.b"), header("x-a", "1"), header("user-agent", "me"), header("X-A", "2")];
        let check = checked(json!({ "httpGet": { "port": 1, "httpHeaders": headers } })).unwrap();
        assert_eq!(check["header"], json!({ "Host": ["a.b"], "User-Agent": ["me"], "X-A": ["1", "2"] }));
        for (name, expected) in [("x--y-", "X--Y-"), ("-", "-"), ("", ""), ("a b", "a b"), ("é", "é")] {
            assert_eq!(canonical(name), expected);
        }
    }

    #[test]
    fn tcp_and_grpc_with_the_probes_defaults() {
        assert_eq!(
            checked(json!({ "tcpSocket": { "port": 8080 } })).unwrap(),
            json!({
                "name": "Readiness", "tcp": "$(POD_IP):8080", "interval": "2s", "timeout": "1s",
                "success_before_passing": 1, "failures_before_critical": 15,
            })
        );
        let grpc = |grpc: Value| checked(json!({ "grpc": grpc })).unwrap()["grpc"].clone();
        assert_eq!(grpc(json!({ "port": 9, "service": "a.B" })), "$(POD_IP):9/a.B");
        assert_eq!(grpc(json!({ "port": 9 })), "$(POD_IP):9");
        let quick = json!({ "tcpSocket": { "port": 8080 }, "periodSeconds": 1, "failureThreshold": 3 });
        let quick = checked(quick).unwrap();
        assert_eq!((&quick["interval"], &quick["failures_before_critical"]), (&json!("1s"), &json!(3)));
    }

    #[test]
    fn what_consul_cannot_do() {
        for probe in [
            json!({ "exec": { "command": ["true"] } }),
            json!({ "httpGet": { "port": 80, "host": "example.com" } }),
            json!({ "tcpSocket": { "port": 80, "host": "example.com" } }),
            json!({ "httpGet": { "port": "nope" } }),
            json!({}),
            json!(null),
        ] {
            assert!(checked(probe.clone()).is_none(), "{probe}");
        }
    }

    #[test]
    fn the_probe_is_that_of_the_container_with_the_port() {
        let probe = |port: u16| json!({ "tcpSocket": { "port": port } });
        let spec = json!({
            "containers": [
                { "name": "a", "ports": [{ "containerPort": 8080, "protocol": "UDP" }], "readinessProbe": probe(1) },
                { "name": "b", "ports": [{ "containerPort": 8080 }], "readinessProbe": probe(2) },
            ],
        });
        let spec = PodSpec::of(&spec).unwrap();
        let of_service = |port| of_service(port, &spec).map(|check| json!(check)["tcp"].clone());
        assert_eq!(of_service(8080), Some(json!("$(POD_IP):2")));
        assert_eq!(of_service(9090), None);
    }
}
