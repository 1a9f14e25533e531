//! The settings that decide which pods are candidates, and the mode.

use super::mode_name::ModeName;
use super::reader::SettingsReader;
use crate::k8s::names::is_dns_label;
use crate::nearest::nearest;
use crate::problem::{Flaw, PROBLEMS_SHOWN};

/// Decides which pods are candidates for injection.
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
    // In k8sDenyNamespaces, `*` denies nothing, as in the original injector.
    let wrong = names.iter().filter(|name| *name != "*" && !is_dns_label(name));
    for name in wrong.take(PROBLEMS_SHOWN + 1) {
        let remedy = match (allow, name.contains('*')) {
            (true, true) => "write the whole name, or * alone for all namespaces",
            (true, false) => "write lower-case letters, digits and '-', at most 63, or * for all namespaces",
            (false, true) => "write the whole name, or set enabled: false to inject no pod",
            (false, false) => "write lower-case letters, digits and '-', at most 63",
        };
        top.problem(key, name, Flaw::new("must be the name of a Kubernetes namespace", remedy));
    }
    Some(names)
}

/// Reads the setting `mode` and makes its keys known to the reader. For a misspelled mode, those
/// are the keys of the mode that is meant.
pub fn mode(top: &mut SettingsReader<'_, '_>) -> ModeName {
    let key = "mode";
    let rule = "must be agent or dataplane";
    let mode = top.string_with_rule(key, rule).map_or_else(ModeName::default, |written| {
        let named = |name: &str| ModeName::ALL.into_iter().find(|mode| mode.as_str() == name);
        named(written).unwrap_or_else(|| {
            top.problem(key, written, rule);
            let meant = nearest(written, &ModeName::ALL.map(ModeName::as_str));
            meant.and_then(named).unwrap_or_default()
        })
    });
    top.set_mode(mode);
    mode
}
