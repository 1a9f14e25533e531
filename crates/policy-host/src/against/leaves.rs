//! A pod as a map of paths to values. List items have their names as keys, so that a moved
//! item counts as the same.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::webhooks_pod::is_injected;

pub type Leaves = BTreeMap<String, Value>;

pub fn of(pod: &Value) -> Leaves {
    let mut leaves = Leaves::new();
    for kind in ["annotations", "labels"] {
        for (key, value) in object(pod.pointer(&format!("/metadata/{kind}"))) {
            leaves.insert(format!("{kind}[{key}]"), parsed(value));
        }
    }
    for (field, value) in object(pod.get("metadata")) {
        if !["annotations", "labels"].contains(&field.as_str()) {
            add(&format!("metadata.{field}"), value, &mut leaves);
        }
    }
    for (field, value) in object(pod.get("spec")) {
        match field.as_str() {
            "initContainers" | "containers" => containers(field, value, &mut leaves),
            "volumes" => named("volumes", "name", value, &mut leaves),
            _ => add(field, value, &mut leaves),
        }
    }
    leaves
}

/// The containers of both lists, with what they are in a leaf of its own.
fn containers(list: &str, value: &Value, leaves: &mut Leaves) {
    for container in value.as_array().into_iter().flatten() {
        let name = container["name"].as_str().unwrap_or_default();
        let path = format!("containers[{name}]");
        let role = match (list, container["restartPolicy"].as_str()) {
            ("initContainers", Some("Always")) => "native sidecar",
            ("initContainers", _) => "init container",
            _ => "container",
        };
        leaves.insert(format!("{path}.is"), json!(role));
        let container = without_shell(container);
        for (field, value) in object(Some(&container)) {
            let path = format!("{path}.{field}");
            match field.as_str() {
                "name" => (),
                "restartPolicy" if role == "native sidecar" => (),
                "args" if is_injected(name) => args(&path, value, leaves),
                "env" => {
                    named(&path, "name", value, leaves);
                    // References to other variables depend on it.
                    if is_injected(name) {
                        leaves.insert(format!("{path} in order"), names(value));
                    }
                }
                "volumeMounts" => named(&path, "mountPath", value, leaves),
                _ => add(&path, value, leaves),
            }
        }
    }
    leaves.insert(format!("{list} in order"), names(value));
}

fn names(list: &Value) -> Value {
    list.as_array().into_iter().flatten().map(|item| item["name"].clone()).collect()
}

/// The webhook's init containers run a single command in a shell: its arguments count as the
/// container's.
fn without_shell(container: &Value) -> Value {
    let mut container = container.clone();
    let command: Vec<&str> =
        container["command"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if let ["/bin/sh", flags, script] = command.as_slice()
        && let mut words = script.split_whitespace().filter(|word| *word != "\\")
        && words.next() == Some("consul-k8s-control-plane")
    {
        // The shell's variables in the kubelet's notation, and without quotes.
        let as_argument = |word: &str| word.replace("${", "$(").replace('}', ")").replace('"', "");
        let args: Vec<String> = words.map(as_argument).collect();
        let shell = json!(["/bin/sh", flags]);
        container["args"] = json!(args);
        container["command"] = shell;
    }
    container
}

fn add(path: &str, value: &Value, leaves: &mut Leaves) {
    match value.as_object() {
        Some(fields) => {
            for (field, value) in fields {
                add(&format!("{path}.{field}"), value, leaves);
            }
        }
        None if is_absent(path, value) => (),
        None => {
            leaves.insert(path.to_owned(), parsed(value));
        }
    }
}

/// Whether a value means the same as its absence.
fn is_absent(path: &str, value: &Value) -> bool {
    let privileged = *value == false && path.ends_with("].securityContext.privileged");
    privileged || value.is_null() || *value == "" || *value == json!([])
}

/// The items of a list by the field that identifies them.
fn named(path: &str, key: &str, list: &Value, leaves: &mut Leaves) {
    for item in list.as_array().into_iter().flatten() {
        let path = format!("{path}[{}]", item[key].as_str().unwrap_or_default());
        for (field, value) in object(Some(item)).filter(|(field, _)| *field != key) {
            let path = format!("{path}.{field}");
            match value.as_object() {
                // Such as `emptyDir`.
                Some(empty) if empty.is_empty() => drop(leaves.insert(path, value.clone())),
                _ => add(&path, value, leaves),
            }
        }
        let has_fields = leaves.range(path.clone()..).next().is_some_and(|(leaf, _)| leaf.starts_with(&path));
        if !has_fields {
            leaves.insert(path, json!({}));
        }
    }
}

/// Flags with their values. Arguments after `--` are for another program and keep their order.
fn args(path: &str, list: &Value, leaves: &mut Leaves) {
    let mut words =
        list.as_array().into_iter().flatten().map(|word| word.as_str().unwrap_or_default()).peekable();
    while let Some(word) = words.next() {
        if word == "--" {
            let rest: Vec<&str> = words.by_ref().collect();
            leaves.insert(format!("{path}[--]"), json!(rest));
        } else if let Some((flag, value)) = word.split_once('=') {
            leaves.insert(format!("{path}[{flag}]"), json!(value));
        } else {
            let value = words.next_if(|next| word.starts_with('-') && !next.starts_with('-'));
            leaves.insert(format!("{path}[{word}]"), json!(value));
        }
    }
}

fn object(value: Option<&Value>) -> impl Iterator<Item = (&String, &Value)> {
    value.and_then(Value::as_object).into_iter().flatten()
}

/// JSON in a string, compared without regard to whitespace and order.
fn parsed(value: &Value) -> Value {
    let json = value.as_str().filter(|text| text.starts_with(['{', '[']));
    json.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_else(|| value.clone())
}
