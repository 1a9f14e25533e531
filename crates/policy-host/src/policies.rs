//! The policy server's `policies.yml`: which policies it serves, and how.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::{Map, Value};
use thiserror::Error;

use crate::documents::{self, Dialect, SyntaxError};

/// Whether a policy's rejections and mutations take effect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// They take effect.
    #[default]
    Protect,
    /// They are only logged: every request is accepted unchanged.
    Monitor,
}

/// One entry of `policies.yml`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyEntry {
    /// The module's path or `file://` URL.
    pub module: String,
    #[serde(default)]
    pub policy_mode: Mode,
    /// Whether the policy may mutate. If not, a mutation is a rejection.
    #[serde(default)]
    pub allowed_to_mutate: Option<bool>,
    /// The settings, sent to the policy with each request.
    #[serde(default)]
    pub settings: Option<Map<String, Value>>,
    /// The administrator's message for every rejection, instead of the policy's.
    #[serde(default)]
    pub message: Option<String>,
    /// The time limit in seconds, if not the default.
    #[serde(default)]
    pub timeout_eval_seconds: Option<u64>,
}

impl PolicyEntry {
    /// The settings in the form that the policy gets.
    pub fn settings(&self) -> Value {
        Value::Object(self.settings.clone().unwrap_or_default())
    }

    /// Why the policy server would not accept the module's location: it requires a URL.
    pub fn place_note(&self) -> Option<String> {
        let path = match self.module.split_once("://") {
            None => &*self.module,
            // The first part would be a host name.
            Some(("file", path)) if !path.starts_with('/') && !path.starts_with("localhost/") => path,
            Some(_) => return None,
        };
        let path = Path::new(path);
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        Some(format!(
            "a policy server accepts only URLs as modules: write `module: file://{}`",
            path.display()
        ))
    }

    /// The time limit, if not the default.
    pub fn timeout(&self) -> Option<Duration> {
        self.timeout_eval_seconds.map(Duration::from_secs)
    }
}

/// An invalid `policies.yml`.
#[derive(Debug, Error)]
pub enum PoliciesError {
    #[error(transparent)]
    Syntax(#[from] SyntaxError),
    #[error("it must map the name of each policy to its module and settings")]
    NotAMap,
    #[error("it contains no policy")]
    Empty,
    #[error("policy `{0}`: policy groups are not supported")]
    Group(String),
    #[error("the name of a policy must not be empty: it is the last part of the URL")]
    NoName,
    #[error("policy `{0}`: the name must not contain `/`")]
    Slash(String),
    #[error("policy `{0}`: timeoutEvalSeconds must be at least 1; remove it to use the server's limit")]
    NoTime(String),
    #[error("policy `{policy}`: {source}")]
    Entry { policy: String, source: serde_json::Error },
}

/// Reads a `policies.yml`.
pub fn parse(text: &str) -> Result<BTreeMap<String, PolicyEntry>, PoliciesError> {
    let entries = match documents::parse_one_as(Dialect::Core, text)? {
        Value::Object(entries) if !entries.is_empty() => entries,
        Value::Object(_) | Value::Null => return Err(PoliciesError::Empty),
        _ => return Err(PoliciesError::NotAMap),
    };
    entries
        .into_iter()
        .map(|(policy, entry)| {
            if policy.is_empty() {
                return Err(PoliciesError::NoName);
            }
            if policy.contains('/') {
                return Err(PoliciesError::Slash(policy));
            }
            let entry = self::entry(&policy, entry)?;
            Ok((policy, entry))
        })
        .collect()
}

pub fn entry(policy: &str, entry: Value) -> Result<PolicyEntry, PoliciesError> {
    let policy = policy.to_owned();
    if entry.get("policies").is_some() {
        return Err(PoliciesError::Group(policy));
    }
    match serde_json::from_value(entry) {
        Ok(PolicyEntry { timeout_eval_seconds: Some(0), .. }) => Err(PoliciesError::NoTime(policy)),
        Ok(entry) => Ok(entry),
        Err(source) => Err(PoliciesError::Entry { policy, source }),
    }
}

/// The module is not a local file.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("`{0}`: only a path or a file:// URL can be loaded; pull the policy first")]
pub struct NotLocal(pub String);

/// The file behind a path or a `file://` URL.
pub fn local_path(location: &str) -> Result<PathBuf, NotLocal> {
    match location.split_once("://") {
        None => Ok(Path::new(location).to_owned()),
        Some(("file", path)) => {
            let path = path.strip_prefix("localhost").filter(|rest| rest.starts_with('/')).unwrap_or(path);
            Ok(PathBuf::from(percent_decode_str(path).decode_utf8_lossy().into_owned()))
        }
        Some(_) => Err(NotLocal(location.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_named() {
        let message = |text| parse(text).unwrap_err().to_string();
        assert!(message("a: {policies: {}}").contains("policy groups"));
        assert!(message("- a").contains("must map"));
        assert!(message("a: {module: x, timeoutEvalSeconds: '2'}").contains("expected u64"));
        // In YAML 1.2, `on` is a string.
        let on = parse("a: {module: x, settings: {b: on}}").unwrap();
        assert_eq!(on["a"].settings(), serde_json::json!({ "b": "on" }));
    }

    #[test]
    fn a_module_is_a_path_or_a_file_url() {
        let path = |text| local_path(text).unwrap();
        assert_eq!(path("a b.wasm"), Path::new("a b.wasm"));
        assert_eq!(path("file:///a%20b/100%.wasm"), Path::new("/a b/100%.wasm"));
        assert_eq!(path("file://localhost/p.wasm"), Path::new("/p.wasm"));
        assert_eq!(path("file://p.wasm"), Path::new("p.wasm"));
        assert!(local_path("registry://example.com/p:1").is_err());
    }
}
