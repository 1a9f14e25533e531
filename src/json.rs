//! Reads the parts of JSON that the policy needs. Errors name the place.

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

/// A part of the request that does not have the form of Kubernetes' API.
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

/// Reads a view from JSON text. Errors name `path`.
pub fn read_text<'a, T: Deserialize<'a>>(json: &'a str, path: &str) -> Result<T, Unreadable> {
    serde_json::from_str(json).map_err(|error| Unreadable::new(path, error.to_string()))
}

/// Reads a view from a value. Errors name `path`.
pub fn read_value<'a, T: Deserialize<'a>>(value: &'a Value, path: &str) -> Result<T, Unreadable> {
    T::deserialize(value).map_err(|error| Unreadable::new(path, error.to_string()))
}

/// Reads the list under `key` of an object. Errors name the item.
pub fn read_list<'a, T: Deserialize<'a>>(
    object: &'a Value,
    key: &str,
    path: &str,
) -> Result<Vec<T>, Unreadable> {
    match object.get(key) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(items)) => {
            let items = items.iter().enumerate();
            items.map(|(index, item)| read_value(item, &format!("{path}.{key}[{index}]"))).collect()
        }
        Some(_) => Err(Unreadable::new(format!("{path}.{key}"), "must be a list")),
    }
}
