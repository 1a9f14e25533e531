//! Annotations without effect: unknown ones, and those of a pod that is not injected.

use super::names::{self, INJECT, NAMESPACE, OLD_TAGS, PREFIX, ReadBy, WRITTEN};
use super::{Annotations, full};
use crate::nearest::nearest;
use crate::problem::Findings;
use crate::settings::ModeName;
use crate::warning::Warning;

/// The warnings name this many unknown annotations and count the others.
const SHOWN: usize = 10;

/// Warns of annotations that this mode does not support, and of `consul-namespace`, which only the
/// policy sets.
pub fn warn(annotations: &Annotations<'_>, mode: ModeName, findings: &mut Findings) {
    let mut unknown = annotations.names().filter(|name| !names::is_known(name, mode));
    for name in unknown.by_ref().take(SHOWN) {
        findings.warnings.push(if let Some(warning) = of_another_mode(name, mode) {
            warning
        } else if let Some(meant) = meant(name, mode) {
            misspelt(name, meant)
        } else {
            Warning::new(&format!("{} is unknown and has no effect; remove it", full(name)))
        });
    }
    let more = unknown.count();
    if more > 0 {
        findings.warn(format!(
            "{more} more annotations with the prefix {PREFIX} are unknown and have no effect; remove them"
        ));
    }
    if annotations.get(NAMESPACE).is_some() {
        findings.warnings.push(injectors_own(NAMESPACE, ""));
    }
}

/// The warning about an annotation that only another mode or another injector reads.
pub fn of_another_mode(name: &str, mode: ModeName) -> Option<Warning> {
    let why = match names::read_by(name)? {
        ReadBy::Only(other) if other != mode => {
            format!("is not supported in mode {mode}, only in mode {other}, and has no effect")
        }
        ReadBy::Others => "is for other versions of Consul's injector and has no effect".to_owned(),
        _ => return None,
    };
    let remedy = if name == OLD_TAGS { "use service-tags" } else { "remove it" };
    Some(Warning::new(&format!("{} {why}; {remedy}", full(name))))
}

/// The known annotation that was probably meant, as a user would write it.
pub fn meant(name: &str, mode: ModeName) -> Option<&'static str> {
    let known: Vec<&str> = names::known(mode).collect();
    let known = nearest(name, &known)?;
    Some(if known == names::META { "service-meta-KEY" } else { known })
}

/// The warning about an annotation that only the policy may set.
pub fn injectors_own(name: &str, place: &str) -> Warning {
    Warning::new(&format!("{}{place} has no effect, because the injector sets it; remove it", full(name)))
}

fn misspelt(name: &str, meant: &str) -> Warning {
    Warning::new(&format!("{} is unknown and has no effect; did you mean {meant}?", full(name)))
}

/// The warnings about a pod without the annotation `connect-inject`, but with others, which then
/// have no effect. Unknown names may belong to other programs and cause no warning.
pub fn without_inject(annotations: &Annotations<'_>, mode: ModeName) -> Vec<Warning> {
    let unknown = annotations.names().filter(|name| names::read_by(name).is_none());
    let misspelt = unknown.take(SHOWN).filter_map(|name| Some(misspelt(name, meant(name, mode)?)));
    let mut warnings: Vec<Warning> = misspelt.collect();
    let mut idle = annotations.names().filter(|name| names::is_known(name, mode) && !WRITTEN.contains(name));
    if let Some(first) = idle.next() {
        let (others_have, them) = match idle.count() {
            0 => (" has".to_owned(), "it"),
            count => (format!(" and {count} more have"), "them"),
        };
        warnings.push(Warning::new(&format!(
            "{}{others_have} no effect, because the pod is not injected; add {PREFIX}{INJECT}: \"true\", or remove {them}",
            full(first),
        )));
    }
    warnings
}
