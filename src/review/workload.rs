//! Workloads are never changed. Their pod templates are reviewed, so that a mistake shows
//! where it was made: at `kubectl apply`.

use serde_json::Value;

use super::{Decision, check_kind, decide, subject};
use crate::annotations::{Annotations, full, names, unknown};
use crate::configuration::Configuration;
use crate::gate;
use crate::k8s::pod::PodMeta;
use crate::problem::{Problem, list, one_line};
use crate::reason::Reason;
use crate::json::{read_text, read_value};
use crate::request::Request;
use crate::response::{Answer, Level};
use crate::settings::ModeName;
use crate::text::{Quoted, is_plain};
use crate::warning::Warning;

/// A kind of workload, and where its pod template is.
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
        steps.into_iter().try_fold(object, |place, step| place.get(step)).filter(|template| !template.is_null())
    }
}

pub fn review(
    workload: Workload,
    request: &Request<'_>,
    configuration: &Configuration,
) -> anyhow::Result<Answer> {
    let mode = configuration.mode.name();
    let object: Value = read_text(request.object()?.get(), "")?;
    let meta: PodMeta = read_value(&object, "")?;
    check_kind(&meta, workload.kind)?;
    let subject = subject(request, &meta.metadata);
    let template = workload.template(&object);
    let template_meta: PodMeta =
        template.map_or_else(|| Ok(PodMeta::default()), |template| read_value(template, workload.template))?;
    let own = Annotations::of(&meta.metadata);
    let mut warnings = misplaced(workload, &own, &Annotations::of(&template_meta.metadata), mode);
    let Some(template) = template else {
        return Ok(Answer::accept(Reason::WorkloadAccepted, &warnings, None));
    };
    match decide_template(workload, &template_meta, template, subject.namespace, configuration)? {
        Decision::Skip { warnings: more, .. } | Decision::Inject { warnings: more, .. } => warnings.extend(more),
        Decision::Reject { problems, warnings: more } => {
            warnings.extend(more);
            let old = old_problems(workload, request, subject.namespace, configuration);
            let is_new = |problem: &Problem| !old.iter().any(|old| old.is_same(problem));
            if problems.iter().any(is_new) {
                let what = format!(
                    "the pods of this {} would be rejected by the Consul Connect injector",
                    workload.kind
                );
                let log = subject.line(Level::Warning, &format!("rejected: {}", one_line(&problems)));
                let message = list(&what, &problems);
                return Ok(Answer::reject(Reason::WorkloadRejected, 422, message, &warnings, Some(log)));
            }
            // An update of something else goes through.
            let beginning = format!("the pods of this {} will be rejected", workload.kind);
            warnings.extend(problems.iter().map(|problem| problem.to_warning(&beginning)));
        }
    }
    Ok(Answer::accept(Reason::WorkloadAccepted, &warnings, None))
}

fn decide_template(
    workload: Workload,
    meta: &PodMeta,
    template: &Value,
    namespace: &str,
    configuration: &Configuration,
) -> anyhow::Result<Decision> {
    let gate = gate::check(&meta.metadata, namespace, &configuration.common, configuration.mode.name());
    let path = format!("{}.", workload.template);
    decide(gate, &meta.metadata, template, namespace, &path, configuration)
}

/// The problems that the workload had before this update.
fn old_problems(
    workload: Workload,
    request: &Request<'_>,
    namespace: &str,
    configuration: &Configuration,
) -> Vec<Problem> {
    let problems = || {
        let old = request.old_object.filter(|_| request.operation == "UPDATE")?;
        let old: Value = read_text(old.get(), "").ok()?;
        let template = workload.template(&old)?;
        let meta: PodMeta = read_value(template, workload.template).ok()?;
        match decide_template(workload, &meta, template, namespace, configuration).ok()? {
            Decision::Reject { problems, .. } => Some(problems),
            _ => None,
        }
    };
    problems().unwrap_or_default()
}

/// The documentation's "common mistake": the annotation is on the workload itself.
fn misplaced(
    workload: Workload,
    own: &Annotations<'_>,
    template: &Annotations<'_>,
    mode: ModeName,
) -> Vec<Warning> {
    let missing = own.iter().filter(|(name, _)| template.get(name).is_none());
    let warnings = missing.filter_map(|(name, value)| {
        if let Some(warning) = unknown::of_another_mode(name, mode) {
            return Some(warning);
        }
        // A typo is not to be copied; any other name may be another program's.
        let intended = if names::is_known(name, mode) { name } else { unknown::meant(name, mode)? };
        template.get(intended).is_none().then(|| misplaced_warning(workload, name, intended, value))
    });
    warnings.collect()
}

/// Where an annotation of the workload itself belongs, ready to be copied if there is room.
fn misplaced_warning(workload: Workload, name: &str, intended: &str, value: &str) -> Warning {
    let Workload { kind, template, .. } = workload;
    if unknown::WRITTEN.contains(&name) {
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
        format!("an annotation of the {kind} itself has no effect, write it on the pod template: {yaml}");
    // The escapes of other characters are not YAML's.
    Warning::new(&if long.len() <= Warning::LIMIT && is_plain(value) {
        long
    } else {
        let name = full(name);
        format!("{name} of the {kind} itself has no effect, move it to {template}.metadata.annotations")
    })
}
