//! What the policy server sends.
//!
//! <https://docs.kubewarden.io/reference/spec/validating-policies>,
//! <https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/>

use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

/// The payload of a `validate` call.
#[derive(Debug, Deserialize)]
pub struct Payload<'a> {
    #[serde(borrow)]
    pub request: Request<'a>,
    #[serde(borrow, default)]
    pub settings: Option<&'a RawValue>,
}

/// The parts of an `AdmissionRequest` that the policy reads. The objects stay text until
/// they are needed: most requests end before that.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request<'a> {
    #[serde(default, deserialize_with = "null_as_default")]
    pub kind: Kind,
    #[serde(default, alias = "sub_resource", deserialize_with = "null_as_default")]
    pub sub_resource: String,
    #[serde(default, deserialize_with = "null_as_default")]
    pub operation: String,
    #[serde(default, deserialize_with = "null_as_default")]
    pub name: String,
    #[serde(default, deserialize_with = "null_as_default")]
    pub namespace: String,
    #[serde(borrow, default)]
    pub object: Option<&'a RawValue>,
    #[serde(borrow, default, alias = "old_object")]
    pub old_object: Option<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
pub struct Kind {
    #[serde(default, deserialize_with = "null_as_default")]
    pub group: String,
    #[serde(default, deserialize_with = "null_as_default")]
    pub version: String,
    #[serde(default, deserialize_with = "null_as_default")]
    pub kind: String,
}

/// Go encodes an empty list or map as `null`.
pub fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

impl<'a> Request<'a> {
    /// The object of the request, which a request of this kind must have.
    pub fn object(&self) -> Result<&'a RawValue, Unreadable> {
        self.object.ok_or_else(|| {
            Unreadable::new("object", format!("the request has no object, expected a {}", self.kind.kind))
        })
    }
}

/// A part of the request that has another form than Kubernetes gives it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {why}")]
pub struct Unreadable {
    path: String,
    why: String,
}

impl Unreadable {
    pub fn new(path: impl Into<String>, why: impl Into<String>) -> Self {
        Unreadable { path: path.into(), why: why.into() }
    }
}

/// Reads a view from JSON text; an error names the place.
pub fn read_text<'a, T: Deserialize<'a>>(json: &'a str, path: &str) -> Result<T, Unreadable> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    serde_path_to_error::deserialize(&mut deserializer).map_err(|error| unreadable(path, &error))
}

/// Reads a view from a value; an error names the place.
pub fn read_value<'a, T: Deserialize<'a>>(value: &'a Value, path: &str) -> Result<T, Unreadable> {
    serde_path_to_error::deserialize(value).map_err(|error| unreadable(path, &error))
}

fn unreadable(path: &str, error: &serde_path_to_error::Error<serde_json::Error>) -> Unreadable {
    let inner = error.path().to_string();
    let path = match (path, inner.as_str()) {
        ("", ".") => "object".to_owned(),
        (path, ".") => path.to_owned(),
        ("", inner) => inner.to_owned(),
        (path, inner) => format!("{path}.{inner}"),
    };
    let mut why = error.inner().to_string();
    if path.contains("metadata.annotations.") {
        why.push_str("; write it in quotes");
    }
    Unreadable { path, why }
}
