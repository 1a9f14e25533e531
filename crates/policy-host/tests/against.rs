//! `policy-host run --against`: compares a pod of the chart's webhook with the policy's.

mod support;

use std::{fs, process::Command};

use policy_host::against::{self, Difference, REASONS};
use serde_json::{Value, json};
use support::Behavior;

const PREFIX: &str = "consul.hashicorp.com/";

/// The webhook's pod as the API server returns it, with defaults and the app's token.
fn webhooks() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": "web-1", "namespace": "shop", "uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": { "app": "web", "pod-template-hash": "5d4f8c7b9d", format!("{PREFIX}connect-inject-status"): "injected" },
            "annotations": {
                format!("{PREFIX}connect-inject"): "true", format!("{PREFIX}connect-inject-status"): "injected",
                format!("{PREFIX}original-pod"): original().to_string(),
                format!("{PREFIX}transparent-proxy-status"): "complete", "cni.example.com/address": "10.0.0.1",
            },
        },
        "spec": {
            "nodeName": "node-1", "serviceAccountName": "web", "dnsPolicy": "ClusterFirst",
            "terminationGracePeriodSeconds": 30, "securityContext": {},
            "initContainers": [{
                "name": "consul-connect-inject-init", "image": "k8s:1", "imagePullPolicy": "IfNotPresent",
                "command": ["/bin/sh", "-ec", "consul-k8s-control-plane connect-init -pod-name=${POD_NAME} \\\n  -service-name=\"web\" \\"],
                "resources": { "limits": { "cpu": "50m", "memory": "1Gi" } },
                "volumeMounts": [{ "name": "kube-api-access-x7x7x", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount" }],
            }],
            "containers": [
                {
                    "name": "consul-dataplane", "image": "dataplane:1", "args": ["-addresses", "consul", "-grpc-port=8502", "--", "-l", "debug"],
                    "readinessProbe": { "tcpSocket": { "port": 20000 }, "timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3 },
                    "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
                },
                { "name": "web", "image": "web:1", "ports": [{ "containerPort": 8080, "protocol": "TCP" }] },
            ],
            "volumes": [{ "name": "kube-api-access-x7x7x", "projected": { "defaultMode": 420, "sources": [] } }],
        },
        "status": { "phase": "Running" },
    })
}

fn original() -> Value {
    json!({
        "metadata": { "generateName": "web-", "annotations": { format!("{PREFIX}connect-inject"): "true" } },
        "spec": { "containers": [{ "name": "web", "image": "web:1", "ports": [{ "containerPort": 8080 }] }] },
    })
}

/// The policy's pod for the same original.
fn policys() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "generateName": "web-",
            "labels": { format!("{PREFIX}connect-inject-status"): "injected" },
            "annotations": {
                format!("{PREFIX}connect-inject"): "true", format!("{PREFIX}connect-inject-status"): "injected",
                format!("{PREFIX}original-pod"): "{}", format!("{PREFIX}transparent-proxy-status"): "enabled",
                format!("{PREFIX}transparent-proxy"): "true",
            },
        },
        "spec": {
            "initContainers": [
                {
                    "name": "consul-connect-inject-init", "image": "k8s:1", "command": ["consul-k8s-control-plane"],
                    "args": ["connect-init", "-pod-name=$(POD_NAME)", "-service-name=web"],
                    "resources": { "limits": { "memory": "1024Mi" } },
                },
                {
                    "name": "consul-dataplane", "image": "dataplane:1", "restartPolicy": "Always",
                    "args": ["-addresses", "consul", "-grpc-port=8502", "--", "-l", "debug"],
                    "readinessProbe": { "tcpSocket": { "port": 20000 } }, "startupProbe": { "exec": { "command": ["x"] } },
                },
            ],
            "containers": [{ "name": "web", "image": "web:1", "ports": [{ "containerPort": 8080 }] }],
        },
    })
}

fn unexplained(theirs: &Value, ours: &Value) -> Vec<Difference> {
    let mut differences = against::compare(theirs, ours);
    differences.retain(|difference| difference.reason.is_none());
    differences
}

#[test]
fn what_a_cluster_adds_is_no_difference() {
    assert_eq!(against::compare(&webhooks(), &webhooks()), []);
    let paths: Vec<_> =
        against::compare(&webhooks(), &policys()).into_iter().map(|difference| difference.path).collect();
    assert_eq!(
        paths,
        [
            "annotations[consul.hashicorp.com/original-pod]",
            "annotations[consul.hashicorp.com/transparent-proxy]",
            "containers in order",
            "containers[consul-connect-inject-init].command",
            "containers[consul-connect-inject-init].resources.limits.cpu",
            "containers[consul-dataplane].is",
            "containers[consul-dataplane].startupProbe.exec.command",
            "initContainers in order",
        ]
    );
    assert_eq!(unexplained(&webhooks(), &policys()), []);
}

#[test]
fn an_unintended_difference_has_no_reason() {
    for (pointer, value, path) in [
        (
            "/spec/initContainers/1/args/2",
            json!("-grpc-port=8503"),
            "containers[consul-dataplane].args[-grpc-port]",
        ),
        ("/spec/initContainers/0/image", json!("k8s:2"), "containers[consul-connect-inject-init].image"),
        (
            "/spec/initContainers/0/args/2",
            json!("-service-name=api"),
            "containers[consul-connect-inject-init].args[-service-name]",
        ),
        (
            "/spec/initContainers/0/resources/limits/memory",
            json!("1Mi"),
            "containers[consul-connect-inject-init].resources.limits.memory",
        ),
        ("/spec/containers/0/ports/0/containerPort", json!(8081), "containers[web].ports"),
        (
            "/metadata/labels/consul.hashicorp.com~1connect-inject-status",
            json!("no"),
            "labels[consul.hashicorp.com/connect-inject-status]",
        ),
        (
            "/spec/initContainers/1/readinessProbe/tcpSocket/port",
            json!(1),
            "containers[consul-dataplane].readinessProbe.tcpSocket.port",
        ),
    ] {
        let mut ours = policys();
        *ours.pointer_mut(pointer).unwrap() = value;
        let found = unexplained(&webhooks(), &ours);
        assert!(found.iter().any(|difference| difference.path == path), "{path}: {found:?}");
    }
    // The app's containers keep their order.
    let (mut theirs, mut ours) = (webhooks(), policys());
    let side = json!({ "name": "side" });
    theirs["spec"]["containers"].as_array_mut().unwrap().push(side.clone());
    ours["spec"]["containers"].as_array_mut().unwrap().insert(0, side);
    let found = unexplained(&theirs, &ours);
    assert!(found.len() == 1 && found[0].path == "containers in order", "{found:?}");
}

#[test]
fn every_reason_is_a_sentence_of_its_own() {
    for (index, reason) in REASONS.iter().enumerate() {
        assert!(!REASONS[..index].contains(reason), "{reason:?}");
        assert!(!reason.says.ends_with('.') && reason.says.len() > 20, "{reason:?}");
    }
}

#[test]
fn the_webhook_keeps_the_pod_as_it_was() {
    let pod = against::original(&webhooks()).unwrap();
    assert_eq!((&pod["kind"], &pod["metadata"]["name"]), (&json!("Pod"), &json!("web-1")));
    assert_eq!(pod["spec"], original()["spec"]);
    let mut reduced = webhooks();
    reduced["metadata"]["annotations"][format!("{PREFIX}original-pod")] = json!("{}");
    assert_eq!(against::original(&reduced), None);
    assert_eq!(against::original(&json!({})), None);
}

/// `policy-host run --against`, with a policy that returns this pod.
fn run(theirs: &Value, ours: &Value, more: &[&str]) -> (i32, String, String) {
    let folder = tempfile::TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    let answer = json!({ "accepted": true, "mutated_object": ours });
    fs::write(path("policy.wasm"), support::policy(&Behavior::Answer(answer))).unwrap();
    fs::write(path("theirs.json"), theirs.to_string()).unwrap();
    fs::write(path("pod.json"), policys().to_string()).unwrap();
    let ran = Command::new(env!("CARGO_BIN_EXE_policy-host"))
        .args(["run", "policy.wasm", "--against", "theirs.json"])
        .args(more)
        .current_dir(folder.path())
        .env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"))
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (ran.status.code().unwrap(), text(ran.stdout), text(ran.stderr))
}

#[test]
fn the_differences_are_shown_by_their_reasons() {
    let (status, stdout, stderr) = run(&webhooks(), &policys(), &[]);
    assert_eq!(status, 0, "{stderr}");
    for expected in [
        "Pod shop/web-1: 8 differences, all of them intended",
        "  the init container runs its program directly instead of in a shell\n    containers[consul-connect-inject-init].command: ",
        "containers[consul-dataplane].is: container → native sidecar",
    ] {
        assert!(stdout.contains(expected), "{expected}: {stdout}");
    }
    let mut ours = policys();
    ours["spec"]["initContainers"][1]["image"] = json!("dataplane:2");
    let (status, stdout, stderr) = run(&webhooks(), &ours, &["-r", "pod.json"]);
    assert_eq!(status, 11, "{stderr}");
    assert!(stdout.contains("9 differences, 1 of them for an unknown reason"), "{stdout}");
    assert!(stdout.contains("containers[consul-dataplane].image: dataplane:1 → dataplane:2"), "{stdout}");
}

#[test]
fn what_cannot_be_compared_is_an_error() {
    let mut plain = webhooks();
    plain["metadata"]["annotations"] = json!({});
    let (status, _, stderr) = run(&plain, &policys(), &[]);
    assert!(status == 4 && stderr.contains("this pod was not injected by Consul's webhook"), "{stderr}");
    let (status, _, stderr) = run(&json!({ "kind": "Deployment" }), &policys(), &[]);
    assert!(status == 4 && stderr.contains("kubectl get pod NAME -o yaml"), "{stderr}");
    let mut reduced = webhooks();
    reduced["metadata"]["annotations"][format!("{PREFIX}original-pod")] = json!("{}");
    let (status, _, stderr) = run(&reduced, &policys(), &[]);
    assert!(status == 4 && stderr.contains("pass the original pod or workload"), "{stderr}");
}
