//! This project's files, and the policy built from them.

#![allow(dead_code)] // Each test binary uses its own part.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use policy_host::{
    Policy, documents,
    helm::{Mode, Options},
    manifest,
};
use serde_json::{Value, json};

/// Agent mode, whatever the values are.
pub const AGENT: Options<'_> =
    Options { mode: Some(Mode::Agent), ca_cert: None, release: None, namespace: None };

/// A certificate without a key.
pub const CA: &str = "-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n";

pub fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

pub fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The only document of a YAML or JSON file.
pub fn document(path: impl AsRef<Path>) -> Value {
    let path = path.as_ref();
    documents::parse_one(&read(path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All files below a folder with this suffix, as paths relative to the project's root.
pub fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![root().join(folder)]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().ends_with(ending) {
                found.push(path.strip_prefix(root()).unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

pub fn policy() -> &'static Policy {
    static POLICY: OnceLock<Policy> = OnceLock::new();
    POLICY.get_or_init(|| {
        let path = root().join("policy.wasm");
        assert!(path.exists(), "policy.wasm is missing: run make policy.wasm first");
        Policy::from_path(path).unwrap()
    })
}

/// The policy's message for settings; empty if they are valid.
pub fn refusal(settings: &Value) -> Option<String> {
    let answer = policy().validate_settings(settings).unwrap();
    (!answer.valid).then(|| answer.message.unwrap_or_default())
}

/// The outcome for a created object.
#[derive(Debug)]
pub struct Outcome {
    /// `Pod default/web`, also for the pod of a workload's template.
    pub title: String,
    pub of_workload: bool,
    pub allowed: bool,
    pub message: String,
    pub warnings: Vec<String>,
    pub injected: bool,
}

/// The outcomes for an object and for the pod of its template.
pub fn outcomes(object: &Value, settings: &Value) -> Vec<Outcome> {
    let cases = manifest::cases(vec![object.clone()], &manifest::Options::default()).unwrap();
    cases
        .into_iter()
        .map(|case| {
            let response = policy().review(&case.request, settings).response;
            Outcome {
                title: case.title,
                of_workload: case.template_of.is_some(),
                allowed: response.allowed,
                message: response.message().unwrap_or_default().to_owned(),
                injected: response.patch.is_some(),
                warnings: response.warnings.unwrap_or_default(),
            }
        })
        .collect()
}

pub fn schema() -> Value {
    document("settings.schema.json")
}

/// The `(path, schema)` of each setting, and the paths of the blocks.
pub fn settings() -> (Vec<(String, Value)>, Vec<String>) {
    let (mut settings, mut blocks) = (Vec::new(), Vec::new());
    let mut rest = vec![(String::new(), schema())];
    while let Some((path, schema)) = rest.pop() {
        let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
            settings.push((path, schema));
            continue;
        };
        assert_eq!(schema["additionalProperties"], false, "{path}");
        for (key, value) in properties {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            rest.push((path, value.clone()));
        }
        blocks.push(path);
    }
    (settings, blocks)
}

pub const MODES: [&str; 2] = ["agent", "dataplane"];

/// The schema of a setting or a block in one mode; `false` if the mode does not have it.
fn in_mode(path: &str, mode: &str) -> Value {
    let schema = schema();
    let branch = &schema[if mode == "dataplane" { "then" } else { "else" }];
    let mut place = branch;
    for key in path.split('.').filter(|key| !key.is_empty()) {
        place = &place["properties"][key];
        if place == &json!(false) {
            return json!(false);
        }
    }
    place.clone()
}

/// Whether the mode has the setting or the block.
pub fn has(mode: &str, path: &str) -> bool {
    in_mode(path, mode) != json!(false)
}

/// The default of a setting in a mode.
pub fn default_in(mode: &str, path: &str, schema: &Value) -> Value {
    in_mode(path, mode).get("default").unwrap_or(&schema["default"]).clone()
}

/// The setting alone, with the mode that it needs.
pub fn setting(path: &str, value: Value) -> Value {
    in_some_mode(path, nested(path, value))
}

fn in_some_mode(path: &str, mut settings: Value) -> Value {
    if !has("agent", path) {
        settings["mode"] = json!("dataplane");
    }
    settings
}

/// `{"a": {"b": value}}` for `a.b`.
pub fn nested(path: &str, value: Value) -> Value {
    path.rsplit('.').filter(|key| !key.is_empty()).fold(value, |value, key| json!({ key: value }))
}
