//! What consul-k8s's endpoints controller registers for an injected pod.
//!
//! `test_data/dataplane/registrations-2.0.3.jsonl` contains the registrations that the controller
//! of consul-k8s 2.0.3 made for the webhook's pods. Read in the same way ([`registered`]), the
//! policy's pods give the same registrations. Where the controller fails, the policy must
//! reject the pod.

mod support;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use consul_connect_injector::consul::catalog_upstream::{self, CatalogUpstream};
use consul_connect_injector::problem::{Findings, Flaw};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use support::PREFIX;
use support::webhook::{CASES, Case};

const REGISTRATIONS: &str = include_str!("../test_data/dataplane/registrations-2.0.3.jsonl");

/// A run of the controller for one service of a case's pod.
#[derive(Deserialize)]
struct Run {
    id: String,
    #[serde(rename = "kubernetesService")]
    service: String,
    #[serde(default)]
    registrations: Vec<Value>,
    error: Option<String>,
}

fn runs() -> Vec<Run> {
    REGISTRATIONS.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn the_controller_registers_the_policys_pods_as_it_does_the_webhooks() {
    let cases: BTreeMap<&str, &Case> = CASES.iter().map(|case| (case.id.as_str(), case)).collect();
    let (mut compared, mut rejected, mut ignored) = (0, 0, 0);
    for run in runs() {
        let case = cases[run.id.as_str()];
        let answer = case.ask();
        let Some(pod) = answer.mutated_object.is_some().then(|| answer.pod()) else {
            rejected += 1;
            continue;
        };
        if let Some(error) = &run.error {
            panic!("{}: the controller fails and the policy injects: {error}", run.id);
        }
        let mut proxies = run.registrations.iter().filter(|body| body["Service"]["Kind"] == "connect-proxy");
        let Some(recorded) = proxies.next() else {
            ignored += 1;
            continue;
        };
        let mut recorded = recorded["Service"].clone();
        let mut ours = registered(case, &pod, &run.service);
        // With several ports, Enterprise registers a list; without an annotation, the Kubernetes
        // Service decides.
        if recorded.get("Ports").is_some() || annotation(&pod, "connect-service-port").is_empty() {
            for service in [&mut recorded, &mut ours] {
                service["Proxy"].as_object_mut().unwrap().remove("LocalServicePort");
            }
        }
        for part in ["Mode", "Config", "Expose", "Upstreams", "LocalServicePort"] {
            assert_eq!(ours["Proxy"].get(part), recorded["Proxy"].get(part), "{}: {part}", run.id);
        }
        assert_eq!(ours["Port"], recorded["Port"], "{}: Port", run.id);
        compared += 1;
    }
    println!("{compared} compared, {rejected} not injected, {ignored} that the controller ignores");
    assert!(compared > 5 * (rejected + ignored), "{compared}, {rejected}, {ignored}");
}

fn annotation<'p>(pod: &'p Value, name: &str) -> &'p str {
    pod["metadata"]["annotations"][format!("{PREFIX}{name}")].as_str().unwrap_or_default()
}

fn is_on(pod: &Value, name: &str) -> bool {
    annotation(pod, name).parse().unwrap_or(annotation(pod, name) == "1")
}

/// The part of the proxy's registration that depends on the policy's output.
fn registered(case: &Case, pod: &Value, service: &str) -> Value {
    let services: Vec<&str> = annotation(pod, "connect-service").split(',').map(str::trim).collect();
    let index = services.iter().position(|name| services.len() > 1 && *name == service).unwrap_or(0);
    let mut proxy = Map::new();
    let mut add = |part: &str, value: Value| {
        proxy.insert(part.to_owned(), value);
    };
    if is_on(pod, "transparent-proxy") {
        add("Mode", json!("transparent"));
    }
    if is_on(pod, "enable-metrics") {
        let port = port_value(pod, annotation(pod, "prometheus-scrape-port")).unwrap();
        let address = if case.is_on("global.dualStack.enabled") { "[::]" } else { "0.0.0.0" };
        add("Config", json!({ "envoy_prometheus_bind_addr": format!("{address}:{port}") }));
    }
    let paths = exposed(pod);
    if !paths.is_empty() {
        add("Expose", json!({ "Paths": paths }));
    }
    let upstreams = if index == 0 { upstreams(case, pod) } else { Vec::new() };
    if !upstreams.is_empty() {
        add("Upstreams", json!(upstreams));
    }
    let ports: Vec<&str> = annotation(pod, "connect-service-port").split(',').map(str::trim).collect();
    let default = annotation(pod, "connect-service-default-port");
    let port = match (services.len(), default) {
        (1, "") => ports[0],
        (1, default) => default,
        _ => ports.get(index).unwrap_or(&ports[0]),
    };
    if let Some(port) = port_value(pod, port) {
        add("LocalServicePort", json!(port));
    }
    json!({ "Port": 20000 + index, "Proxy": proxy })
}

/// A port by its name in any of the containers, or by its number.
fn port_value(pod: &Value, written: &str) -> Option<u64> {
    let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
    let mut ports = containers.flat_map(|container| container["ports"].as_array().into_iter().flatten());
    let named = ports.find(|port| port["name"] == written);
    named.map_or_else(|| written.parse().ok(), |port| port["containerPort"].as_u64())
}

/// The HTTP probes for which Envoy listens.
fn exposed(pod: &Value) -> Vec<Value> {
    if !is_on(pod, "transparent-proxy") || !is_on(pod, "transparent-proxy-overwrite-probes") {
        return Vec::new();
    }
    let original: Value = serde_json::from_str(annotation(pod, "original-pod")).unwrap();
    let mut paths = Vec::new();
    for container in pod["spec"]["containers"].as_array().unwrap() {
        let originals = original["spec"]["containers"].as_array().into_iter().flatten();
        for before in originals.filter(|before| before["name"] == container["name"]) {
            for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
                let Some(http) = container[probe].get("httpGet") else { continue };
                // The controller crashes on a probe that is not in the original.
                let port = before[probe]["httpGet"].get("port").expect("the original has the probe");
                let local = port.as_u64().or_else(|| port_value(&original, port.as_str()?));
                let mut path = json!({ "ListenerPort": http["port"], "LocalPathPort": local });
                if let Some(written) = http.get("path") {
                    path["Path"] = written.clone();
                }
                paths.push(path);
            }
        }
    }
    paths
}

/// The upstreams as the policy parses them, in the format of Consul's API.
fn upstreams(case: &Case, pod: &Value) -> Vec<Value> {
    let written = annotation(pod, "connect-service-upstreams");
    let resolve = |text: &str| -> Result<u16, Flaw> {
        let port = port_value(&case.pod, text).and_then(|port| u16::try_from(port).ok());
        port.ok_or_else(|| Flaw::new("is not a port", "write one"))
    };
    let namespaces = case.is_on("global.enableConsulNamespaces");
    let mut findings = Findings::default();
    let upstreams = catalog_upstream::parse_list(
        "upstreams",
        written,
        &resolve,
        namespaces,
        Ipv4Addr::LOCALHOST.into(),
        &mut findings,
    );
    assert!(findings.problems.is_empty(), "{}: {findings:?}", case.id);
    upstreams.iter().map(api_upstream).collect()
}

fn api_upstream(upstream: &CatalogUpstream) -> Value {
    let CatalogUpstream { target, port, options, .. } = upstream;
    let kind = if target.prepared_query { "prepared_query" } else { "service" };
    let mut out = json!({ "DestinationType": kind, "DestinationName": target.name, "LocalBindPort": port });
    let address = options.local_bind_address.map(|address| address.to_string());
    for (name, value) in [
        ("DestinationNamespace", &target.namespace),
        ("DestinationPartition", &target.partition),
        ("DestinationPeer", &target.peer),
        ("Datacenter", &options.datacenter),
        ("DestinationPort", &options.destination_port),
        ("LocalBindAddress", &address),
    ] {
        if let Some(value) = value {
            out[name] = json!(value);
        }
    }
    if let Some(mode) = &options.mesh_gateway_mode {
        out["MeshGateway"] = json!({ "Mode": mode });
    }
    out
}
