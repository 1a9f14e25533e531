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

/// The name of a field, borrowed from the request unless it has escapes. serde borrows a `Cow`
/// only in a type of its own.
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
        self.all.get(name).map_or(Ok(None), |text| parse(text, || self.path_of(name)))
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
        let list: Vec<Fields> = self.read(name).map_err(|error| self.wrong_item(name).unwrap_or(error))?;
        let objects = list.into_iter().enumerate();
        Ok(objects.map(|(index, object)| Fields { path: self.path_of_item(name, index), ..object }).collect())
    }

    /// The error about the first item of a list that is no object.
    fn wrong_item(&self, name: &str) -> Option<Unreadable> {
        let items: Vec<&RawValue> = self.read(name).ok()?;
        let mut items = items.into_iter().enumerate();
        items.find_map(|(index, text)| parse::<Fields>(text, || self.path_of_item(name, index)).err())
    }

    fn path_of_item(&self, name: &str, index: usize) -> String {
        format!("{}[{index}]", self.path_of(name))
    }

    /// The object at a path of several steps.
    pub fn object_at(&self, path: &str) -> Result<Option<Self>, Unreadable> {
        match path.split_once('.') {
            None => self.object(path),
            Some((step, rest)) => self.object(step)?.map_or(Ok(None), |object| object.object_at(rest)),
        }
    }
}

/// The error lacks serde's position, which would be that in `text`.
fn parse<'a, T: Deserialize<'a>>(text: &'a RawValue, path: impl FnOnce() -> String) -> Result<T, Unreadable> {
    serde_json::from_str(text.get()).map_err(|error| {
        let position = format!(" at line {} column {}", error.line(), error.column());
        Unreadable::new(path(), error.to_string().replace(&position, ""))
    })
}
