//! Agent mode changes nothing in a pod that is not its own.

use serde_json::{Value, json};

use super::PREFIX;

/// The members that the policy may add to the object at `path`.
fn may_add(path: &str, key: &str) -> bool {
    match path {
        "" => key == "metadata",
        "/metadata" => ["annotations", "labels"].contains(&key),
        "/metadata/labels" => key == format!("{PREFIX}connect-inject-status"),
        "/metadata/annotations" => {
            let own =
                ["connect-inject-status", "connect-service", "connect-service-port", "consul-namespace"];
            own.iter().any(|own| key == format!("{PREFIX}{own}"))
        }
        "/spec" => ["initContainers", "volumes"].contains(&key),
        "/spec/containers/" | "/spec/initContainers/" => key == "env",
        _ => false,
    }
}

/// The items that the policy may add to the list at `path`.
fn may_insert(path: &str, item: &Value) -> bool {
    let name = item["name"].as_str().unwrap_or_default();
    match path {
        "/spec/containers" | "/spec/initContainers" | "/spec/volumes" => name.starts_with("consul-connect-"),
        "/spec/containers//env" | "/spec/initContainers//env" => name.contains("_CONNECT_SERVICE_"),
        _ => false,
    }
}

/// The paths of differences in what the policy does not own.
pub fn is_kept(path: &str, before: &Value, after: &Value) -> Result<(), String> {
    match (before, after) {
        (Value::Object(old), Value::Object(new)) => {
            for (key, value) in old {
                let now = new.get(key).ok_or_else(|| format!("{path}: {key} is gone"))?;
                if path != "/metadata/annotations" || key != "consul.hashicorp.com/connect-inject-status" {
                    is_kept(&format!("{path}/{key}"), value, now)?;
                }
            }
            match new.iter().find(|(key, _)| !old.contains_key(*key) && !may_add(path, key)) {
                Some((key, _)) => Err(format!("{path}: {key} was added")),
                None => new
                    .iter()
                    .filter(|(key, _)| !old.contains_key(*key))
                    .try_for_each(|(key, value)| is_kept(&format!("{path}/{key}"), &Value::Null, value)),
            }
        }
        (Value::Array(old), Value::Array(new)) => {
            let mut new = new.iter().peekable();
            for value in old {
                while new.next_if(|next| may_insert(path, next) && next["name"] != value["name"]).is_some() {}
                let now = new.next().ok_or_else(|| format!("{path}: {value} is gone"))?;
                is_kept(&format!("{path}/"), value, now)?;
            }
            match new.find(|item| !may_insert(path, item)) {
                Some(item) => Err(format!("{path}: {item} was added")),
                None => Ok(()),
            }
        }
        (Value::Null, Value::Object(new)) if !new.is_empty() => is_kept(path, &json!({}), after),
        (Value::Null, Value::Array(new)) if !new.is_empty() => is_kept(path, &json!([]), after),
        (Value::Null, Value::String(_)) if path.starts_with("/metadata/") => Ok(()),
        _ if before == after => Ok(()),
        _ => Err(format!("{path}: {before} became {after}")),
    }
}
