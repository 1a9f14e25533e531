//! The settings that decide who is looked at, and in which mode.

use super::mode_name::ModeName;
use super::reader::SettingsReader;
use crate::k8s::names::is_dns_label;
use crate::problem::PROBLEMS_SHOWN;

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

/// Reads the setting `mode`; from here on the reader knows the keys of that mode.
pub fn mode(top: &mut SettingsReader<'_, '_>) -> ModeName {
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
