//! Reads the parts of JSON that the policy needs. Errors name the place.

use std::borrow::{Borrow, Cow};
use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

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

/// The name of a field. It has a string of its own only if it is escaped in the request.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(transparent)]
pub struct Key<'a>(#[serde(borrow)] pub Cow<'a, str>);

impl Borrow<str> for Key<'_> {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl From<&'static str> for Key<'_> {
    fn from(name: &'static str) -> Self {
        Key(name.into())
    }
}

/// An object whose fields are still text: most decisions need few of them.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(transparent)]
pub struct Fields<'a>(#[serde(borrow)] pub BTreeMap<Key<'a>, &'a RawValue>);

impl<'a> Fields<'a> {
    /// The text of a field, unless it is absent or null.
    fn get(&self, name: &str) -> Option<&'a str> {
        self.0.get(name).map(|text| text.get()).filter(|text| *text != "null")
    }

    /// Reads one field, if it is there. Errors begin with `path`, which ends with a dot, and the name.
    pub fn find<T: Deserialize<'a>>(&self, name: &str, path: &str) -> Result<Option<T>, Unreadable> {
        let value = self.get(name).map(serde_json::from_str).transpose();
        value.map_err(|error| Unreadable::new(format!("{path}{name}"), error.to_string()))
    }

    /// Reads one field. A field that is absent or null has the default value.
    pub fn read<T: Default + Deserialize<'a>>(&self, name: &str, path: &str) -> Result<T, Unreadable> {
        self.find(name, path).map(Option::unwrap_or_default)
    }

    /// The object at a path of several steps, if there is one.
    pub fn at(&self, path: &str) -> Result<Option<Self>, Unreadable> {
        let Some((parents, last)) = path.rsplit_once('.') else { return self.find(path, "") };
        let parent = parents.split('.').try_fold(self.clone(), |place, step| place.find(step, "").ok()?);
        parent.map_or(Ok(None), |parent| parent.find(last, &format!("{parents}.")))
    }
}
