//! What each mode may change in a pod. Everything else comes back as it was.

use serde_json::{Value, json};

/// The parts of a pod that a mode owns.
pub struct Own {
    /// The annotations that it may add, and those that it may also change.
    annotations: &'static [&'static str],
    changed_annotations: &'static [&'static str],
    labels: &'static [&'static str],
    /// The fields of the specification and of the user's containers that it may add.
    spec: &'static [&'static str],
    containers: &'static [&'static str],
    /// The beginnings of the names of its containers and volumes.
    names: &'static [&'static str],
    /// The fields that it may change.
    changes: fn(&str) -> bool,
}

pub const AGENT: Own = Own {
    annotations: &[
        "consul.hashicorp.com/connect-inject-status",
        "consul.hashicorp.com/connect-service",
        "consul.hashicorp.com/connect-service-port",
        "consul.hashicorp.com/consul-namespace",
        "prometheus.io/path",
        "prometheus.io/port",
        "prometheus.io/scrape",
    ],
    changed_annotations: &[
        "consul.hashicorp.com/connect-inject-status",
        "prometheus.io/path",
        "prometheus.io/port",
        "prometheus.io/scrape",
    ],
    labels: &["consul.hashicorp.com/connect-inject-status"],
    spec: &["initContainers", "volumes"],
    containers: &["env"],
    names: &["consul-connect-"],
    changes: |_| false,
};

const DATAPLANE_ANNOTATIONS: &[&str] = &[
    "consul.hashicorp.com/connect-inject-status",
    "consul.hashicorp.com/connect-k8s-version",
    "consul.hashicorp.com/connect-service-port",
    "consul.hashicorp.com/consul-k8s-version",
    "consul.hashicorp.com/consul-namespace",
    "consul.hashicorp.com/consul-sidecar-access-log-enabled",
    "consul.hashicorp.com/consul-sidecar-access-log-path",
    "consul.hashicorp.com/dual-stack",
    "consul.hashicorp.com/enable-metrics",
    "consul.hashicorp.com/enable-sidecar-proxy-lifecycle",
    "consul.hashicorp.com/original-pod",
    "consul.hashicorp.com/prometheus-scrape-port",
    "consul.hashicorp.com/redirect-traffic-config",
    "consul.hashicorp.com/sidecar-proxy-lifecycle-shutdown-grace-period-seconds",
    "consul.hashicorp.com/transparent-proxy",
    "consul.hashicorp.com/transparent-proxy-overwrite-probes",
    "consul.hashicorp.com/transparent-proxy-status",
    "kubectl.kubernetes.io/default-container",
    "prometheus.io/path",
    "prometheus.io/port",
    "prometheus.io/scrape",
];

pub const DATAPLANE: Own = Own {
    annotations: DATAPLANE_ANNOTATIONS,
    changed_annotations: DATAPLANE_ANNOTATIONS,
    labels: &["consul.hashicorp.com/connect-inject-managed-by", "consul.hashicorp.com/connect-inject-status"],
    spec: &["dnsConfig", "dnsPolicy", "initContainers", "volumes"],
    containers: &["env", "volumeMounts"],
    names: &["consul-connect-", "consul-dataplane", "envoy-access-logs", "logs"],
    changes: |path| {
        path == "/spec/dnsPolicy"
            || path.starts_with("/spec/containers/") && path.ends_with("Probe/httpGet/port")
    },
};

impl Own {
    /// Fails with the path of a difference in what the policy does not own.
    pub fn is_kept(&self, path: &str, before: &Value, after: &Value) -> Result<(), String> {
        match (before, after) {
            (Value::Object(old), Value::Object(new)) => {
                for (key, value) in old {
                    let now = new.get(key).ok_or_else(|| format!("{path}: {key} is gone"))?;
                    self.is_kept(&format!("{path}/{key}"), value, now)?;
                }
                match new.iter().find(|(key, _)| !old.contains_key(*key) && !self.may_add(path, key)) {
                    Some((key, _)) => Err(format!("{path}: {key} was added")),
                    None => {
                        new.iter().filter(|(key, _)| !old.contains_key(*key)).try_for_each(|(key, value)| {
                            self.is_kept(&format!("{path}/{key}"), &Value::Null, value)
                        })
                    }
                }
            }
            (Value::Array(old), Value::Array(new)) => {
                let mut new = new.iter().peekable();
                for value in old {
                    while new
                        .next_if(|next| self.may_insert(path, next) && next["name"] != value["name"])
                        .is_some()
                    {}
                    let now = new.next().ok_or_else(|| format!("{path}: {value} is gone"))?;
                    self.is_kept(&format!("{path}/"), value, now)?;
                }
                match new.find(|item| !self.may_insert(path, item)) {
                    Some(item) => Err(format!("{path}: {item} was added")),
                    None => Ok(()),
                }
            }
            (Value::Null, Value::Object(new)) if !new.is_empty() => self.is_kept(path, &json!({}), after),
            (Value::Null, Value::Array(new)) if !new.is_empty() => self.is_kept(path, &json!([]), after),
            (Value::Null, Value::String(_)) if path.starts_with("/metadata/") => Ok(()),
            _ if before == after || self.may_change(path) => Ok(()),
            _ => Err(format!("{path}: {before} became {after}")),
        }
    }

    /// The members that the policy may add to the object at `path`.
    fn may_add(&self, path: &str, key: &str) -> bool {
        match path {
            "" => key == "metadata",
            "/metadata" => ["annotations", "labels"].contains(&key),
            "/metadata/labels" => self.labels.contains(&key),
            "/metadata/annotations" => self.annotations.contains(&key),
            "/spec" => self.spec.contains(&key),
            "/spec/containers/" | "/spec/initContainers/" => self.containers.contains(&key),
            "/spec/dnsConfig" => self.spec.contains(&"dnsConfig"),
            _ => false,
        }
    }

    /// The items that the policy may add to the list at `path`.
    fn may_insert(&self, path: &str, item: &Value) -> bool {
        let name = item["name"].as_str().unwrap_or_default();
        match path {
            "/spec/containers" | "/spec/initContainers" | "/spec/volumes" => {
                self.names.iter().any(|own| name.starts_with(own))
            }
            "/spec/containers//env" | "/spec/initContainers//env" => name.contains("_CONNECT_SERVICE_"),
            "/spec/containers//volumeMounts" => {
                self.containers.contains(&"volumeMounts") && name == "consul-connect-inject-data"
            }
            _ => path.starts_with("/spec/dnsConfig/"),
        }
    }

    fn may_change(&self, path: &str) -> bool {
        let annotation = path.strip_prefix("/metadata/annotations/");
        annotation.is_some_and(|name| self.changed_annotations.contains(&name)) || (self.changes)(path)
    }
}
