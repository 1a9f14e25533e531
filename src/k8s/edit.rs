//! Changes to a pod. The pod stays the JSON value that the policy server sent, so that unknown
//! fields are not lost.

use serde_json::{Map, Value};

/// The object under `key`, which is created if it is missing.
pub fn object<'v>(parent: &'v mut Map<String, Value>, key: &str) -> Option<&'v mut Map<String, Value>> {
    let value = parent.entry(key).or_insert(Value::Null);
    if value.is_null() {
        *value = Value::Object(Map::new());
    }
    value.as_object_mut()
}

/// The list under `key`, which is created if it is missing.
pub fn list<'v>(parent: &'v mut Map<String, Value>, key: &str) -> Option<&'v mut Vec<Value>> {
    let value = parent.entry(key).or_insert(Value::Null);
    if value.is_null() {
        *value = Value::Array(Vec::new());
    }
    value.as_array_mut()
}

/// Adds items at both ends of the list under `key`.
pub fn surround(parent: &mut Map<String, Value>, key: &str, first: Vec<Value>, last: Vec<Value>) {
    if first.is_empty() && last.is_empty() {
        return;
    }
    if let Some(list) = list(parent, key) {
        list.splice(0..0, first);
        list.extend(last);
    }
}

/// Sets entries of the map under `key`.
pub fn set_entries(
    parent: &mut Map<String, Value>,
    key: &str,
    entries: impl IntoIterator<Item = (String, String)>,
) {
    if let Some(map) = object(parent, key) {
        map.extend(entries.into_iter().map(|(name, value)| (name, Value::String(value))));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn missing_or_null_parents_are_created() {
        let mut pod = json!({ "metadata": { "labels": null }, "spec": { "containers": [1] } });
        let metadata = object(pod.as_object_mut().unwrap(), "metadata").unwrap();
        set_entries(metadata, "labels", [("a".to_owned(), "b".to_owned())]);
        set_entries(metadata, "annotations", [("c".to_owned(), "d".to_owned())]);
        let spec = object(pod.as_object_mut().unwrap(), "spec").unwrap();
        surround(spec, "containers", vec![json!(0)], vec![json!(2)]);
        surround(spec, "volumes", Vec::new(), vec![json!(3)]);
        surround(spec, "initContainers", Vec::new(), Vec::new());
        assert_eq!(
            pod,
            json!({ "metadata": { "labels": { "a": "b" }, "annotations": { "c": "d" } },
                "spec": { "containers": [0, 1, 2], "volumes": [3] } })
        );
    }
}
