//! A model of what consul-k8s 0.25.0 does with a pod, for the features in the recorded cases.
//!
//! `tests/conformance.rs` checks the model against each recorded case, and then uses it for
//! many more. It is not part of the policy.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::support::{PREFIX, containers};

/// The annotations of the injector, by their names without the prefix.
type Annotations = BTreeMap<String, String>;

/// In the format of the recorded cases.
pub fn original(settings: &Value, namespace: &str, pod: &Value) -> Value {
    let outcome = |outcome: &str| json!({ "outcome": outcome });
    let mut annotations: Annotations = BTreeMap::new();
    for (key, value) in pod["metadata"]["annotations"].as_object().into_iter().flatten() {
        if let Some(name) = key.strip_prefix(PREFIX) {
            annotations.insert(name.to_owned(), value.as_str().unwrap().to_owned());
        }
    }
    if !should_inject(settings, namespace, &annotations) {
        return outcome("skipped");
    }
    match annotations.get("connect-inject").map(|text| go_bool(text)) {
        Some(None) => return outcome("rejected"),
        Some(Some(false)) => return outcome("skipped"),
        None if settings["default"] != true => return outcome("skipped"),
        _ => (),
    }
    let written = defaults(pod, &mut annotations);
    if annotations["connect-service"].is_empty() {
        return outcome("skipped");
    }
    match inject(settings, namespace, pod, &annotations, written) {
        Ok(injected) => injected,
        Err(end) => outcome(end),
    }
}

fn should_inject(settings: &Value, namespace: &str, annotations: &Annotations) -> bool {
    let holds =
        |list: &str, name: &str| settings[list].as_array().is_some_and(|list| list.contains(&json!(name)));
    let allowed = settings.get("k8sAllowNamespaces").is_none()
        || holds("k8sAllowNamespaces", "*")
        || holds("k8sAllowNamespaces", namespace);
    !["kube-system", "kube-public"].contains(&namespace)
        && !holds("k8sDenyNamespaces", namespace)
        && allowed
        && annotations.get("connect-inject-status").is_none_or(String::is_empty)
}

/// The annotations that it adds, from the first container only.
fn defaults(pod: &Value, annotations: &mut Annotations) -> Annotations {
    let mut written = BTreeMap::from([("connect-inject-status".to_owned(), "injected".to_owned())]);
    let first = &pod["spec"]["containers"][0];
    if !annotations.contains_key("connect-service") {
        written.insert("connect-service".into(), first["name"].as_str().unwrap().to_owned());
    }
    if let (false, Some(port)) = (annotations.contains_key("connect-service-port"), first["ports"].get(0)) {
        let name = port["name"].as_str().map_or_else(|| port["containerPort"].to_string(), str::to_owned);
        written.insert("connect-service-port".into(), name);
    }
    annotations.extend(written.clone());
    written
}

fn inject(
    settings: &Value,
    namespace: &str,
    pod: &Value,
    annotations: &Annotations,
    mut written: Annotations,
) -> Result<Value, &'static str> {
    let get = |name: &str| annotations.get(name).map(String::as_str).filter(|text| !text.is_empty());
    let service = annotations["connect-service"].clone();
    let upstreams = get("connect-service-upstreams").unwrap_or_default();
    let environment = environment(pod, upstreams)?;

    let namespaces = settings["enableConsulNamespaces"] == true;
    let own_namespace = consul_namespace(&settings["consulNamespaces"], namespace);
    let port = match get("connect-service-port") {
        Some(port) => port_value(pod, port).ok_or("rejected")?,
        None => 0,
    };
    let mut registration = json!({
        "service": service, "proxy_service": format!("{service}-sidecar-proxy"), "port": 0,
        "upstreams": upstreams_of(pod, upstreams, namespaces)?,
    });
    if port > 0 {
        registration["port"] = json!(port);
        registration["local_service_port"] = json!(port);
    }
    let lists = [get("service-tags"), get("connect-service-tags")];
    let tags: Vec<&str> = lists.into_iter().flatten().flat_map(|list| list.split(',')).collect();
    if !tags.is_empty() {
        registration["tags"] = json!(tags);
    }
    let meta = annotations.iter().filter_map(|(name, value)| {
        let key = name.strip_prefix("service-meta-").filter(|key| !key.is_empty())?;
        Some((key.to_owned(), json!(if value == "$POD_NAME" { "${POD_NAME}" } else { value })))
    });
    let meta: Map<String, Value> = meta.collect();
    if !meta.is_empty() {
        registration["meta"] = meta.into();
    }
    if namespaces {
        registration["namespace"] = json!(own_namespace);
        written.insert("consul-namespace".into(), own_namespace);
    }
    if settings["acls"]["enabled"] == true {
        let mounts = |container: &Value| {
            let mounts = container["volumeMounts"].as_array();
            mounts.is_some_and(|mounts| mounts.iter().any(|mount| mount["mountPath"] == TOKEN))
        };
        let mounted = pod["spec"]["containers"].as_array().unwrap().iter().any(mounts);
        if !mounted || pod["spec"]["serviceAccountName"] != service {
            return Err("rejected");
        }
    }
    for resource in ["cpu-limit", "cpu-request", "memory-limit", "memory-request"] {
        if annotations.get(&format!("sidecar-proxy-{resource}")).is_some_and(|text| !is_quantity(text)) {
            return Err("rejected");
        }
    }
    if get("envoy-extra-args").is_some_and(|text| !quotes_are_closed(text)) {
        return Err("rejected");
    }
    let written: Map<String, Value> =
        written.into_iter().map(|(name, value)| (format!("{PREFIX}{name}"), value.into())).collect();
    let mut out = json!({
        "outcome": "injected", "annotations_written": written, "upstream_environment": environment,
    });
    if breaks_json(&registration) {
        out["registration_broken"] = json!(true);
    } else {
        out["registration"] = registration;
    }
    Ok(out)
}

const TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

fn consul_namespace(settings: &Value, namespace: &str) -> String {
    let text = |key: &str| settings[key].as_str();
    if settings["mirroringK8S"] == true {
        format!("{}{namespace}", text("mirroringK8SPrefix").unwrap_or_default())
    } else {
        text("consulDestinationNamespace").unwrap_or("default").to_owned()
    }
}

/// By container; it crashes on a missing index.
fn environment(pod: &Value, upstreams: &str) -> Result<Value, &'static str> {
    let mut variables = Map::new();
    for upstream in upstreams.split(',').filter(|_| !upstreams.is_empty()) {
        let parts: Vec<&str> = upstream.splitn(3, ':').collect();
        let port = port_value(pod, parts.get(1).ok_or("crash")?.trim()).unwrap_or(0);
        if port > 0 {
            let name = parts[0].trim().replace('-', "_").to_uppercase();
            variables.insert(format!("{name}_CONNECT_SERVICE_HOST"), json!("127.0.0.1"));
            variables.insert(format!("{name}_CONNECT_SERVICE_PORT"), json!(port.to_string()));
        }
    }
    let mut all = Map::new();
    if !variables.is_empty() {
        for container in containers(pod) {
            all.insert(container["name"].as_str().unwrap().to_owned(), variables.clone().into());
        }
    }
    Ok(all.into())
}

fn upstreams_of(pod: &Value, upstreams: &str, namespaces: bool) -> Result<Value, &'static str> {
    let mut all = Vec::new();
    for upstream in upstreams.split(',').filter(|_| !upstreams.is_empty()) {
        let parts: Vec<&str> = upstream.splitn(3, ':').collect();
        let mut found = json!({ "destination_type": "service" });
        let port = if parts[0].trim() == "prepared_query" {
            found["destination_type"] = json!("prepared_query");
            found["destination_name"] = json!(parts.get(1).ok_or("crash")?.trim());
            parts.get(2).ok_or("crash")?
        } else {
            match parts[0].split_once('.') {
                Some((name, namespace)) if namespaces => {
                    found["destination_name"] = json!(name);
                    found["destination_namespace"] = json!(namespace);
                }
                _ if namespaces => found["destination_name"] = json!(parts[0]),
                _ => found["destination_name"] = json!(parts[0].trim()),
            }
            if let Some(datacenter) = parts.get(2).map(|text| text.trim()).filter(|text| !text.is_empty()) {
                found["datacenter"] = json!(datacenter);
            }
            parts.get(1).ok_or("crash")?
        };
        let port = port_value(pod, port.trim()).unwrap_or(0);
        if port > 0 {
            // Its template omits items without a name.
            if found["destination_name"] == "" {
                found = json!({});
            }
            found["local_bind_port"] = json!(port);
            all.push(found);
        }
    }
    Ok(all.into())
}

/// A port of any container by name, otherwise a number as Go parses it with base 0.
fn port_value(pod: &Value, text: &str) -> Option<i64> {
    let containers = pod["spec"]["containers"].as_array().unwrap().iter();
    let mut ports = containers.flat_map(|container| container["ports"].as_array().into_iter().flatten());
    if let Some(port) = ports.find(|port| port["name"] == text) {
        return port["containerPort"].as_i64();
    }
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let lower = digits.to_lowercase();
    let (rest, base) = match lower.get(..2) {
        Some("0x") => (&lower[2..], 16),
        Some("0b") => (&lower[2..], 2),
        Some("0o") => (&lower[2..], 8),
        Some(_) if lower.starts_with('0') => (&lower[1..], 8),
        _ => (lower.as_str(), 10),
    };
    let number = i64::from_str_radix(&rest.replace('_', ""), base).ok()?;
    i32::try_from(if text.starts_with('-') { -number } else { number }).ok().map(i64::from)
}

fn go_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

/// <https://pkg.go.dev/k8s.io/apimachinery/pkg/api/resource#Quantity>
fn is_quantity(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let end = unsigned.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(unsigned.len());
    let (number, suffix) = unsigned.split_at(end);
    let exponent = |text: &str| text.strip_prefix(['+', '-']).unwrap_or(text).parse::<u32>().is_ok();
    let suffixes = ["", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    number.contains(|c: char| c.is_ascii_digit())
        && number.matches('.').count() < 2
        && (suffixes.contains(&suffix) || suffix.strip_prefix(['e', 'E']).is_some_and(exponent))
}

fn quotes_are_closed(text: &str) -> bool {
    shlex::split(text).is_some()
}

/// It writes the document and quotes only the tags.
fn breaks_json(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains(['"', '\\', '\n']),
        Value::Array(items) => items.iter().any(breaks_json),
        Value::Object(members) => {
            let mut members = members.iter().filter(|(key, _)| *key != "tags");
            members.any(|(key, value)| key.contains(['"', '\\']) || breaks_json(value))
        }
        _ => false,
    }
}
