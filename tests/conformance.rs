//! Compares the policy with the original injector, case by case.
//!
//! `test_data/conformance/original-injector.jsonl` contains what consul-k8s 0.25.0
//! did with 344 pods. The policy does the same, or the difference has one of the
//! [`REASONS`]. A difference without a reason fails, and so does a reason without a
//! case.
//!
//! A model of the original that reproduces the recorded cases ([`original`]) extends
//! them by some thousand similar pods ([`derived`]).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use support::original::original;
use support::{
    Answer, ENVOY, PREFIX, ask_in, container, containers, environment, envoy_arguments, registration,
};

const CASES: &str = include_str!("../test_data/conformance/original-injector.jsonl");

#[derive(Deserialize)]
struct Case {
    name: String,
    settings: Value,
    namespace: String,
    pod: Value,
    original: Value,
}

/// One difference between the two.
struct Difference<'c> {
    case: &'c Case,
    /// `outcome`, or the part of the injected pod.
    what: String,
    theirs: Value,
    /// One of the problems of a rejection, otherwise the name of the reason.
    ours: Value,
}

impl Case {
    fn annotation(&self, name: &str) -> Option<&str> {
        self.pod["metadata"]["annotations"].get(format!("{PREFIX}{name}"))?.as_str()
    }

    /// The upstreams of the pod, split into their parts.
    fn upstreams(&self) -> Vec<Vec<&str>> {
        let list = self.annotation("connect-service-upstreams").unwrap_or_default();
        list.split(',').map(|upstream| upstream.split(':').map(str::trim).collect()).collect()
    }
}

impl Case {
    /// The part of an upstream before its port.
    fn name_of<'u>(&self, parts: &[&'u str]) -> &'u str {
        if parts[0] == "prepared_query" { parts[1] } else { parts[0] }
    }

    /// The local port of an upstream as a number.
    fn port_of(&self, parts: &[&str]) -> String {
        let written = parts[if parts[0] == "prepared_query" { 2 } else { 1 }];
        let ports =
            containers(&self.pod).flat_map(|container| container["ports"].as_array().into_iter().flatten());
        let mut named = ports.filter(|port| port["name"] == written);
        named.next().map_or_else(|| written.to_owned(), |port| port["containerPort"].to_string())
    }
}

impl Difference<'_> {
    /// The original injects, and the policy reports a problem of that annotation.
    fn rejected(&self, annotation: &str, why: &[&str]) -> bool {
        let problem = self.ours.as_str().unwrap_or_default();
        self.what == "outcome"
            && self.theirs != "crash"
            && problem.starts_with(&format!("- annotation {PREFIX}{annotation}: "))
            && why.iter().any(|why| problem.contains(why))
    }

    /// The variable that differs.
    fn variable(&self) -> Option<&str> {
        self.what.strip_prefix("upstream_environment.")?.split('/').nth(1)
    }
}

/// A kind of intended difference.
struct Reason {
    says: &'static str,
    explains: fn(&Difference) -> bool,
}

/// The table, and a test for each reason that some case needs it.
macro_rules! reasons {
    ($($name:ident { $($reason:tt)* })*) => {
        const REASONS: &[(&str, Reason)] = &[$((stringify!($name), Reason { $($reason)* })),*];

        mod a_case_needs {
            $(#[test]
            fn $name() {
                let needed = super::COMPARED.needed[stringify!($name)];
                println!("{needed} differences");
                assert!(needed > 0);
            })*
        }
    };
}

reasons! {
    crashes {
        says: "rejected where the original crashes",
        explains: |it| it.theirs == "crash" && it.ours.as_str().is_some_and(|ours| ours.starts_with("- ")),
    }
    unparsable {
        says: "rejected where the original writes a registration that Consul cannot parse",
        explains: |it| {
            it.case.original["registration_broken"] == true && it.what.starts_with("registration.")
        },
    }
    bad_upstream {
        says: "an invalid upstream is rejected; the original drops or truncates it",
        explains: |it| {
            let whys = [
                "local port \"",
                "a local port is required",
                "service name ",
                "must not be empty",
                "has too many parts",
                "Consul namespace ",
                "datacenter ",
            ];
            it.rejected("connect-service-upstreams", &whys)
        },
    }
    one_local_port {
        says: "two upstreams on the same local port are rejected",
        explains: |it| it.rejected("connect-service-upstreams", &["its local port is already used by"]),
    }
    bad_service_port {
        says: "a service port that is not a plain number from 1 to 65535 is rejected",
        explains: |it| {
            let whys = ["must be a port number", "must be a TCP port", "is a port of an init container"];
            it.rejected("connect-service-port", &whys)
        },
    }
    spaces_round_a_port {
        says: "spaces around the service port are removed",
        explains: |it| {
            let port = it.case.annotation("connect-service-port").unwrap_or_default();
            port != port.trim() && it.theirs == "rejected" && it.ours == "injected"
        },
    }
    empty_service_name {
        says: "an empty service name is rejected; the original silently skips the pod",
        explains: |it| it.theirs == "skipped" && it.rejected("connect-service", &["\"\": must not be empty"]),
    }
    bad_service_name {
        says: "a name that is invalid for a service in Consul is rejected",
        explains: |it| {
            let whys = ["must consist of ", "must be a single service"];
            it.rejected("connect-service", &whys)
        },
    }
    own_token {
        says: "with ACLs, the policy mounts a projected token of its own instead of copying the app's mount",
        explains: |it| {
            it.theirs == "rejected"
                && it.ours == "injected"
                && it.case.settings["acls"]["enabled"] == true
                && !it.case.pod["spec"].to_string().contains("secrets/kubernetes.io/serviceaccount\"")
        },
    }
    only_by_default {
        says: "a pod without `connect-inject` is never rejected because of the setting `default`",
        explains: |it| {
            it.theirs == "rejected"
                && it.ours == "not-injectable"
                && !it.case.pod["metadata"].to_string().contains(PREFIX)
        },
    }
    refused_metadata {
        says: "metadata that Consul would refuse is rejected",
        explains: |it| {
            ["", "a.b", "consul-x", "pod-name"].iter().any(|key| {
                it.rejected(&format!("service-meta-{key}"), &["metadata key"])
            })
        },
    }
    pod_name {
        says: "`$POD_NAME` is replaced by the policy; no shell evaluates the value",
        explains: |it| {
            it.what == "registration.meta"
                && it.ours == parsed(&it.theirs.to_string().replace("${POD_NAME}", "web-0"))
        },
    }
    negative_quantity { says: "a negative quantity is rejected", explains: negative
    }
    request_over_limit {
        says: "a request that exceeds its limit is rejected",
        explains: |it| {
            let all = [("cpu", "request"), ("cpu", "limit"), ("memory", "request"), ("memory", "limit")];
            all.iter().any(|(resource, kind)| {
                it.rejected(&format!("sidecar-proxy-{resource}-{kind}"), &["must not exceed the ", "must not be less than the "])
            })
        },
    }
    bad_envoy_arguments {
        says: "a flag with which Envoy would not start or not join the mesh, such as a repeated flag, is rejected",
        explains: |it| {
            let whys = ["is not allowed: ", "Envoy does not start", "requires a value", "the value "];
            it.rejected("envoy-extra-args", &whys)
        },
    }
    variables_of_queries {
        says: "prepared queries get upstream variables",
        explains: |it| {
            let queries = it.case.upstreams().into_iter().filter(|parts| parts[0] == "prepared_query");
            let mut names = queries.map(|parts| variable_name(parts[1]));
            it.theirs.is_null() && it.variable().is_some_and(|own| names.any(|name| own.starts_with(&name)))
        },
    }
    readable_variables {
        says: "names of upstream variables are valid in a shell: `_` replaces dots, and no name starts with a digit",
        explains: |it| {
            let Some(variable) = it.variable() else { return false };
            let mut names =
                it.case.upstreams().into_iter().map(|parts| parts[0].to_uppercase().replace('-', "_"));
            names.any(|theirs| {
                let ours = variable_name(&theirs);
                theirs != ours
                    && ((it.ours.is_null() && variable.starts_with(&theirs))
                        || (it.theirs.is_null() && variable.starts_with(&ours)))
            })
        },
    }
    first_of_one_name {
        says: "the first of two upstreams with the same name sets the variables, not the last",
        explains: |it| {
            let name = it.variable().and_then(|variable| variable.strip_suffix("_CONNECT_SERVICE_PORT"));
            let upstreams = it.case.upstreams();
            let named = |parts: &&Vec<&str>| {
                parts.len() > 1 && Some(variable_name(it.case.name_of(parts))).as_deref() == name
            };
            let same: Vec<&Vec<&str>> = upstreams.iter().filter(named).collect();
            same.len() > 1 && it.ours == it.case.port_of(same[0])
        },
    }
    datacenter_in_the_name {
        says: "the datacenter of the second of two upstreams with the same name is part of its variables' names",
        explains: |it| {
            let name = it
                .variable()
                .and_then(|variable| variable.split_once("_CONNECT_SERVICE_"))
                .map(|(name, _)| name);
            let mut datacenters = it.case.upstreams().into_iter().filter(|parts| parts.len() == 3);
            it.theirs.is_null()
                && datacenters.any(|parts| {
                    name == Some(&format!("{}_{}", variable_name(parts[0]), variable_name(parts[2])))
                })
        },
    }
    trimmed {
        says: "names of upstreams and tags are trimmed, and empty tags are removed",
        explains: |it| match it.what.as_str() {
            "registration.tags" => {
                let tags = it.theirs.as_array().into_iter().flatten().map(|tag| tag.as_str().unwrap().trim());
                let tags: Vec<&str> = tags.filter(|tag| !tag.is_empty()).collect();
                json!(tags) == *it.ours.as_array().map_or(&json!([]), |_| &it.ours)
            }
            "registration.upstreams" => {
                let mut upstreams = it.theirs.clone();
                for upstream in upstreams.as_array_mut().into_iter().flatten() {
                    for key in ["destination_name", "destination_namespace"] {
                        if let Some(text) = upstream[key].as_str().map(|text| text.trim().to_owned()) {
                            upstream[key] = json!(text);
                        }
                    }
                    upstream.as_object_mut().unwrap().retain(|_, value| !value.is_null());
                }
                upstreams == it.ours
            }
            _ => false,
        },
    }
    any_containers_port {
        says: "the default port is the first TCP port of any container, not only of the first container",
        explains: |it| {
            let first = &it.case.pod["spec"]["containers"][0]["ports"][0];
            let is_tcp =
                first["containerPort"].is_number() && first["protocol"].as_str().is_none_or(|it| it == "TCP");
            it.case.annotation("connect-service-port").is_none() && !is_tcp && it.what.ends_with("port")
        },
    }
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn negative(it: &Difference) -> bool {
    let amounts = ["cpu-limit", "cpu-request", "memory-limit", "memory-request"];
    amounts.iter().any(|amount| it.rejected(&format!("sidecar-proxy-{amount}"), &["must not be negative"]))
}

/// The policy's variable for the name of an upstream.
fn variable_name(upstream: &str) -> String {
    let name = upstream.to_uppercase().replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("_{name}") } else { name }
}

fn cases() -> Vec<Case> {
    CASES.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What the policy does, in the format of the recorded cases.
fn observed(case: &Case, answer: &Answer) -> Value {
    if !answer.accepted {
        return json!({ "outcome": "rejected" });
    }
    if answer.mutated_object.is_none() {
        return json!({ "outcome": "skipped" });
    }
    let pod = answer.pod();
    json!({
        "outcome": "injected",
        "annotations_written": annotations_written(&case.pod, &pod),
        "upstream_environment": upstream_environment(&case.pod, &pod),
        "registration": registered(&pod),
    })
}

fn annotations_written(before: &Value, after: &Value) -> Value {
    let all = after["metadata"]["annotations"].as_object().unwrap().clone();
    let old = &before["metadata"]["annotations"];
    all.into_iter().filter(|(key, value)| old.get(key) != Some(value)).collect::<Map<_, _>>().into()
}

/// The variables of all the user's containers, as `<container>/<variable>`.
fn upstream_environment(before: &Value, after: &Value) -> Value {
    let mut all = Map::new();
    for user in containers(before) {
        let name = user["name"].as_str().unwrap();
        for (variable, value) in environment(container(after, name)) {
            if variable.contains("_CONNECT_SERVICE_") {
                all.insert(format!("{name}/{variable}"), value.into());
            }
        }
    }
    all.into()
}

/// The recorded variables in the same form.
fn flat(environment: &Value) -> Value {
    let mut all = Map::new();
    for (container, variables) in environment.as_object().into_iter().flatten() {
        for (variable, value) in variables.as_object().unwrap() {
            all.insert(format!("{container}/{variable}"), value.clone());
        }
    }
    all.into()
}

fn registered(pod: &Value) -> Value {
    let (service, proxy) = registration(pod);
    for key in ["namespace", "tags", "meta"] {
        assert_eq!(service.get(key), proxy.get(key), "{key} is on both");
    }
    let mut out = json!({
        "service": service["name"],
        "port": service.get("port").unwrap_or(&json!(0)),
        "proxy_service": proxy["name"],
    });
    let optional = |from: &Value, key: &str| from.get(key).cloned();
    let mut add = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            out[name] = value;
        }
    };
    add("local_service_port", optional(&proxy["proxy"], "local_service_port"));
    add("namespace", optional(&service, "namespace"));
    add("tags", optional(&service, "tags"));
    let mut meta = service["meta"].as_object().unwrap().clone();
    assert!(meta.remove("pod-name").is_some() && meta.remove("k8s-namespace").is_some());
    add("meta", Some(meta).filter(|meta| !meta.is_empty()).map(Value::from));
    let mut upstreams = optional(&proxy["proxy"], "upstreams").unwrap_or_else(|| json!([]));
    for upstream in upstreams.as_array_mut().unwrap() {
        assert_eq!(upstream.as_object_mut().unwrap().remove("local_bind_address"), Some(json!("127.0.0.1")));
    }
    add("upstreams", Some(upstreams));
    out
}

/// The differences: in the outcome, one for each problem that the policy reports, or in
/// single annotations, variables and parts of the registration.
fn differences(case: &Case) -> Vec<Difference<'_>> {
    let answer = ask_in(&case.namespace, &case.pod, &case.settings);
    let (mut theirs, ours) = (case.original.clone(), observed(case, &answer));
    theirs["upstream_environment"] = flat(&theirs["upstream_environment"]);
    if theirs["outcome"] != ours["outcome"] {
        let problems = answer.message.as_deref().unwrap_or(answer.reason()).lines();
        let problems = problems.skip(usize::from(!answer.accepted));
        let outcome = |problem: &str| Difference {
            case,
            what: "outcome".into(),
            theirs: theirs["outcome"].clone(),
            ours: problem.into(),
        };
        return problems.map(outcome).collect();
    }
    let mut found = Vec::new();
    for part in ["annotations_written", "upstream_environment", "registration"] {
        let members = |all: &Value| all[part].as_object().cloned().unwrap_or_default();
        let (theirs, ours) = (members(&theirs), members(&ours));
        let keys: BTreeSet<&String> = theirs.keys().chain(ours.keys()).collect();
        for key in keys {
            let of = |all: &Map<String, Value>| all.get(key).cloned().unwrap_or_default();
            if of(&theirs) != of(&ours) {
                let what = format!("{part}.{key}");
                found.push(Difference { case, what, theirs: of(&theirs), ours: of(&ours) });
            }
        }
    }
    found
}

struct Compared {
    /// The number of differences that each reason explains.
    needed: BTreeMap<&'static str, usize>,
    unexplained: Vec<String>,
}

static COMPARED: LazyLock<Compared> = LazyLock::new(|| {
    let needed = REASONS.iter().map(|(name, _)| (*name, 0)).collect();
    let mut compared = Compared { needed, unexplained: Vec::new() };
    for case in cases().iter().chain(&derived()) {
        for difference in differences(case) {
            match REASONS.iter().find(|(_, reason)| (reason.explains)(&difference)) {
                Some((name, _)) => *compared.needed.get_mut(name).unwrap() += 1,
                None => {
                    let Difference { what, theirs, ours, .. } = &difference;
                    let told = format!("{}: {what}: the original {theirs}, the policy {ours}", case.name);
                    compared.unexplained.push(told);
                }
            }
        }
    }
    compared
});

#[test]
fn every_difference_from_the_original_has_a_reason() {
    let unexplained = &COMPARED.unexplained;
    assert!(unexplained.is_empty(), "differences without a reason:\n{}", unexplained.join("\n"));
    for (name, reason) in REASONS {
        println!("{:5} {}", COMPARED.needed[name], reason.says);
    }
}

/// Pods and settings like the recorded ones: each annotation with each relevant value,
/// and combinations of them.
fn derived() -> Vec<Case> {
    let mut all = Vec::new();
    let mut add = |name: String, settings: &Value, namespace: &str, pod: Value| {
        let original = original(settings, namespace, &pod);
        let (settings, namespace) = (settings.clone(), namespace.to_owned());
        all.push(Case { name, settings, namespace, pod, original });
    };
    let pods = pods();
    let wishing = |annotations: &[(&str, &str)], pod: &Value| {
        let mut pod = pod.clone();
        let mut written = json!({ format!("{PREFIX}connect-inject"): "true" });
        for (name, value) in annotations {
            written[format!("{PREFIX}{name}")] = json!(value);
        }
        pod["metadata"]["annotations"] = written;
        pod
    };

    for (name, values) in VALUES {
        for value in *values {
            for (index, settings) in SETTINGS.iter().enumerate() {
                let settings: Value = serde_json::from_str(settings).unwrap();
                let pod = wishing(&[(name, value)], &pods[index % pods.len()]);
                add(format!("{name}={value:?}, settings {index}"), &settings, "shop", pod);
            }
            add(format!("{name}={value:?}"), &json!({}), "shop", wishing(&[(name, value)], &pods[0]));
        }
    }
    for (index, pod) in pods.iter().enumerate() {
        for settings in SETTINGS {
            let settings: Value = serde_json::from_str(settings).unwrap();
            add(format!("pod {index}"), &settings, "shop", wishing(&[], pod));
            add(format!("pod {index} by default"), &settings, "shop", pod.clone());
        }
    }

    // Combinations, the same ones in each run.
    let mut dice = 0x2545_f491_4f6c_dd1d_u64;
    let mut below = |bound: usize| {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(dice >> 33).unwrap() % bound
    };
    for number in 0..1_500 {
        let mut settings = json!({});
        for _ in 0..below(4) {
            let block: Value = serde_json::from_str(SETTINGS[below(SETTINGS.len())]).unwrap();
            settings.as_object_mut().unwrap().extend(block.as_object().unwrap().clone());
        }
        let mut pod = pods[below(pods.len())].clone();
        let mut annotations = json!({});
        for _ in 0..below(7) {
            let (name, values) = VALUES[below(VALUES.len())];
            annotations[format!("{PREFIX}{name}")] = json!(values[below(values.len())]);
        }
        if below(4) > 0 {
            annotations[format!("{PREFIX}connect-inject")] = json!("true");
        }
        if below(3) == 0 {
            let names = ["db", "cache", "my-svc", "auth.far", "prepared_query:geo", " db", "Db"];
            let ports = ["1000", "1001", "1002", "http", "admin", "1000:dc2", "1003:dc-3"];
            let upstream = |_| format!("{}:{}", names[below(names.len())], ports[below(ports.len())]);
            let list: Vec<String> = (0..=number % 4).map(upstream).collect();
            annotations[format!("{PREFIX}connect-service-upstreams")] =
                json!(list.join(if number % 2 == 0 { "," } else { ", " }));
        }
        if annotations != json!({}) {
            pod["metadata"]["annotations"] = annotations;
        }
        let namespace = ["shop", "shop", "shop", "billing", "kube-system"][below(5)];
        add(format!("combination {number}"), &settings, namespace, pod);
    }
    all
}

/// Like the recorded ones: with and without ports, several containers, init containers
/// and the service account's token.
fn pods() -> Vec<Value> {
    let token = json!([{ "name": "token", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount" }]);
    let http = json!([{ "containerPort": 8080, "name": "http" }, { "containerPort": 9090, "name": "admin" }]);
    let web = json!({ "name": "web", "image": "w", "ports": http, "volumeMounts": token });
    let plain = json!({ "name": "c0", "image": "c" });
    let grpc = json!({ "name": "c1", "image": "c", "ports": [{ "containerPort": 7070, "name": "grpc" }] });
    let udp = json!({ "name": "web", "image": "w", "volumeMounts": token, "ports": [
        { "containerPort": 53, "name": "dns", "protocol": "UDP" }, { "containerPort": 8080 }] });
    let migrate = json!([{ "name": "migrate", "image": "m" }]);
    let specs = [
        json!({ "containers": [web] }),
        json!({ "containers": [web], "initContainers": migrate }),
        json!({ "containers": [plain] }),
        json!({ "containers": [plain, grpc] }),
        json!({ "containers": [udp] }),
        json!({ "containers": [web, grpc], "initContainers": migrate }),
    ];
    let pods = specs.into_iter().map(|mut spec| {
        spec["serviceAccountName"] = json!("web");
        json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "web-0" }, "spec": spec })
    });
    pods.collect()
}

const AMOUNTS: &[&str] = &[
    "100m", "1", "64Mi", "1Gi", "0", "0.5", "1e3", "+1", "5.", ".5", "1E", "1k", "10u", "5n", "2Ei", "-1",
    "-64Mi", "x", "", " 1", "1 Gi", "64MB", "1e", "1.2.3", "m", "0x10",
];

const VALUES: &[(&str, &[&str])] = &[
    ("connect-inject", &["true", "1", "t", "T", "True", "0", "f", "False", "x", "yes", "", " true", "tRue"]),
    ("connect-inject-status", &["injected", "", "anything"]),
    (
        "connect-service",
        &[
            "web",
            "orders",
            "Web",
            "a.b",
            "a_b",
            "c0",
            "0",
            "",
            " web ",
            "a b",
            "a/b",
            "web,admin",
            "-web",
            "web-",
            "we\"b",
            "wéb",
        ],
    ),
    (
        "connect-service-port",
        &[
            "http",
            "admin",
            "grpc",
            "dns",
            "8080",
            "1",
            "65535",
            "",
            "0",
            "-1",
            "65536",
            "70000",
            "080",
            "0x50",
            "010",
            "+80",
            " 80",
            "8080 ",
            "1_000",
            "nope",
            "99999999999",
            "8.5",
        ],
    ),
    (
        "connect-service-upstreams",
        &[
            "db:1234",
            "db:1234:dc2",
            "db.ns:1234",
            "db.ns:1234:dc2",
            "db.ns.more:1234",
            ".ns:1234",
            "db.:1234",
            "prepared_query:geo:1234",
            "prepared_query:geo.x:1234",
            "prepared_query:geo:1234:dc2",
            "prepared_query::1234",
            "prepared_query:geo:",
            "prepared_query:geo:http",
            " prepared_query : geo : 1234 ",
            " db : 1234 ",
            "db:1234, auth:2345 ",
            "db:http",
            "db:grpc",
            "db:nope",
            "db:0",
            "db:-5",
            "db:+80",
            "db:65536",
            "db:0x50",
            "db",
            "db:",
            ":1234",
            "prepared_query",
            "prepared_query:geo",
            "db:1234:",
            "db:1234:dc2:x",
            "db:1234:d c",
            "db:1234,db:1235",
            "db:1234,db:1235:dc2",
            "db:1234:dc1,db:1235:dc2",
            "db:1234:dc1,db:1235:dc1",
            "db:http,db:1235",
            "db:1234,auth:1234",
            "my-app:1,my.app:2,my_app:3",
            "db:1234,",
            ",db:1234",
            ",",
            " ",
            "",
            "Db:1234",
            "a b:1234",
            "0day:1234",
            "-db:1234",
            "db:1234,db:1234",
            "db:1234\nauth:2345",
            "geo:1,prepared_query:geo:2",
            "we\"b:1234",
        ],
    ),
    ("connect-service-protocol", &["http", "grpc", "tcp", "http2"]),
    (
        "service-tags",
        &["a", "a,b", "v1,v2,v3", "a, b", " a ", "a,a", ",", "", "a,,b", "we\"ird", "$POD_NAME", "a b"],
    ),
    ("connect-service-tags", &["a,b", "a, b", ",", "", "we\"ird"]),
    ("service-meta-version", &["1", "two", "a b", "", "$POD_NAME", "a\"b", "a\\b", "$(id)", "wéb"]),
    ("service-meta-team", &["blue"]),
    ("service-meta-", &["x"]),
    ("service-meta-a.b", &["x"]),
    ("service-meta-consul-x", &["x"]),
    ("service-meta-pod-name", &["x"]),
    ("sidecar-proxy-cpu-limit", AMOUNTS),
    ("sidecar-proxy-cpu-request", AMOUNTS),
    ("sidecar-proxy-memory-limit", AMOUNTS),
    ("sidecar-proxy-memory-request", AMOUNTS),
    (
        "envoy-extra-args",
        &[
            "--log-level debug --disable-hot-restart",
            "--foo bar",
            "",
            "   ",
            "--a \"b c\"",
            "--a 'b'",
            "--a \"b",
            "--a 'b",
            "a\\",
            "--config-path /x",
            "--service-node x",
            "--mode validate",
            "-l info -l debug",
            "--concurrency 4",
        ],
    ),
    ("connect-sync-period", &["30s"]),
];

const SETTINGS: &[&str] = &[
    "{}",
    r#"{"default":true}"#,
    r#"{"k8sAllowNamespaces":["shop"]}"#,
    r#"{"k8sAllowNamespaces":["*","shop"],"k8sDenyNamespaces":["billing"]}"#,
    r#"{"acls":{"enabled":true}}"#,
    r#"{"acls":{"enabled":true},"default":true}"#,
    r#"{"enableConsulNamespaces":true}"#,
    r#"{"enableConsulNamespaces":true,"consulNamespaces":{"consulDestinationNamespace":"apps"}}"#,
    r#"{"enableConsulNamespaces":true,"consulNamespaces":{"mirroringK8S":true,"mirroringK8SPrefix":"k8s-"}}"#,
    r#"{"sidecarProxy":{"resources":{"limits":{"cpu":"1","memory":"256Mi"},"requests":{"cpu":"50m","memory":"32Mi"}}}}"#,
    r#"{"envoyExtraArgs":"--log-level warning"}"#,
    r#"{"centralConfig":{"enabled":true,"defaultProtocol":"http"}}"#,
];

/// The model of the original reproduces the recorded cases.
#[test]
fn the_model_of_the_original_does_what_was_recorded() {
    for case in &cases() {
        let modelled = original(&case.settings, &case.namespace, &case.pod);
        assert_eq!(modelled, case.original, "{}", case.name);
    }
}

/// No recorded case covers this, so the test is the rule itself: an annotation overrides
/// the setting.
#[test]
fn envoys_resources_and_arguments_are_the_annotations_over_the_settings() {
    let (mut amounts, mut arguments) = (0, 0);
    for case in &cases() {
        let answer = ask_in(&case.namespace, &case.pod, &case.settings);
        if answer.mutated_object.is_none() {
            continue;
        }
        let pod = answer.pod();
        for (resource, kind) in
            [("cpu", "limit"), ("cpu", "request"), ("memory", "limit"), ("memory", "request")]
        {
            let setting = &case.settings["sidecarProxy"]["resources"][format!("{kind}s")][resource];
            let wanted = case.annotation(&format!("sidecar-proxy-{resource}-{kind}")).or(setting.as_str());
            if let Some(wanted) = wanted {
                let written = &container(&pod, ENVOY)["resources"][format!("{kind}s")][resource];
                assert_eq!(written, wanted, "{}: {resource} {kind}", case.name);
                amounts += 1;
            }
        }
        let arguments_wanted =
            case.annotation("envoy-extra-args").or(case.settings["envoyExtraArgs"].as_str());
        let wanted: Vec<String> =
            arguments_wanted.unwrap_or_default().split_whitespace().map(str::to_owned).collect();
        let written = envoy_arguments(&pod);
        assert!(written.ends_with(&wanted), "{}: {written:?} does not end with {wanted:?}", case.name);
        arguments += usize::from(!wanted.is_empty());
    }
    assert!(amounts > 40 && arguments > 2, "{amounts} amounts, {arguments} lists of arguments");
}
