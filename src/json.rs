//! Reads the parts that the policy needs from JSON; an error names the place.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// Go encodes an empty list or map as `null`.
pub fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
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
