//! Requests, pods and settings in which each field that the policy reads is set.

use serde_json::{Value, json};

/// The payload of `validate`.
pub fn payload(request: &Value, settings: &Value) -> Value {
    json!({ "request": request, "settings": settings })
}

/// The creation of a pod in the namespace `shop`.
pub fn creation(pod: &Value) -> Value {
    request(["", "Pod"], "CREATE", pod, &Value::Null)
}

/// A request with an object of this group and kind.
pub fn request([group, kind]: [&str; 2], operation: &str, object: &Value, old: &Value) -> Value {
    json!({
        "uid": "u", "kind": { "group": group, "version": "v1", "kind": kind },
        "operation": operation, "namespace": "shop", "name": "web-0",
        "subResource": "", "object": object, "oldObject": old,
    })
}

/// Payloads with pods and workloads, with and without settings.
pub fn payloads() -> Vec<Value> {
    let full = pod(ANNOTATIONS);
    let mut grpc = pod(&[]);
    grpc["spec"]["containers"][0]["readinessProbe"] = json!({ "grpc": { "port": 9090, "service": "s" } });
    let template = json!({ "metadata": full["metadata"], "spec": full["spec"] });
    let deployment = json!({
        "kind": "Deployment",
        "metadata": { "name": "web", "annotations": full["metadata"]["annotations"] },
        "spec": { "template": template },
    });
    let cron_job = json!({
        "kind": "CronJob", "metadata": { "generateName": "web-" },
        "spec": { "jobTemplate": { "spec": { "template": template } } },
    });
    let changed = request(["apps", "Deployment"], "UPDATE", &deployment, &deployment);
    let scheduled = request(["batch", "CronJob"], "CREATE", &cron_job, &Value::Null);
    vec![
        payload(&creation(&full), &json!({})),
        payload(&creation(&full), &settings()),
        payload(&creation(&grpc), &json!({ "nativeSidecars": false })),
        payload(&changed, &json!({})),
        payload(&scheduled, &settings()),
    ]
}

/// Annotations of the injector, by their names without the prefix.
pub const ANNOTATIONS: &[(&str, &str)] = &[
    ("connect-inject", "true"),
    ("connect-service", "orders"),
    ("connect-service-port", "8080"),
    ("connect-service-upstreams", "db:2000,cache.far:2001:dc2,prepared_query:geo:2002"),
    ("connect-service-protocol", "http"),
    ("connect-service-tags", "old"),
    ("service-tags", "a,$(POD_IP),b"),
    ("service-meta-x", "$POD_NAME"),
    ("envoy-extra-args", "--log-level 'debug' \"x\""),
    ("sidecar-proxy-cpu-limit", "1"),
    ("sidecar-proxy-memory-request", "64Mi"),
    ("connect-sync-period", "1m30s"),
    ("transparent-proxy", "true"),
];

/// A pod with these annotations of the injector, and all other fields that the policy reads.
pub fn pod(annotations: &[(&str, &str)]) -> Value {
    let named =
        annotations.iter().map(|(name, value)| (format!("consul.hashicorp.com/{name}"), json!(value)));
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": "web-0", "labels": { "app": "web" }, "annotations": Value::Object(named.collect()),
            "ownerReferences": [{ "kind": "Job", "name": "j" }],
        },
        "spec": {
            "serviceAccountName": "web", "hostNetwork": false, "restartPolicy": "Always",
            "os": { "name": "linux" }, "terminationGracePeriodSeconds": 30,
            "volumes": [{ "name": "data", "emptyDir": {} }],
            "initContainers": [
                { "name": "own", "restartPolicy": "Always", "ports": [{ "containerPort": 1 }] },
                { "name": "migrate", "env": [{ "name": "A", "value": "$(B)" }] },
            ],
            "containers": [
                {
                    "name": "web", "image": "example/web:1",
                    "ports": [{ "name": "http", "containerPort": 8080 }, { "name": "admin", "containerPort": 9090 }],
                    "env": [{ "name": "DB_CONNECT_SERVICE_PORT", "value": "1" }],
                    "readinessProbe": {
                        "httpGet": {
                            "path": "/r?a#b", "port": "http", "scheme": "HTTPS",
                            "httpHeaders": [{ "name": "Host", "value": "x" }],
                        },
                        "periodSeconds": 10, "timeoutSeconds": 1, "failureThreshold": 3, "successThreshold": 1,
                    },
                },
                { "name": "helper", "image": "example/helper:1", "env": [{ "name": "A", "value": "$(DB_CONNECT_SERVICE_HOST)" }] },
            ],
        },
    })
}

/// Every setting.
pub fn settings() -> Value {
    json!({
        "enabled": true, "default": true, "k8sAllowNamespaces": ["*"], "k8sDenyNamespaces": ["billing"],
        "imageConsul": "docker.io/hashicorp/consul:1.22.7", "imageEnvoy": "envoyproxy/envoy:v1.35.9",
        "imagePullPolicy": "IfNotPresent",
        "centralConfig": { "enabled": true, "defaultProtocol": "http" }, "envoyExtraArgs": "-l info",
        "sidecarProxy": { "resources": { "limits": { "cpu": "1" }, "requests": { "cpu": "10m" } }, "concurrency": 2 },
        "initContainer": { "resources": { "limits": { "memory": "150Mi" } } },
        "lifecycleSidecar": { "resources": {} },
        "enableConsulNamespaces": true,
        "consulNamespaces": { "consulDestinationNamespace": "apps", "mirroringK8S": true, "mirroringK8SPrefix": "k8s-" },
        "crossNamespaceACLPolicy": "cross", "acls": { "enabled": false, "authMethod": "m" },
        "tls": { "enabled": false, "caCert": "", "serverName": "server.dc1.consul" },
        "agent": { "httpPort": 8500, "httpsPort": 8501, "grpcPort": 8502 },
        "healthChecks": { "enabled": true }, "nativeSidecars": true, "openshift": false, "syncPeriod": "10s",
    })
}
