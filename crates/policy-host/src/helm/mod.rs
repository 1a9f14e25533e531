//! Translates the values of Consul's Helm chart into the policy's settings.
//!
//! The chart configures all of Consul: servers, agents, gateways, and the injector that the
//! policy replaces. [`translate`] reports for every key of a values file how it was
//! translated. It knows the charts since Consul 1.5, and the policy's mode for each.

mod agent;
mod chart_defaults;
mod dataplane;
mod find;
mod keys;
mod mode;
mod parameters;
mod release;
mod shared;
mod translate;
mod values;

use std::fmt;

use serde_json::{Value, json};
use thiserror::Error;

use crate::documents::SyntaxError;
use release::Release;
use translate::Translator;
use values::Values;

pub use find::pick;
pub use keys::keys;
pub use mode::Mode;

/// Information that the values do not contain.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options<'a> {
    /// The CA of Consul's certificates in PEM: the values only contain the name of its Secret.
    pub ca_cert: Option<&'a str>,
    /// The policy's mode, instead of the one determined from the values.
    pub mode: Option<Mode>,
    pub release: Option<&'a str>,
    pub namespace: Option<&'a str>,
}

/// The translation of a values file.
#[derive(Clone, Debug, PartialEq)]
pub struct Translation {
    pub mode: Mode,
    pub settings: Value,
    /// What happened to each key; those that need action first.
    pub outcomes: Vec<Outcome>,
    /// Notes about missing values.
    pub notes: Vec<String>,
}

/// What happened to one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// `connectInject.default`
    pub key: String,
    /// Its heading in the report.
    pub fate: Fate,
    /// The setting that it became, or what to do.
    pub text: String,
}

/// What can happen to a key, the most important first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// No chart has the key.
    Unknown,
    /// It requires an action outside of the settings.
    Elsewhere,
    /// It is in the settings.
    Translated,
    /// It enables a feature that the policy's mode does not have.
    NotInThisMode,
    /// It configures Consul or the chart's own injector.
    Deployment,
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "unknown keys",
            Self::Elsewhere => "to do elsewhere",
            Self::Translated => "translated",
            Self::NotInThisMode => "not in this mode",
            Self::Deployment => "stays with Consul's deployment",
        })
    }
}

/// The document has no values of the chart.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum HelmError {
    #[error("a values file must be an object, with keys such as `global`, `client` and `connectInject`")]
    NotAnObject,
    #[error(
        "{0} has no values of the chart; pass a values file, or an object that contains values: a Flux HelmRelease, \
         an Argo CD Application or ApplicationSet, a HelmChart, a Kustomization with helmCharts, or a ConfigMap"
    )]
    NoValues(String),
    #[error("{field}: {error}")]
    Text { field: String, error: SyntaxError },
    #[error("found values of a chart in {} places, and it is not clear which are Consul's: {}; pass one of them", .0.len(), .0.join(", "))]
    Several(Vec<String>),
}

/// Translates a values file, or the values inside of another tool's object.
pub fn translate(document: &Value, options: &Options<'_>) -> Result<Translation, HelmError> {
    let found = find::values(document)?;
    let values = Values(&found.values);
    let mut notes = found.notes;
    let mode = options.mode.unwrap_or_else(|| {
        let (mode, why) = mode::choose(values, found.chart_version.as_deref());
        let other = if mode == Mode::Agent { Mode::Dataplane } else { Mode::Agent };
        let version = match found.chart_version {
            None => "`helm list -A` shows the chart's version, and ",
            Some(_) => "",
        };
        notes.push(format!(
            "the mode is {mode}, because {why}; {version}--mode {other} selects the other one"
        ));
        mode
    });
    let release = Release {
        name: options.release.or(found.release.as_deref()).unwrap_or("consul").to_owned(),
        namespace: options.namespace.or(found.namespace.as_deref()).unwrap_or("consul").to_owned(),
        is_known: (options.release.is_some() || found.release.is_some())
            && (options.namespace.is_some() || found.namespace.is_some()),
    };
    let mut translator =
        Translator { values, mode, release: &release, settings: json!({}), outcomes: Vec::new() };
    translator.block("", &found.values);
    notes.extend(match mode {
        Mode::Agent => agent::conclude(&mut translator, options.ca_cert),
        Mode::Dataplane => dataplane::conclude(&mut translator, options.ca_cert),
    });
    let Translator { settings, mut outcomes, .. } = translator;
    outcomes.sort_by(|a, b| (a.fate, &a.key).cmp(&(b.fate, &b.key)));
    Ok(Translation { mode, settings, outcomes, notes })
}

impl Translation {
    /// The keys that no chart has. They are omitted.
    pub fn unknown(&self) -> impl Iterator<Item = &str> {
        self.outcomes
            .iter()
            .filter(|outcome| outcome.fate == Fate::Unknown)
            .map(|outcome| outcome.key.as_str())
    }
}
