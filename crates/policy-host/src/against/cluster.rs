//! Removes what a cluster adds to a pod besides the injectors: defaults, the app's API token,
//! and the fields that owners, nodes and controllers write.

use serde_json::{Value, json};

/// The prefixes of the annotations and labels that an injector writes.
const WRITTEN: [&str; 3] =
    ["consul.hashicorp.com/", "prometheus.io/", "kubectl.kubernetes.io/default-container"];

/// The fields of a pod's specification that an injector writes.
const FIELDS: [&str; 7] = [
    "containers",
    "dnsConfig",
    "dnsPolicy",
    "initContainers",
    "securityContext",
    "terminationGracePeriodSeconds",
    "volumes",
];

/// The volume with the app's API token.
const API_TOKEN: &str = "kube-api-access-";

/// The pod's parts that an injector may have written, without the API server's defaults.
pub fn without_additions(pod: &Value) -> Value {
    let map = |pointer: &str| pod.pointer(pointer).and_then(Value::as_object).cloned().unwrap_or_default();
    let [mut annotations, labels] = ["/metadata/annotations", "/metadata/labels"].map(|pointer| {
        let mut written = map(pointer);
        written.retain(|key, _| WRITTEN.iter().any(|prefix| key.starts_with(prefix)));
        written
    });
    // The progress of Consul's CNI plugin.
    if let Some(status) = annotations.get_mut("consul.hashicorp.com/transparent-proxy-status")
        && (*status == "waiting" || *status == "complete")
    {
        *status = json!("enabled");
    }
    let mut spec = map("/spec");
    spec.retain(|field, _| FIELDS.contains(&field.as_str()));
    for list in ["containers", "initContainers"] {
        for container in spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            pull_policy(container);
            api_token(container.get_mut("volumeMounts"));
        }
    }
    api_token(spec.get_mut("volumes"));
    let mut spec = Value::Object(spec);
    defaults(&mut spec);
    json!({ "metadata": { "annotations": annotations, "labels": labels }, "spec": spec })
}

fn api_token(list: Option<&mut Value>) {
    if let Some(list) = list.and_then(Value::as_array_mut) {
        list.retain(|item| !item["name"].as_str().is_some_and(|name| name.starts_with(API_TOKEN)));
    }
}

/// The API server's default depends on the image's tag.
fn pull_policy(container: &mut Value) {
    let image = container["image"].as_str().unwrap_or_default();
    let last = image.rsplit('/').next().unwrap_or_default();
    let moves = !image.contains('@') && last.split_once(':').is_none_or(|(_, tag)| tag == "latest");
    let default = if moves { "Always" } else { "IfNotPresent" };
    if container.get("imagePullPolicy") == Some(&json!(default))
        && let Some(container) = container.as_object_mut()
    {
        container.remove("imagePullPolicy");
    }
}

/// Removes the API server's defaults.
fn defaults(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(defaults),
        Value::Object(fields) => {
            fields.values_mut().for_each(defaults);
            fields.retain(|field, value| !is_default(field, value));
        }
        _ => (),
    }
}

fn is_default(field: &str, value: &Value) -> bool {
    let default = match field {
        "apiVersion" => json!("v1"),
        "defaultMode" => json!(420),
        "dnsPolicy" => json!("ClusterFirst"),
        "expirationSeconds" => json!(3600),
        "failureThreshold" => json!(3),
        "initialDelaySeconds" => json!(0),
        "periodSeconds" => json!(10),
        "protocol" => json!("TCP"),
        "scheme" => json!("HTTP"),
        "successThreshold" | "timeoutSeconds" => json!(1),
        "terminationGracePeriodSeconds" => json!(30),
        "terminationMessagePath" => json!("/dev/termination-log"),
        "terminationMessagePolicy" => json!("File"),
        _ => return false,
    };
    *value == default
}
