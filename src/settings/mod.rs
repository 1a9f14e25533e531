//! What the administrator configures.
//!
//! The names are those of the `connectInject` block of Consul's Helm chart, so
//! that a values file can be copied. Everything is parsed here, once: what the
//! rest of the policy sees cannot be wrong.

pub mod blocks;
mod certificates;
pub mod image;
mod keys;
pub mod reader;
pub mod resources;

use std::fmt;

use crate::k8s::names::is_dns_label;
use crate::problem::PROBLEMS_SHOWN;
use reader::SettingsReader;

/// How a pod gets into the mesh.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ModeName {
    /// A client agent on every node, with which the pod registers itself.
    #[default]
    Agent,
    /// No client agents: the chart's controllers register the pod.
    Dataplane,
}

impl ModeName {
    /// Reads the setting `mode`; from here on the reader knows the keys of that mode.
    pub fn read(top: &mut SettingsReader<'_, '_>) -> Self {
        let key = "mode";
        let remedy = "write agent or dataplane";
        let written = top.string_or(key, remedy).unwrap_or("agent");
        let mode = match written {
            "agent" => ModeName::Agent,
            "dataplane" => ModeName::Dataplane,
            _ => {
                top.problem(key, written, "is not a mode", remedy);
                ModeName::default()
            }
        };
        top.set_mode(mode);
        mode
    }
}

impl fmt::Display for ModeName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            ModeName::Agent => "agent",
            ModeName::Dataplane => "dataplane",
        })
    }
}

/// What decides whether a pod is looked at.
#[derive(Debug)]
pub struct Common {
    pub enabled: bool,
    pub default_inject: bool,
    pub allow_namespaces: Vec<String>,
    pub deny_namespaces: Vec<String>,
}

impl Common {
    pub fn read(top: &mut SettingsReader<'_, '_>) -> Self {
        Common {
            enabled: top.bool("enabled", true),
            default_inject: top.bool("default", false),
            allow_namespaces: namespaces(top, "k8sAllowNamespaces", true)
                .unwrap_or_else(|| vec!["*".to_owned()]),
            deny_namespaces: namespaces(top, "k8sDenyNamespaces", false).unwrap_or_default(),
        }
    }
}

fn namespaces(top: &mut SettingsReader<'_, '_>, key: &'static str, allow: bool) -> Option<Vec<String>> {
    let names = top.strings(key, "[\"shop\", \"billing\"]")?;
    // Among the denied, `*` denies nothing, as in the original injector.
    let wrong = names.iter().filter(|name| *name != "*" && !is_dns_label(name));
    for name in wrong.take(PROBLEMS_SHOWN + 1) {
        let remedy = match (allow, name.contains('*')) {
            (true, true) => "write whole names, or * alone for all namespaces",
            (true, false) => "write lower-case letters, digits and '-', at most 63, or * for all namespaces",
            (false, true) => "write whole names, or set enabled to false, which leaves all pods as they are",
            (false, false) => "write lower-case letters, digits and '-', at most 63",
        };
        top.problem(key, name, "is not the name of a Kubernetes namespace", remedy);
    }
    Some(names)
}
