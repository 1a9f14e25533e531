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

/// The name of a field: a part of the request, or a string of its own if it is escaped there.
/// A map's keys are borrowed only in this form.
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
pub struct Fields<'a> {
    #[serde(borrow)]
    pub all: BTreeMap<Key<'a>, &'a RawValue>,
    /// The object's path in the request's object, whose own path is empty.
    #[serde(skip)]
    pub path: String,
}

impl<'a> Fields<'a> {
    /// The path of a field, for errors.
    pub fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// Reads one field, unless it is absent or null.
    pub fn find<T: Deserialize<'a>>(&self, name: &str) -> Result<Option<T>, Unreadable> {
        let Some(text) = self.all.get(name) else { return Ok(None) };
        serde_json::from_str(text.get()).map_err(|error| Unreadable::new(self.path_of(name), why(&error)))
    }

    /// Reads one field. A field that is absent or null has the default value.
    pub fn read<T: Default + Deserialize<'a>>(&self, name: &str) -> Result<T, Unreadable> {
        self.find(name).map(Option::unwrap_or_default)
    }

    /// The object in a field.
    pub fn object(&self, name: &str) -> Result<Option<Self>, Unreadable> {
        let object: Option<Fields> = self.find(name)?;
        Ok(object.map(|object| Fields { path: self.path_of(name), ..object }))
    }

    /// The objects of the list in a field.
    pub fn objects(&self, name: &str) -> Result<Vec<Self>, Unreadable> {
        let list: Vec<Fields> = self.read(name)?;
        let path = self.path_of(name);
        let objects = list.into_iter().enumerate();
        Ok(objects.map(|(index, object)| Fields { path: format!("{path}[{index}]"), ..object }).collect())
    }

    /// The object at a path of several steps.
    pub fn object_at(&self, path: &str) -> Result<Option<Self>, Unreadable> {
        match path.split_once('.') {
            None => self.object(path),
            Some((step, rest)) => self.object(step)?.map_or(Ok(None), |object| object.object_at(rest)),
        }
    }
}

/// The error without its position, which would be that in the field.
fn why(error: &serde_json::Error) -> String {
    let position = format!(" at line {} column {}", error.line(), error.column());
    error.to_string().replace(&position, "")
}
