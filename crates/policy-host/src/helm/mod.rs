//! Translates the values of Consul's Helm chart into the policy's settings.
//!
//! The chart configures a whole Consul: servers, agents, gateways, and the
//! injector whose place the policy takes. [`translate`] says of every key that
//! is written in a values file what became of it. It knows the charts from
//! Consul 1.5 on to today's.

mod chart_defaults;
mod find;
mod keys;
mod notes;
mod parameters;
mod translate;
mod values;

use std::fmt;

use serde_json::Value;
use thiserror::Error;

use crate::documents::SyntaxError;

pub use find::pick;
pub use keys::keys;

/// What a values file means for the policy.
#[derive(Clone, Debug, PartialEq)]
pub struct Translation {
    /// The policy's settings.
    pub settings: Value,
    /// What became of every key, those to act upon first.
    pub outcomes: Vec<Outcome>,
    /// What the values leave open.
    pub notes: Vec<String>,
}

/// What became of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// `connectInject.default`
    pub key: String,
    /// The heading it belongs under.
    pub fate: Fate,
    /// What it is now, or what to do.
    pub text: String,
}

/// The ways in which a key can end, in the order of their importance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// The chart does not know it either.
    Unknown,
    /// Somebody has to do something that settings cannot.
    Elsewhere,
    /// It is in the settings.
    Translated,
    /// It asks for a mode that the policy does not have.
    NotInThisMode,
    /// It is about how Consul or its own injector runs.
    Deployment,
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "unknown keys",
            Self::Elsewhere => "to be done elsewhere",
            Self::Translated => "translated",
            Self::NotInThisMode => "not in this mode",
            Self::Deployment => "about Consul's own deployment",
        })
    }
}

/// The document has no values of the chart.
#[derive(Debug, Error, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum HelmError {
    #[error("a values file is an object, with keys such as `global`, `client` and `connectInject`")]
    NotAnObject,
    #[error(
        "{0} has no values of the chart; give a values file, or an object that has one inside: a Flux HelmRelease, \
         an Argo CD Application or ApplicationSet, a HelmChart, a Kustomization with helmCharts, or a ConfigMap"
    )]
    NoValues(String),
    #[error("{field}: {error}")]
    Text { field: String, error: SyntaxError },
    #[error("{} documents have values of a chart, and it is not clear which are Consul's: {}; give one of them", .0.len(), .0.join(", "))]
    Several(Vec<String>),
}

/// Translates a values file, or the values inside of another tool's object. `ca_cert`
/// is the agents' CA in PEM: a chart's values only name the Secret that has it.
pub fn translate(document: &Value, ca_cert: Option<&str>) -> Result<Translation, HelmError> {
    let found = find::values(document)?;
    let (settings, mut outcomes, mut notes) = translate::translate(&found.values, ca_cert);
    outcomes.sort_by(|a, b| (a.fate, &a.key).cmp(&(b.fate, &b.key)));
    notes.splice(..0, found.notes);
    Ok(Translation { settings, outcomes, notes })
}

impl Translation {
    /// The keys that the charts do not know, and that are lost therefore.
    pub fn unknown(&self) -> impl Iterator<Item = &str> {
        self.outcomes
            .iter()
            .filter(|outcome| outcome.fate == Fate::Unknown)
            .map(|outcome| outcome.key.as_str())
    }
}
