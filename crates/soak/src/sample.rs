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

/// Payloads with pods and workloads, with and without settings, for both modes.
pub fn payloads() -> Vec<Value> {
    let full = pod(ANNOTATIONS);
    let for_dataplane = pod(DATAPLANE_ANNOTATIONS);
    let mut grpc = pod(&[("connect-inject", "true")]);
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
        payload(
            &creation(&for_dataplane),
            &json!({ "mode": "dataplane", "dns": { "nameservers": ["10.96.0.10"] } }),
        ),
        payload(&creation(&for_dataplane), &dataplane_settings()),
        payload(
            &creation(&grpc),
            &json!({ "mode": "dataplane", "transparentProxy": { "defaultEnabled": false } }),
        ),
    ]
}

/// Every annotation of agent mode, and one of dataplane mode. Names are without the prefix.
/// Each selection of them is valid.
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
    ("sidecar-proxy-cpu-request", "10m"),
    ("sidecar-proxy-memory-limit", "1Gi"),
    ("sidecar-proxy-memory-request", "64Mi"),
    ("connect-sync-period", "1m30s"),
    ("enable-metrics", "true"),
    ("prometheus-scrape-port", "20300"),
    ("prometheus-scrape-path", "/m"),
    ("transparent-proxy", "true"),
];

/// Every annotation of dataplane mode, and one of agent mode.
pub const DATAPLANE_ANNOTATIONS: &[(&str, &str)] = &[
    ("connect-inject", "true"),
    ("connect-service", "web"),
    ("connect-service-port", "http"),
    ("connect-service-default-port", "http"),
    ("connect-service-upstreams", "db.svc:2000,cache:2001:dc2,prepared_query:geo:2002"),
    ("kubernetes-service", "web"),
    ("proxy-config-map", "{\"xds_fetch_timeout_ms\": 9999}"),
    ("service-tags", "a,$(POD_IP),b"),
    ("service-meta-x", "$POD_NAME"),
    ("envoy-extra-args", "--log-level 'debug' \"x\""),
    ("sidecar-proxy-cpu-limit", "1"),
    ("sidecar-proxy-cpu-request", "10m"),
    ("sidecar-proxy-memory-limit", "1Gi"),
    ("sidecar-proxy-memory-request", "64Mi"),
    ("transparent-proxy", "true"),
    ("transparent-proxy-overwrite-probes", "true"),
    ("transparent-proxy-exclude-inbound-ports", "8080,9090"),
    ("transparent-proxy-exclude-outbound-ports", "3000"),
    ("transparent-proxy-exclude-outbound-cidrs", "10.0.0.0/8,192.168.1.1"),
    ("transparent-proxy-exclude-uids", "1000"),
    ("consul-dns", "true"),
    ("enable-metrics", "true"),
    ("enable-metrics-merging", "true"),
    ("merged-metrics-port", "20150"),
    ("service-metrics-port", "9090"),
    ("service-metrics-path", "/m?a"),
    ("prometheus-scrape-port", "20300"),
    ("prometheus-scrape-path", "/scrape"),
    ("prometheus-ca-path", "/data/ca"),
    ("prometheus-ca-file", "/data/ca.pem"),
    ("prometheus-cert-file", "/data/cert.pem"),
    ("prometheus-key-file", "/data/key.pem"),
    ("connect-inject-mount-volume", "web"),
    ("consul-sidecar-user-volume", "[{\"name\": \"logs\", \"emptyDir\": {}}]"),
    ("consul-sidecar-user-volume-mount", "[{\"name\": \"data\", \"mountPath\": \"/data\"}]"),
    ("consul-sidecar-access-log-enabled", "true"),
    ("consul-sidecar-access-log-path", "/var/log/envoy/access.log"),
    ("consul-envoy-proxy-concurrency", "4"),
    ("use-proxy-health-check", "true"),
    ("sidecar-proxy-startup-failure-seconds", "10"),
    ("sidecar-proxy-liveness-failure-seconds", "10"),
    ("enable-sidecar-proxy-lifecycle", "true"),
    ("enable-sidecar-proxy-lifecycle-shutdown-drain-listeners", "true"),
    ("sidecar-proxy-lifecycle-shutdown-grace-period-seconds", "10"),
    ("sidecar-proxy-lifecycle-startup-grace-period-seconds", "10"),
    ("sidecar-proxy-lifecycle-graceful-port", "20700"),
    ("sidecar-proxy-lifecycle-graceful-shutdown-path", "/stop"),
    ("sidecar-proxy-lifecycle-graceful-startup-path", "/start"),
    ("enable-consul-dataplane-as-sidecar", "true"),
    ("sidecar-initial-probe-check-delay-seconds", "1"),
    ("sidecar-probe-period-seconds", "5"),
    ("sidecar-probe-failure-threshold", "3"),
    ("sidecar-probe-check-timeout-seconds", "2"),
    ("connect-sync-period", "1m30s"),
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

/// Every setting of agent mode.
pub fn settings() -> Value {
    json!({
        "enabled": true, "default": true, "k8sAllowNamespaces": ["*"], "k8sDenyNamespaces": ["billing"],
        "imageConsul": "docker.io/hashicorp/consul:1.22.7", "imageEnvoy": "envoyproxy/envoy:v1.35.9",
        "imagePullPolicy": "IfNotPresent",
        "centralConfig": { "enabled": true, "defaultProtocol": "http" }, "envoyExtraArgs": "-l info",
        "sidecarProxy": { "resources": { "limits": { "cpu": "1" }, "requests": { "cpu": "10m" } }, "concurrency": 2 },
        "initContainer": { "resources": { "limits": { "memory": "150Mi" }, "requests": { "cpu": "50m" } } },
        "lifecycleSidecar": { "resources": { "limits": {}, "requests": { "memory": "25Mi" } } },
        "enableConsulNamespaces": true,
        "consulNamespaces": { "consulDestinationNamespace": "apps", "mirroringK8S": true, "mirroringK8SPrefix": "k8s-" },
        "crossNamespaceACLPolicy": "cross", "acls": { "enabled": false, "authMethod": "m" },
        "tls": { "enabled": false, "caCert": "", "serverName": "server.dc1.consul" },
        "agent": { "httpPort": 8500, "httpsPort": 8501, "grpcPort": 8502 },
        "healthChecks": { "enabled": true }, "nativeSidecars": true, "openshift": false, "syncPeriod": "10s",
    })
}

/// Every setting of dataplane mode.
pub fn dataplane_settings() -> Value {
    json!({
        "mode": "dataplane",
        "enabled": true, "default": true, "k8sAllowNamespaces": ["*"], "k8sDenyNamespaces": ["billing"],
        "imageK8S": "hashicorp/consul-k8s-control-plane:2.0.3",
        "imageConsulDataplane": "hashicorp/consul-dataplane:2.0.3", "imagePullPolicy": "IfNotPresent",
        "servers": {
            "address": "consul-server.consul.svc", "httpPort": 8500, "httpsPort": 8501, "grpcPort": 8502,
            "skipServerWatch": true,
        },
        "consulAPITimeout": "5s", "logLevel": "info", "logJSON": true, "envoyExtraArgs": "-l info",
        "sidecarProxy": {
            "resources": { "limits": { "cpu": "1" }, "requests": { "cpu": "10m" } }, "concurrency": 2,
            "defaultStartupFailureSeconds": 10, "defaultLivenessFailureSeconds": 10,
            "lifecycle": {
                "defaultEnabled": true, "defaultEnableShutdownDrainListeners": true,
                "defaultShutdownGracePeriodSeconds": 30, "defaultStartupGracePeriodSeconds": 10,
                "defaultGracefulPort": 20600, "defaultGracefulShutdownPath": "/graceful_shutdown",
                "defaultGracefulStartupPath": "/graceful_startup",
            },
        },
        "initContainer": { "resources": { "limits": { "memory": "150Mi" }, "requests": { "cpu": "50m" } } },
        "nativeSidecars": true,
        "dataplaneAsSidecarInitContainer": {
            "initialProbeCheckDelaySeconds": 1, "probeCheckPeriodSeconds": 1, "probeCheckFailureThreshold": 10,
            "probeCheckTimeoutSeconds": 5,
        },
        "transparentProxy": { "defaultEnabled": true, "defaultOverwriteProbes": true },
        "cni": { "enabled": true }, "dns": {
            "enabled": true, "enableRedirection": true, "nameservers": ["10.96.0.10"], "searches": ["corp.example"],
            "options": ["ndots:5"],
            "clusterDomain": "cluster.local",
        },
        "metrics": {
            "defaultEnabled": true, "defaultEnableMerging": true, "defaultMergedMetricsPort": 20100,
            "defaultPrometheusScrapePort": 20200, "defaultPrometheusScrapePath": "/metrics",
        },
        "accessLogs": { "path": "/var/log/envoy/access.log" },
        "enableConsulNamespaces": true,
        "consulNamespaces": { "consulDestinationNamespace": "apps", "mirroringK8S": true, "mirroringK8SPrefix": "k8s-" },
        "adminPartitions": { "enabled": true, "name": "default" },
        "acls": { "enabled": true, "authMethod": "m" },
        "tls": { "enabled": true, "caCert": "", "serverName": "server.dc1.consul" },
        "openshift": false, "dualStack": false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use consul_connect_injector::admission;
    use consul_connect_injector::annotations::names::{self, META, WRITTEN};
    use consul_connect_injector::reason::{AUDIT_ANNOTATION, Reason};
    use consul_connect_injector::settings::ModeName;

    #[test]
    fn the_samples_have_every_annotation() {
        for (mode, sample) in [(ModeName::Agent, ANNOTATIONS), (ModeName::Dataplane, DATAPLANE_ANNOTATIONS)] {
            for name in names::known(mode).filter(|name| !WRITTEN.contains(name)) {
                let is = |written: &str| written == name || name == META && written.starts_with(META);
                assert!(sample.iter().any(|(written, _)| is(written)), "{mode:?}: {name}");
            }
        }
    }

    #[test]
    fn the_samples_have_every_setting() {
        fn check(path: &str, schema: &Value, samples: &[&Value]) {
            for (key, property) in schema["properties"].as_object().into_iter().flatten() {
                let values: Vec<_> = samples.iter().filter_map(|sample| sample.get(key)).collect();
                assert!(!values.is_empty(), "{path}{key}");
                check(&format!("{path}{key}."), property, &values);
            }
        }
        let schema = include_str!("../../../settings.schema.json");
        check("", &serde_json::from_str(schema).unwrap(), &[&settings(), &dataplane_settings()]);
    }

    #[test]
    fn the_sample_pods_are_injected() {
        for payload in payloads() {
            let text = payload.to_string();
            let response = admission::validate(text.as_bytes()).response;
            let injected = response.audit_annotations[AUDIT_ANNOTATION] == Reason::Injected.audit_value();
            let is_pod = payload["request"]["kind"]["kind"] == "Pod";
            assert_eq!(injected, is_pod, "{:?} {:?}", response.message, response.audit_annotations);
        }
    }
}
