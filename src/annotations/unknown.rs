//! Annotations that have no effect, because of their name or because the pod is not injected.

use super::names::{self, INJECT, PREFIX, Reader, WRITTEN};
use super::{Annotations, full};
use crate::nearest::nearest;
use crate::problem::Findings;
use crate::settings::ModeName;
use crate::warning::Warning;

/// The warnings name this many unknown annotations and count the others.
const SHOWN: usize = 10;

/// Warns of the annotations that pods in this mode do not have.
pub fn warn(annotations: &Annotations<'_>, mode: ModeName, findings: &mut Findings) {
    let mut unknown = annotations.names().filter(|name| !names::is_known(name, mode));
    for name in unknown.by_ref().take(SHOWN) {
        findings.warnings.push(if let Some(warning) = of_another_mode(name, mode) {
            warning
        } else if let Some(meant) = meant(name, mode) {
            misspelt(name, meant)
        } else {
            Warning::new(&format!(
                "{} is not known to this injector and has no effect; remove it",
                full(name)
            ))
        });
    }
    let more = unknown.count();
    if more > 0 {
        findings.warn(format!(
            "{more} more annotations of {PREFIX} are not known to this injector and have no effect; remove them"
        ));
    }
}

/// The warning about an annotation that only another mode or another injector reads.
pub fn of_another_mode(name: &str, mode: ModeName) -> Option<Warning> {
    let whose = match names::reader(name)? {
        Reader::Only(other) if other != mode => format!("mode {other}"),
        Reader::Others => "another version of Consul's injector".to_owned(),
        _ => return None,
    };
    let message = format!("{} belongs to {whose} and has no effect here; remove it", full(name));
    Some(Warning::new(&message))
}

/// The known annotation that was probably meant, as a user would write it.
pub fn meant(name: &str, mode: ModeName) -> Option<&'static str> {
    let known: Vec<&str> = names::known(mode).collect();
    let known = nearest(name, &known)?;
    Some(if known == names::META { "service-meta-KEY" } else { known })
}

/// The warning about an annotation that the policy writes, where somebody else wrote it.
pub fn injectors_own(name: &str, place: &str) -> Warning {
    Warning::new(&format!("{}{place} has no effect; remove it, the injector writes it", full(name)))
}

fn misspelt(name: &str, meant: &str) -> Warning {
    Warning::new(&format!("{} is not known and has no effect; did you mean {meant}?", full(name)))
}

/// The warnings about a pod that has no annotation `connect-inject`, but others that have an
/// effect only with it. Unknown names that other programs may own are left alone.
pub fn without_inject(annotations: &Annotations<'_>, mode: ModeName) -> Vec<Warning> {
    let unknown = annotations.names().filter(|name| names::reader(name).is_none());
    let misspelt = unknown.take(SHOWN).filter_map(|name| Some(misspelt(name, meant(name, mode)?)));
    let mut warnings: Vec<Warning> = misspelt.collect();
    let mut idle = annotations.names().filter(|name| names::is_known(name, mode) && !WRITTEN.contains(name));
    if let Some(first) = idle.next() {
        let (others, them) = match idle.count() {
            0 => (String::new(), "it"),
            1 => (" and 1 more".to_owned(), "them"),
            count => (format!(" and {count} more"), "them"),
        };
        warnings.push(Warning::new(&format!(
            "{}{others}: without effect, since the pod is not injected; add {PREFIX}{INJECT}: \"true\", or remove {them}",
            full(first),
        )));
    }
    warnings
}
