//! Annotations that are not on the pod template: the common mistake of Consul's documentation.

use super::kind::Workload;
use crate::annotations::{Annotations, full, names, unknown};
use crate::json::{Fields, Unreadable};
use crate::k8s::pod::Metadata;
use crate::settings::ModeName;
use crate::text::{Quoted, is_plain};
use crate::warning::Warning;

/// The policy suggests names for at most this many unknown annotations: more would take longer
/// than the policy server's timeout.
const SUGGESTIONS_LIMIT: usize = 100;

/// Warns of the annotations `own` on the workload itself, and of those on the job template of a
/// `CronJob`.
pub fn warnings(
    workload: Workload,
    object: &Fields<'_>,
    own: &Annotations<'_>,
    template: &Annotations<'_>,
    mode: ModeName,
) -> Result<Vec<Warning>, Unreadable> {
    let mut warnings = misplaced(workload, &format!("the {}", workload.kind), own, template, mode);
    if let Some(path) = workload.job_template()
        && let Some(jobs) = object.object_at(path)?
    {
        let metadata: Metadata = jobs.read("metadata")?;
        let own = Annotations::read(&metadata, &jobs)?;
        warnings.extend(misplaced(workload, path, &own, template, mode));
    }
    Ok(warnings)
}

/// `place` has the annotations `own`, which have no effect there.
fn misplaced(
    workload: Workload,
    place: &str,
    own: &Annotations<'_>,
    template: &Annotations<'_>,
    mode: ModeName,
) -> Vec<Warning> {
    let missing = own.iter().filter(|(name, _)| template.get(name).is_none());
    let mut unknown = 0;
    let warnings = missing.filter_map(|(name, value)| {
        if let Some(warning) = unknown::of_another_mode(name, mode) {
            return Some(warning);
        }
        // The correct name is suggested. Other unknown names may belong to other programs.
        let intended = if names::is_known(name, mode) {
            name
        } else {
            unknown += 1;
            (unknown <= SUGGESTIONS_LIMIT).then(|| unknown::meant(name, mode)).flatten()?
        };
        template.get(intended).is_none().then(|| misplaced_warning(workload, place, name, intended, value))
    });
    warnings.collect()
}

/// Says where the annotation belongs, as YAML that can be copied if it fits into a warning.
fn misplaced_warning(workload: Workload, place: &str, name: &str, intended: &str, value: &str) -> Warning {
    let template = workload.template;
    if names::WRITTEN.contains(&name) {
        return unknown::injectors_own(name, &format!(" on {place}"));
    }
    let steps: Vec<&str> = template.split('.').collect();
    let yaml = format!(
        "{}: {{metadata: {{annotations: {{{}: {}}}}}{}",
        steps.join(": {"),
        Quoted(&format!("{}{intended}", names::PREFIX), usize::MAX),
        Quoted(value, usize::MAX),
        "}".repeat(steps.len()),
    );
    let long = format!("an annotation on {place} itself has no effect; write it in the pod template: {yaml}");
    // Other characters have escapes that YAML does not know.
    Warning::new(&if long.len() <= Warning::LIMIT && is_plain(value) {
        long
    } else {
        let name = full(name);
        format!("{name} on {place} itself has no effect; move it to {template}.metadata.annotations")
    })
}
