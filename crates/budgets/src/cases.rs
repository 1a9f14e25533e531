//! The measured cases, each a call of the policy.

use serde_json::{Value, json};

/// A call of the policy, and the object of the request.
#[derive(Clone, Debug)]
pub struct Case {
    /// The name in tables.
    pub name: &'static str,
    /// The waPC operation.
    pub operation: &'static str,
    /// The payload.
    pub payload: Vec<u8>,
    /// The object of the request, if there is one.
    pub object: Option<Value>,
}

/// All cases, in the order of the table.
#[must_use]
pub fn all() -> Vec<Case> {
    vec![
        validate("skip", &pod(4 * 1024, &json!({})), &settings()),
        validate("inject 4 KB", &pod(4 * 1024, &requests_injection()), &settings()),
        validate("inject 64 KB", &pod(64 * 1024, &requests_injection()), &settings()),
        validate("inject 1 MB", &pod(1024 * 1024, &requests_injection()), &settings()),
        validate("dataplane 4 KB", &pod(4 * 1024, &requests_injection()), &dataplane_settings()),
        validate("reject", &pod(4 * 1024, &wrong()), &settings()),
        Case {
            name: "validate_settings",
            operation: "validate_settings",
            payload: settings().to_string().into_bytes(),
            object: None,
        },
    ]
}

fn requests_injection() -> Value {
    json!({
        "consul.hashicorp.com/connect-inject": "true",
        "consul.hashicorp.com/connect-service-upstreams": "static-server:1234,billing:1235:dc2"
    })
}

fn wrong() -> Value {
    json!({
        "consul.hashicorp.com/connect-inject": "true",
        "consul.hashicorp.com/connect-service-port": "70000",
        "consul.hashicorp.com/connect-service-upstreams": "static-server",
        "consul.hashicorp.com/connect-sync-period": "1 minute"
    })
}

/// Typical settings: a few keys, the rest with defaults.
fn settings() -> Value {
    json!({
        "default": false,
        "k8sAllowNamespaces": ["*"],
        "k8sDenyNamespaces": ["monitoring"],
        "sidecarProxy": { "resources": { "requests": { "cpu": "100m", "memory": "100Mi" } } }
    })
}

fn dataplane_settings() -> Value {
    json!({ "mode": "dataplane", "dns": { "nameservers": ["10.96.0.10"] } })
}

fn validate(name: &'static str, object: &Value, settings: &Value) -> Case {
    let payload = json!({
        "request": {
            "uid": "1299d386-525b-4032-98ae-1949f69f9cfc",
            "kind": { "group": "", "version": "v1", "kind": "Pod" },
            "resource": { "group": "", "version": "v1", "resource": "pods" },
            "name": "web-5d9c7b8f4-x2x9z",
            "namespace": "shop",
            "operation": "CREATE",
            "userInfo": {
                "username": "system:serviceaccount:kube-system:replicaset-controller",
                "groups": ["system:serviceaccounts", "system:authenticated"]
            },
            "object": object
        },
        "settings": settings
    });
    let object = Some(object.clone());
    Case { name, operation: "validate", payload: payload.to_string().into_bytes(), object }
}

/// A pod with about this many bytes of JSON. Its size comes from containers with 40 environment
/// variables each, as in real large pods.
fn pod(bytes: usize, injector: &Value) -> Value {
    let mut annotations = json!({ "prometheus.io/scrape": "true", "prometheus.io/port": "9090" });
    if let (Some(all), Some(injector)) = (annotations.as_object_mut(), injector.as_object()) {
        all.extend(injector.clone());
    }
    let mut pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "web-5d9c7b8f4-x2x9z",
            "generateName": "web-5d9c7b8f4-",
            "namespace": "shop",
            "labels": { "app": "web", "pod-template-hash": "5d9c7b8f4", "app.kubernetes.io/part-of": "shop" },
            "annotations": annotations,
            "ownerReferences": [{
                "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-5d9c7b8f4",
                "uid": "0b3a0f4e-9a41-4d0f-8a3e-3b6a5b0f6f0e", "controller": true, "blockOwnerDeletion": true
            }]
        },
        "spec": {
            "serviceAccountName": "web",
            "restartPolicy": "Always",
            "terminationGracePeriodSeconds": 30,
            "dnsPolicy": "ClusterFirst",
            "securityContext": { "runAsNonRoot": true, "seccompProfile": { "type": "RuntimeDefault" } },
            "tolerations": [
                { "key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300 },
                { "key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300 }
            ],
            "volumes": [
                { "name": "config", "configMap": { "name": "web", "defaultMode": 420 } },
                { "name": "cache", "emptyDir": {} }
            ],
            "containers": []
        }
    });
    let mut length = pod.to_string().len();
    let mut containers = Vec::new();
    while length < bytes {
        let mut container = container(containers.len());
        length += container.to_string().len() + 1;
        let mut env = Vec::new();
        while length < bytes && env.len() < 40 {
            let variable = json!({
                "name": format!("FEATURE_{:03}", env.len()),
                "value": format!("https://flags.shop.svc.cluster.local/{:03}?default=off", env.len())
            });
            length += variable.to_string().len() + 1;
            env.push(variable);
        }
        container["env"] = env.into();
        containers.push(container);
    }
    pod["spec"]["containers"] = containers.into();
    pod
}

fn container(index: usize) -> Value {
    let port = 8080 + index;
    json!({
        "name": format!("web-{index}"),
        "image": "registry.example.com/shop/web:2.7.1",
        "args": ["--config", "/etc/web/config.yaml", "--listen", format!(":{port}")],
        "ports": [{ "name": format!("http-{index}"), "containerPort": port, "protocol": "TCP" }],
        "resources": { "requests": { "cpu": "250m", "memory": "256Mi" }, "limits": { "memory": "512Mi" } },
        "readinessProbe": {
            "httpGet": { "path": "/healthz", "port": format!("http-{index}"), "scheme": "HTTP" },
            "periodSeconds": 10, "timeoutSeconds": 1, "successThreshold": 1, "failureThreshold": 3
        },
        "volumeMounts": [
            { "name": "config", "mountPath": "/etc/web", "readOnly": true },
            { "name": "cache", "mountPath": "/var/cache/web" }
        ],
        "securityContext": { "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] } },
        "terminationMessagePath": "/dev/termination-log",
        "imagePullPolicy": "IfNotPresent"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_have_the_size_that_the_table_says() {
        for bytes in [4 * 1024, 64 * 1024, 1024 * 1024] {
            let length = pod(bytes, &requests_injection()).to_string().len();
            assert!((bytes..bytes + 2048 + bytes / 100).contains(&length), "{bytes}: {length}");
        }
    }
}
