//! Reads what the command line names: the policy's place, requests, settings.

use std::{
    fs,
    io::{self, Read},
    path::PathBuf,
};

use policy_host::{
    ValidateRequest, documents,
    manifest::{self, Options},
    policies,
};
use serde_json::{Map, Value};

use super::failure::{Failure, Status};

/// A request, and how it came to be.
#[derive(Debug)]
pub struct Item {
    /// `Pod default/web`
    pub title: String,
    /// The workload that the pod is of.
    pub template_of: Option<String>,
    /// Whether the input was a manifest rather than a request.
    pub from_manifest: bool,
    pub request: ValidateRequest,
}

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
            Err(Failure::new(Status::BadInput, format!("{name} is not text in UTF-8")))
        }
        Err(error) => Err(Failure::new(Status::Unreadable, format!("cannot read {name}: {error}"))),
    }
}

/// What is asked of the policy, from one file.
pub fn requests(path: &str, raw: bool, options: &Options) -> Result<Vec<Item>, Failure> {
    let name = if path == "-" { "standard input" } else { path };
    let bad = |message: String| Failure::new(Status::BadInput, format!("{name}: {message}"));
    let documents = documents::parse(&read(path)?).map_err(|error| bad(error.to_string()))?;
    if raw {
        return Ok(documents
            .into_iter()
            .map(|document| Item {
                title: "raw request".to_owned(),
                template_of: None,
                from_manifest: false,
                request: ValidateRequest::Raw(document),
            })
            .collect());
    }
    if documents.iter().any(manifest::is_manifest) || documents.is_empty() {
        let cases = manifest::cases(documents, options).map_err(|error| bad(error.to_string()))?;
        return Ok(cases
            .into_iter()
            .map(|case| Item {
                title: case.title,
                template_of: case.template_of,
                from_manifest: true,
                request: ValidateRequest::Admission(Box::new(case.request)),
            })
            .collect());
    }
    documents
        .into_iter()
        .map(|document| {
            let request = ValidateRequest::from_review(document).map_err(|error| {
                bad(error.to_string()).hint(
                    "expected an AdmissionRequest, an AdmissionReview, or a manifest \
                     with `apiVersion` and `kind`; --raw takes any JSON",
                )
            })?;
            Ok(Item { title: title(&request), template_of: None, from_manifest: false, request })
        })
        .collect()
}

fn title(request: &ValidateRequest) -> String {
    match request {
        ValidateRequest::Admission(request) => match &request.object {
            Some(object) => manifest::title(object, request.namespace.as_deref()),
            None => format!(
                "{} {} {}",
                request.operation,
                request.kind.kind,
                request.name.as_deref().unwrap_or_default()
            ),
        },
        ValidateRequest::Raw(_) => "raw request".to_owned(),
    }
}

/// The settings that the policy gets: a file of YAML or JSON, JSON itself, or none.
pub fn settings(path: Option<&str>, json: Option<&str>) -> Result<Value, Failure> {
    let (name, value) = match (path, json) {
        (Some(path), _) => {
            let value = documents::parse_one(&read(path)?).map_err(|error| {
                Failure::new(Status::BadInput, format!("Cannot parse settings file {path}: {error}"))
            })?;
            (path, value)
        }
        (None, Some(json)) => {
            let value = serde_json::from_str(json).map_err(|error| {
                Failure::new(Status::BadInput, format!("Cannot parse settings JSON: {error}"))
            })?;
            ("--settings-json", value)
        }
        (None, None) => ("", Value::Null),
    };
    match value {
        Value::Null => Ok(Value::Object(Map::new())),
        Value::Object(_) => Ok(value),
        _ => Err(Failure::new(
            Status::BadInput,
            format!("{name}: the settings must be an object, such as {{\"default\": true}}"),
        )),
    }
}

/// The file of a policy.
pub fn policy_path(location: &str) -> Result<PathBuf, Failure> {
    policies::local_path(location).map_err(|error| Failure::new(Status::Unreadable, error.to_string()))
}
