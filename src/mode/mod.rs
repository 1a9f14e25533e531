//! The modes: each reads its settings and a pod, and plans the additions to the pod.

pub mod agent;
pub mod candidate;
pub mod dataplane;
pub mod plan;
pub mod shared;

use crate::problem::Findings;
use crate::settings::ModeName;
use crate::settings::reader::SettingsReader;
use candidate::Candidate;
use plan::Plan;

/// A mode with its settings.
#[derive(Debug)]
pub enum Mode {
    Agent(Box<agent::Settings>),
    Dataplane(Box<dataplane::Settings>),
}

impl Mode {
    pub fn read(name: ModeName, top: &mut SettingsReader<'_, '_>) -> Self {
        match name {
            ModeName::Agent => Mode::Agent(Box::new(agent::Settings::read(top))),
            ModeName::Dataplane => Mode::Dataplane(Box::new(dataplane::Settings::read(top))),
        }
    }

    pub fn name(&self) -> ModeName {
        match self {
            Mode::Agent(_) => ModeName::Agent,
            Mode::Dataplane(_) => ModeName::Dataplane,
        }
    }

    /// What the administrator should know about valid settings.
    pub fn settings_warning(&self) -> Option<&'static str> {
        match self {
            Mode::Agent(_) => None,
            Mode::Dataplane(settings) => settings.dns.warning(),
        }
    }

    /// Plans the additions to the pod. `None` if something essential is missing or invalid; the
    /// findings say why.
    pub fn plan(&self, pod: &Candidate<'_>, findings: &mut Findings) -> anyhow::Result<Option<Plan>> {
        match self {
            Mode::Agent(settings) => agent::plan(pod, settings, findings),
            Mode::Dataplane(settings) => dataplane::plan(pod, settings, findings),
        }
    }
}

/// Whether a container of this name is one that the policy injects, in any mode.
pub fn is_injected_container(name: &str) -> bool {
    agent::CONTAINERS.contains(&name) || dataplane::is_injected_container(name)
}
