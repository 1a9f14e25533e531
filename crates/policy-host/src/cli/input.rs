//! Reads the command's input: policies, requests and settings.

use std::{
    fs,
    io::{self, Read},
    path::PathBuf,
};

use policy_host::{
    AdmissionRequest, documents,
    documents::Dialect,
    manifest::{self, Case, Options},
    policies::{self, Mode, PolicyEntry},
};
use serde_json::{Map, Value};

use super::failure::{Failure, Status};

/// The text of a file, or of standard input for `-`.
pub fn read(path: &str) -> Result<String, Failure> {
    let mut text = String::new();
    let (name, result) = if path == "-" {
        ("standard input", io::stdin().read_to_string(&mut text).map(drop))
    } else {
        (path, fs::read_to_string(path).map(|content| text = content))
    };
    match result {
        Ok(()) => Ok(text),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            Err(Failure::new(Status::BadInput, format!("{name} is not UTF-8 text")))
        }
        Err(error) => {
            let failure = Failure::new(Status::Unreadable, format!("cannot read {name}: {error}"));
            Err(match error.kind() {
                io::ErrorKind::IsADirectory => failure
                    .hint("pass its files one by one, or pipe them: `kubectl kustomize DIRECTORY | policy-host ... -`"),
                _ => failure,
            })
        }
    }
}

/// The requests in the text of one file.
pub fn requests(path: &str, text: &str, options: &Options) -> Result<Vec<Case>, Failure> {
    let name = if path == "-" { "standard input" } else { path };
    let bad = |message: String| Failure::new(Status::BadInput, format!("{name}: {message}"));
    let documents = documents::parse(text).map_err(|error| bad(error.to_string()))?;
    if documents.iter().any(manifest::is_manifest) || documents.is_empty() {
        return manifest::cases(documents, options).map_err(|error| bad(error.to_string()));
    }
    documents
        .into_iter()
        .map(|document| {
            let request = AdmissionRequest::from_review(document).map_err(|error| {
                bad(error.to_string()).hint(
                    "expected an AdmissionRequest, an AdmissionReview, or a manifest \
                     with `apiVersion` and `kind`",
                )
            })?;
            Ok(request.into())
        })
        .collect()
}

/// The policy's settings: from a YAML or JSON file, which may be the manifest of a policy,
/// from JSON on the command line, or none.
pub fn settings(path: Option<&str>, json: Option<&str>) -> Result<Value, Failure> {
    match (path, json) {
        (Some(path), _) => {
            let mut found = settings_of_file(path)?;
            match (found.pop(), found.len()) {
                (Some((_, settings)), 0) => Ok(settings),
                (_, others) => Err(Failure::new(
                    Status::BadInput,
                    format!("{path}: has {} policies, and only one can be run", others + 1),
                )),
            }
        }
        (None, Some(json)) => {
            let value = serde_json::from_str(json).map_err(|error| {
                Failure::new(Status::BadInput, format!("Cannot parse settings JSON: {error}"))
            })?;
            object("--settings-json", value)
        }
        (None, None) => Ok(Value::Object(Map::new())),
    }
}

/// The settings in a file: its only document, or the settings of every policy manifest in
/// it, with the policy's title.
pub fn settings_of_file(path: &str) -> Result<Vec<(Option<String>, Value)>, Failure> {
    let broken = |error: documents::SyntaxError| {
        Failure::new(Status::BadInput, format!("Cannot parse settings file {path}: {error}"))
    };
    let text = read(path)?;
    // kubectl reads manifests; kwctl reads plain settings, in a different dialect.
    let documents = documents::parse(&text).unwrap_or_default();
    let policies: Vec<_> = documents.into_iter().filter(is_policy_manifest).collect();
    if policies.is_empty() {
        let settings = documents::parse_one_as(Dialect::Core, &text).map_err(broken)?;
        return Ok(vec![(None, object(path, settings)?)]);
    }
    policies
        .into_iter()
        .map(|policy| {
            let title = manifest::title(&policy, None);
            let settings = settings_of(&format!("{path}: {title}"), &policy)?;
            Ok((Some(title), settings))
        })
        .collect()
}

fn is_policy_manifest(document: &Value) -> bool {
    is_kubewardens(document, "AdmissionPolicy")
}

fn is_kubewardens(document: &Value, kind: &str) -> bool {
    let text = |key: &str| document.get(key).and_then(Value::as_str).unwrap_or_default();
    text("apiVersion") == "policies.kubewarden.io/v1" && text("kind").ends_with(kind)
}

/// The settings of a policy's manifest. A misspelt or misplaced `settings` would otherwise be
/// ignored; other unknown fields are the API server's to reject.
fn settings_of(place: &str, policy: &Value) -> Result<Value, Failure> {
    let spec = &policy["spec"];
    for (object, right) in [(policy, ""), (spec, "settings")] {
        for key in object.as_object().into_iter().flat_map(Map::keys) {
            if key != right && strsim::damerau_levenshtein(&key.to_lowercase(), "settings") <= 2 {
                let message = format!("{place}: there is no field `{key}`; did you mean `spec.settings`?");
                return Err(Failure::new(Status::BadInput, message));
            }
        }
    }
    object(place, spec["settings"].clone())
}

fn object(name: &str, settings: Value) -> Result<Value, Failure> {
    match settings {
        Value::Null => Ok(Value::Object(Map::new())),
        Value::Object(_) => Ok(settings),
        _ => Err(Failure::new(
            Status::BadInput,
            format!("{name}: the settings must be an object, such as {{\"default\": true}}"),
        )),
    }
}

/// A policy to run, with the configuration of its manifest.
#[derive(Debug)]
pub struct Subject {
    /// `ClusterAdmissionPolicy connect-injector`; none for a module without a manifest.
    pub title: Option<String>,
    /// The name that a policy server would give it.
    pub name: String,
    pub entry: PolicyEntry,
}

impl Subject {
    /// A module without a manifest: its answers take effect.
    pub fn module(location: &str, settings: Value) -> Self {
        Self {
            title: None,
            name: "policy-from-cli".to_owned(),
            entry: PolicyEntry {
                module: location.to_owned(),
                policy_mode: Mode::Protect,
                allowed_to_mutate: Some(true),
                settings: match settings {
                    Value::Object(settings) => Some(settings),
                    _ => None,
                },
                message: None,
                timeout_eval_seconds: None,
            },
        }
    }
}

/// Whether the policy's path is that of a manifest, by kwctl's rule.
#[allow(clippy::case_sensitive_file_extension_comparisons)]
pub fn is_manifest_path(location: &str) -> bool {
    location.ends_with(".yaml") || location.ends_with(".yml")
}

/// The policies of the manifests in a file.
pub fn subjects_of_file(location: &str) -> Result<Vec<Subject>, Failure> {
    let path = policy_path(location)?;
    let bad = |status, message: String| Failure::new(status, format!("{location}: {message}"));
    let text = read(&path.to_string_lossy())?;
    let documents = documents::parse(&text).map_err(|error| bad(Status::BadInput, error.to_string()))?;
    if documents.iter().any(|document| is_kubewardens(document, "AdmissionPolicyGroup")) {
        return Err(bad(Status::NotAPolicy, "policy groups are not supported".to_owned()));
    }
    let policies: Vec<_> = documents.into_iter().filter(is_policy_manifest).collect();
    if policies.is_empty() {
        return Err(bad(Status::NotAPolicy, "does not contain the manifest of a policy".to_owned()).hint(
            "POLICY must be a .wasm file, or the manifest of a ClusterAdmissionPolicy or AdmissionPolicy",
        ));
    }
    policies
        .into_iter()
        .map(|policy| {
            let title = manifest::title(&policy, None);
            let at = |pointer: &str| policy.pointer(pointer).filter(|value| !value.is_null());
            let mut entry = Map::new();
            for (own, field) in [
                ("module", "module"),
                ("policyMode", "mode"),
                ("allowedToMutate", "mutating"),
                ("message", "message"),
                ("timeoutEvalSeconds", "timeoutEvalSeconds"),
            ] {
                if let Some(value) = at(&format!("/spec/{field}")) {
                    entry.insert(own.to_owned(), value.clone());
                }
            }
            entry.insert("settings".to_owned(), settings_of(&format!("{location}: {title}"), &policy)?);
            let name = at("/metadata/name").and_then(Value::as_str).unwrap_or("crd-without-name").to_owned();
            let entry = policies::entry(&name, Value::Object(entry))
                .map_err(|error| bad(Status::BadInput, format!("{title}: {error}")))?;
            Ok(Subject { title: Some(title), name, entry })
        })
        .collect()
}

/// The file of a policy.
pub fn policy_path(location: &str) -> Result<PathBuf, Failure> {
    policies::local_path(location).map_err(|error| Failure::new(Status::Unreadable, error.to_string()))
}
