//! Dataplane mode: `consul-dataplane` beside the app, registered by the chart's controllers.

mod settings;

pub use settings::Settings;

use super::candidate::Candidate;
use super::plan::Plan;
use crate::problem::{Findings, Problem};

/// The names of the injected containers.
pub const CONTAINERS: &[&str] = &["consul-connect-inject-init", "consul-dataplane"];

pub fn plan(_pod: &Candidate<'_>, _settings: &Settings, findings: &mut Findings) -> Option<Plan> {
    findings.problem(Problem::new("setting mode", "is not ready", "write agent").value("dataplane"));
    None
}
