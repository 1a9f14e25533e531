//! Pods and settings like the recorded ones.

use serde_json::{Value, json};

use super::Case;
use super::model::original;
use crate::support::PREFIX;

/// Each annotation with each relevant value, and combinations of them.
pub fn derived() -> Vec<Case> {
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

/// Like the recorded ones: with and without ports, several containers, init containers and the
/// service account's token.
fn pods() -> Vec<Value> {
    let token = json!([{ "name": "token", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount" }]);
    let http = json!([{ "containerPort": 8080, "name": "http" }, { "containerPort": 9090, "name": "admin" }]);
    let web = json!({ "name": "web", "image": "w", "ports": http, "volumeMounts": token });
    let plain = json!({ "name": "c0", "image": "c" });
    let grpc = json!({ "name": "c1", "image": "c", "ports": [{ "containerPort": 7070, "name": "grpc" }] });
    let udp = json!({ "name": "web", "image": "w", "volumeMounts": token, "ports": [
        { "containerPort": 53, "name": "dns", "protocol": "UDP" }, { "containerPort": 8080 }] });
    let migrate = json!([{ "name": "migrate", "image": "m" }, { "name": "seed", "image": "s" }]);
    let volumes = json!([{ "name": "token", "emptyDir": {} }, { "name": "cache", "emptyDir": {} }]);
    let specs = [
        json!({ "containers": [web] }),
        json!({ "containers": [web], "initContainers": migrate }),
        json!({ "containers": [plain] }),
        json!({ "containers": [plain, grpc] }),
        json!({ "containers": [udp] }),
        json!({ "containers": [web, grpc], "initContainers": migrate, "volumes": volumes }),
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
        &[
            "a",
            "a,b",
            "v1,v2,v3",
            "a, b",
            " a ",
            "a,a",
            ",",
            "",
            "a,,b",
            "we\"ird",
            "$POD_NAME",
            "$(POD_IP)",
            "$$5",
            "a b",
        ],
    ),
    ("connect-service-tags", &["a,b", "a, b", ",", "", "we\"ird"]),
    (
        "service-meta-version",
        &["1", "two", "a b", "", "$POD_NAME", "a\"b", "a\\b", "$(id)", "$(POD_IP)", "$$5", "wéb"],
    ),
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
    r#"{"nativeSidecars":false}"#,
    r#"{"centralConfig":{"enabled":true,"defaultProtocol":"http"}}"#,
];
