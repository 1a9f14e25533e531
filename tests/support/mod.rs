//! Shared by the tests of the built `policy.wasm`: calling it, and evaluating a pod as the
//! kubelet would.
//!
//! Every answer is also checked against the requirements of [`soak::Trial`].
#![allow(dead_code)]

pub mod kept;
pub mod original;
pub mod reasons;
pub mod webhook;

use std::collections::BTreeMap;
use std::sync::{LazyLock, OnceLock};

use policy_host::Policy;
use serde_json::{Value, json};
pub use soak::Answer;
use soak::{Input, Trial, shown};

pub const PREFIX: &str = "consul.hashicorp.com/";
pub const INIT: &str = "consul-connect-inject-init";
pub const ENVOY: &str = "consul-connect-envoy-sidecar";
pub const LIFECYCLE: &str = "consul-connect-lifecycle-sidecar";
pub const INJECTED: [&str; 3] = [INIT, ENVOY, LIFECYCLE];

pub fn policy() -> &'static Policy {
    static POLICY: OnceLock<Policy> = OnceLock::new();
    POLICY.get_or_init(|| {
        let wasm = std::fs::read("policy.wasm")
            .unwrap_or_else(|error| panic!("policy.wasm: {error}; `make policy.wasm` builds it"));
        soak::load(&wasm).unwrap()
    })
}

/// Calls the policy with any payload; a trap, an error or an unmet requirement fails the test.
pub trait Asked {
    fn to(payload: &[u8]) -> Self;
}

impl Asked for Answer {
    fn to(payload: &[u8]) -> Self {
        let input = Input { operation: "validate", payload: payload.to_vec() };
        let trial = Trial::of(policy(), &input)
            .unwrap_or_else(|broken| panic!("{broken}\nof {}", shown(&input.payload)));
        Answer::read(&trial.response).unwrap()
    }
}

/// The payload of a request with an object that need not be valid JSON.
pub fn payload(namespace: &str, object: &str, settings: &str) -> String {
    format!(
        r#"{{"request":{{"uid":"u","kind":{{"group":"","version":"v1","kind":"Pod"}},
            "resource":{{"group":"","version":"v1","resource":"pods"}},"operation":"CREATE",
            "namespace":{},"userInfo":{{}},"object":{object}}},"settings":{settings}}}"#,
        json!(namespace)
    )
}

/// Creates a pod in the namespace `shop`.
pub fn ask(pod: &Value, settings: &Value) -> Answer {
    ask_in("shop", pod, settings)
}

pub fn ask_in(namespace: &str, pod: &Value, settings: &Value) -> Answer {
    Answer::to(payload(namespace, &pod.to_string(), &settings.to_string()).as_bytes())
}

/// Sends any request.
pub fn ask_request(request: &Value, settings: &Value) -> Answer {
    Answer::to(json!({ "request": request, "settings": settings }).to_string().as_bytes())
}

/// A pod with one container `web` on port 8080, and these annotations of the
/// injector (names without the prefix) besides `connect-inject: "true"`.
pub fn web(annotations: &[(&str, &str)]) -> Value {
    let mut pod = plain();
    let mut all = json!({ format!("{PREFIX}connect-inject"): "true" });
    for (name, value) in annotations {
        all[format!("{PREFIX}{name}")] = json!(value);
    }
    pod["metadata"]["annotations"] = all;
    pod
}

/// The same pod without a request for injection.
pub fn plain() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "web-0" },
        "spec": {
            "serviceAccountName": "web",
            "containers": [{
                "name": "web", "image": "example/web:1",
                "ports": [{ "name": "http", "containerPort": 8080 }, { "name": "admin", "containerPort": 9090 }],
            }],
        },
    })
}

/// A container or init container.
pub fn container<'v>(pod: &'v Value, name: &str) -> &'v Value {
    containers(pod)
        .find(|container| container["name"] == name)
        .unwrap_or_else(|| panic!("no {name}: {pod:#}"))
}

/// The init containers, then the containers.
pub fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    let list = |name| pod["spec"][name].as_array().into_iter().flatten();
    list("initContainers").chain(list("containers"))
}

pub fn names(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().map(|item| item["name"].as_str().unwrap()).collect()
}

/// The fields of a running pod that the kubelet substitutes.
static FIELDS: LazyLock<BTreeMap<&str, &str>> = LazyLock::new(|| {
    BTreeMap::from([
        ("metadata.name", "web-0"),
        ("metadata.namespace", "shop"),
        ("status.podIP", "198.18.0.7"),
        ("status.hostIP", "198.18.0.1"),
    ])
});

/// A container's environment as its process sees it.
pub fn environment(container: &Value) -> BTreeMap<String, String> {
    let mut known = BTreeMap::new();
    for variable in container["env"].as_array().into_iter().flatten() {
        let name = variable["name"].as_str().unwrap().to_owned();
        let value = match variable.pointer("/valueFrom/fieldRef/fieldPath") {
            Some(path) => FIELDS[path.as_str().unwrap()].to_owned(),
            None => expand(variable["value"].as_str().unwrap_or_default(), &known),
        };
        known.insert(name, value);
    }
    known
}

/// The kubelet's expansion: `$(NAME)` becomes the value of a known variable, `$$` becomes `$`,
/// and anything else is kept.
///
/// <https://github.com/kubernetes/kubernetes/blob/master/third_party/forked/golang/expansion/expand.go>
pub fn expand(text: &str, variables: &BTreeMap<String, String>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        rest = if let Some(after) = after.strip_prefix('$') {
            out.push('$');
            after
        } else if let Some((name, tail)) = after.strip_prefix('(').and_then(|inner| inner.split_once(')')) {
            match variables.get(name) {
                Some(value) => out.push_str(value),
                None => out.push_str(&format!("$({name})")),
            }
            tail
        } else {
            out.push('$');
            after
        };
    }
    out + rest
}

/// The two registrations that the init container makes: the service's and the
/// proxy's, as Consul reads them.
pub fn registration(pod: &Value) -> (Value, Value) {
    let environment = environment(container(pod, INIT));
    let document: Value = serde_json::from_str(&environment["CONNECT_INJECT_REGISTRATION"]).unwrap();
    let services = document["services"].as_array().unwrap();
    assert_eq!(services.len(), 2, "{document:#}");
    (services[0].clone(), services[1].clone())
}

/// Envoy's arguments as its process sees them.
pub fn envoy_arguments(pod: &Value) -> Vec<String> {
    let envoy = container(pod, ENVOY);
    let known = environment(envoy);
    let list = envoy["args"].as_array().unwrap();
    list.iter().map(|argument| expand(argument.as_str().unwrap(), &known)).collect()
}
