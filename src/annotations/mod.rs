//! The injector's annotations of a pod: their names and values, and the warnings about unknown
//! ones.

pub mod envoy_args;
pub mod metadata;
pub mod names;
pub mod reader;
pub mod resources;
pub mod service;
pub mod tags;
pub mod unknown;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::json::{Fields, Unreadable};
use crate::k8s::pod::Metadata;
use crate::settings::ModeName;
use crate::text::{Quoted, Shortened};
use names::PREFIX;

/// The injector's annotations of one pod, by their names without the prefix.
#[derive(Debug, Default)]
pub struct Annotations<'a>(BTreeMap<&'a str, &'a str>);

impl<'a> Annotations<'a> {
    /// `object` is the one that has the metadata.
    pub fn read(metadata: &'a Metadata, object: &Fields<'_>) -> Result<Self, Unreadable> {
        let own =
            metadata.annotations.iter().filter_map(|(key, value)| Some((key.strip_prefix(PREFIX)?, value)));
        let text = |(name, value): (&'a str, &'a Value)| match value {
            Value::String(text) => Ok((name, text.as_str())),
            Value::Null => Ok((name, "")),
            other => {
                let why = format!(
                    "invalid value {}: must be a string, in quotes",
                    Shortened(&other.to_string(), 100)
                );
                Err(Unreadable::new(object.path_of(&format!("metadata.annotations.{PREFIX}{name}")), why))
            }
        };
        own.map(text).collect()
    }

    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.0.get(name).copied()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0.iter().map(|(name, value)| (*name, *value))
    }

    pub fn names(&self) -> impl Iterator<Item = &'a str> {
        self.0.keys().copied()
    }

    /// Whether the pod has an annotation of this policy. Other names with the prefix may belong
    /// to other programs.
    pub fn has_known(&self, mode: ModeName) -> bool {
        self.names().any(|name| names::is_known(name, mode))
    }
}

impl<'a> FromIterator<(&'a str, &'a str)> for Annotations<'a> {
    fn from_iter<I: IntoIterator<Item = (&'a str, &'a str)>>(entries: I) -> Self {
        Annotations(entries.into_iter().collect())
    }
}

/// The full name, for problems and warnings.
pub fn full(name: &str) -> String {
    if name.len() <= 64 && name.bytes().all(|byte| byte.is_ascii_graphic()) {
        format!("annotation {PREFIX}{name}")
    } else {
        format!("annotation {}", Quoted(&format!("{PREFIX}{name}"), 100))
    }
}
