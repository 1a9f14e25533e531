//! What the fuzz targets share: asking, and what every answer has to be.

use consul_connect_injector::admission;
use serde_json::{Value, json};

/// The answer to any bytes, which has to be one.
pub fn answer(payload: &[u8]) -> Value {
    let response = admission::validate(payload).response;
    let answer = serde_json::to_value(&response).expect("a response is JSON");
    assert!(answer["audit_annotations"]["connect-inject-reason"].is_string(), "{answer}");
    assert_eq!(answer["accepted"] == false, answer["message"].is_string(), "{answer}");
    for warning in answer["warnings"].as_array().into_iter().flatten() {
        let warning = warning.as_str().expect("warnings are texts");
        assert!(warning.len() < 256 && !warning.chars().any(char::is_control), "{warning:?}");
    }
    answer
}

/// The answer about the creation of a pod that `default` injects; the object need
/// not be one.
pub fn about(object: &str, settings: &Value) -> Value {
    let payload = format!(
        r#"{{"request":{{"kind":{{"group":"","version":"v1","kind":"Pod"}},"operation":"CREATE",
            "namespace":"shop","object":{object}}},"settings":{settings}}}"#
    );
    answer(payload.as_bytes())
}

/// A pod with these annotations of the injector.
pub fn pod<'a>(annotations: impl IntoIterator<Item = (&'a str, &'a str)>) -> Value {
    let named =
        annotations.into_iter().map(|(name, value)| (format!("consul.hashicorp.com/{name}"), json!(value)));
    json!({
        "metadata": { "name": "web-0", "annotations": Value::Object(named.collect()) },
        "spec": { "containers": [{ "name": "web", "ports": [{ "name": "http", "containerPort": 8080 }] }] },
    })
}
