//! Workloads are never changed. Their pod templates are reviewed, so that mistakes are reported
//! at `kubectl apply`.

use std::collections::HashSet;

use serde_json::Value;

use super::decision::{Decision, Reviewed, check_kind, subject};
use crate::annotations::{Annotations, full, names, unknown};
use crate::configuration::Configuration;
use crate::json::{Unreadable, read_value};
use crate::k8s::pod::PodMeta;
use crate::problem::{Problem, list, one_line};
use crate::reason::Reason;
use crate::request::Request;
use crate::response::{Answer, Level};
use crate::settings::ModeName;
use crate::text::{Quoted, is_plain};
use crate::warning::Warning;

/// A kind of workload, and the path of its pod template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Workload {
    group: &'static str,
    kind: &'static str,
    template: &'static str,
}

const TEMPLATE: &str = "spec.template";

const WORKLOADS: &[Workload] = &[
    Workload { group: "apps", kind: "Deployment", template: TEMPLATE },
    Workload { group: "apps", kind: "StatefulSet", template: TEMPLATE },
    Workload { group: "apps", kind: "DaemonSet", template: TEMPLATE },
    Workload { group: "apps", kind: "ReplicaSet", template: TEMPLATE },
    Workload { group: "", kind: "ReplicationController", template: TEMPLATE },
    Workload { group: "batch", kind: "Job", template: TEMPLATE },
    Workload { group: "batch", kind: "CronJob", template: "spec.jobTemplate.spec.template" },
];

impl Workload {
    pub fn find(group: &str, kind: &str) -> Option<Self> {
        WORKLOADS.iter().find(|known| known.group == group && known.kind == kind).copied()
    }

    fn template(self, object: &Value) -> Option<&Value> {
        let steps = self.template.split('.');
        steps
            .into_iter()
            .try_fold(object, |place, step| place.get(step))
            .filter(|template| !template.is_null())
    }
}

pub fn review(
    workload: Workload,
    request: &Request<'_>,
    configuration: &Configuration,
) -> anyhow::Result<Answer> {
    let mode = configuration.mode.name();
    let object = request.object()?.value()?;
    let meta: PodMeta = read_value(&object, "object")?;
    check_kind(&meta, workload.kind)?;
    let subject = subject(request, &meta.metadata);
    let own = Annotations::read(&meta.metadata, "")?;
    let Some(template) = Template::of(workload, &object)? else {
        let warnings = misplaced(workload, &own, &Annotations::default(), mode);
        return Ok(Answer::accept(Reason::WorkloadAccepted, &warnings, None));
    };
    let reviewed = template.reviewed(subject.namespace)?;
    let mut warnings = misplaced(workload, &own, &reviewed.annotations, mode);
    match reviewed.decide(reviewed.gate(configuration), template.pod, configuration)? {
        Decision::Skip { warnings: more, .. } | Decision::Inject { warnings: more, .. } => {
            warnings.extend(more);
        }
        Decision::Reject { problems, warnings: more } => {
            warnings.extend(more);
            let old = old_problems(workload, request, subject.namespace, configuration);
            let known: HashSet<_> = old.iter().map(Problem::identity).collect();
            let is_new = |problem: &Problem| !known.contains(&problem.identity());
            if problems.iter().any(is_new) {
                let what = format!(
                    "the pods of this {} would be rejected by the Consul Connect injector",
                    workload.kind
                );
                let log = subject.line(Level::Warning, &format!("rejected: {}", one_line(&problems)));
                let message = list(&what, &problems);
                return Ok(Answer::reject(Reason::WorkloadRejected, 422, message, &warnings, Some(log)));
            }
            // An update that adds no problem is accepted.
            let beginning = format!("the pods of this {} will be rejected", workload.kind);
            warnings.extend(problems.iter().map(|problem| problem.to_warning(&beginning)));
        }
    }
    Ok(Answer::accept(Reason::WorkloadAccepted, &warnings, None))
}

/// The pod template of a workload.
struct Template<'v> {
    meta: PodMeta,
    pod: &'v Value,
    /// Its path in the object, with a dot at the end.
    path: String,
}

impl<'v> Template<'v> {
    fn of(workload: Workload, object: &'v Value) -> Result<Option<Self>, Unreadable> {
        let Some(pod) = workload.template(object) else { return Ok(None) };
        let meta = read_value(pod, workload.template)?;
        Ok(Some(Template { meta, pod, path: format!("{}.", workload.template) }))
    }

    fn reviewed<'a>(&'a self, namespace: &'a str) -> Result<Reviewed<'a>, Unreadable> {
        let metadata = &self.meta.metadata;
        let annotations = Annotations::read(metadata, &self.path)?;
        Ok(Reviewed { metadata, annotations, namespace, path: &self.path })
    }
}

/// The problems that the workload had before this update.
fn old_problems(
    workload: Workload,
    request: &Request<'_>,
    namespace: &str,
    configuration: &Configuration,
) -> Vec<Problem> {
    let problems = || -> anyhow::Result<Vec<Problem>> {
        let Some(old) = request.old_object.as_ref().filter(|_| request.operation == "UPDATE") else {
            return Ok(Vec::new());
        };
        let old = old.value()?;
        let Some(template) = Template::of(workload, &old)? else { return Ok(Vec::new()) };
        let reviewed = template.reviewed(namespace)?;
        match reviewed.decide(reviewed.gate(configuration), template.pod, configuration)? {
            Decision::Reject { problems, .. } => Ok(problems),
            _ => Ok(Vec::new()),
        }
    };
    // If the old object cannot be read, every problem is new.
    problems().unwrap_or_default()
}

/// The policy suggests names for at most this many unknown annotations: more would take longer
/// than the policy server's timeout.
const SUGGESTIONS_LIMIT: usize = 100;

/// Warns of a common mistake: the annotation is on the workload itself, not on its pod template.
fn misplaced(
    workload: Workload,
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
        template.get(intended).is_none().then(|| misplaced_warning(workload, name, intended, value))
    });
    warnings.collect()
}

/// Says where the annotation belongs, as YAML that can be copied if it fits into a warning.
fn misplaced_warning(workload: Workload, name: &str, intended: &str, value: &str) -> Warning {
    let Workload { kind, template, .. } = workload;
    if names::WRITTEN.contains(&name) {
        return unknown::injectors_own(name, &format!(" on the {kind}"));
    }
    let steps: Vec<&str> = template.split('.').collect();
    let yaml = format!(
        "{}: {{metadata: {{annotations: {{{}: {}}}}}{}",
        steps.join(": {"),
        Quoted(&format!("{}{intended}", names::PREFIX), usize::MAX),
        Quoted(value, usize::MAX),
        "}".repeat(steps.len()),
    );
    let long =
        format!("an annotation on the {kind} itself has no effect; write it in the pod template: {yaml}");
    // Other characters have escapes that YAML does not know.
    Warning::new(&if long.len() <= Warning::LIMIT && is_plain(value) {
        long
    } else {
        let name = full(name);
        format!("{name} on the {kind} itself has no effect; move it to {template}.metadata.annotations")
    })
}
