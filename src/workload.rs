//! Workloads are never changed. Their pod templates are looked at, so that a
//! mistake shows where it was made: at `kubectl apply`.

use std::cmp::Ordering;

use json_text::{Unreadable, Value, order};

use crate::admission::{Answer, Level, Request, accept, heading, of_kind, one_line, reject, subject};
use crate::annotations::{PREFIX, full, injectors_own, is_known, meant, name, of_another_mode};
use crate::decision::{Decision, Failure, Origin, decide};
use crate::pod::Head;
use crate::problem::{Problem, Quoted, Warning, is_plain, list};
use crate::reason;
use crate::settings::Configuration;

/// A kind of workload, and where its pod template stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Workload {
    group: &'static str,
    kind: &'static str,
    /// The members that lead to the template.
    steps: &'static [&'static str],
    /// The same as a prefix of the template's own paths.
    path: &'static str,
}

const WORKLOADS: &[Workload] = &[
    with_template("apps", "Deployment"),
    with_template("apps", "StatefulSet"),
    with_template("apps", "DaemonSet"),
    with_template("apps", "ReplicaSet"),
    with_template("", "ReplicationController"),
    with_template("batch", "Job"),
    Workload {
        group: "batch",
        kind: "CronJob",
        steps: &["spec", "jobTemplate", "spec", "template"],
        path: "spec.jobTemplate.spec.template.",
    },
];

const fn with_template(group: &'static str, kind: &'static str) -> Workload {
    Workload { group, kind, steps: &["spec", "template"], path: "spec.template." }
}

impl Workload {
    pub fn of(group: &str, kind: &str) -> Option<Self> {
        WORKLOADS.iter().find(|known| known.group == group && known.kind == kind).copied()
    }

    fn template(self, object: Value<'_>) -> Result<Option<Value<'_>>, Unreadable> {
        let mut place = object;
        let mut path = String::from("object");
        for step in self.steps {
            let members = place.expect_members(|| path.clone())?;
            let Some(next) = members.get(step) else { return Ok(None) };
            place = next;
            path = if path == "object" { (*step).to_owned() } else { format!("{path}.{step}") };
        }
        Ok(Some(place))
    }
}

pub fn review(
    workload: Workload,
    request: &Request<'_>,
    configuration: &Configuration<'_>,
) -> Result<Answer, Failure> {
    let object = request.object()?;
    let head = Head::read(object, "")?;
    of_kind(&head, workload.kind)?;
    let subject = subject(request, &head);
    let template = workload.template(object)?;
    let template_head = template.map(|template| Head::read(template, workload.path)).transpose()?;

    let mut warnings = misplaced(workload, &head, template_head.as_ref())?;
    let Some(template_head) = template_head else {
        return Ok(accept(reason::WORKLOAD_ACCEPTED, &warnings, None));
    };
    let origin = Origin { namespace: &subject.namespace, path: workload.path };
    match decide(&template_head, origin, configuration)? {
        Decision::Skip { warnings: more, .. } => warnings.extend(more),
        Decision::Inject(injection) => warnings.extend(injection.warnings),
        Decision::Reject { problems, warnings: more } => {
            warnings.extend(more);
            let old = old_problems(workload, request, origin, configuration);
            let mistake = |at: usize| old.get(at).map(Problem::mistake);
            let order = order(old.len(), &|left, right| mistake(left).cmp(&mistake(right)));
            let is_new = |problem: &Problem| {
                let same = |old: &Problem| old.mistake().cmp(&problem.mistake());
                order.binary_search_by(|at| old.get(*at).map_or(Ordering::Less, same)).is_err()
            };
            if problems.iter().any(is_new) {
                let what = format!(
                    "the pods of this {} would be rejected by the Consul Connect injector",
                    workload.kind
                );
                let message = list(&heading(&what, &problems), &problems);
                let log = subject.line(Level::Warning, &format!("rejected: {}", one_line(&problems)));
                return Ok(reject(reason::WORKLOAD_REJECTED, 422, &message, &warnings, Some(log)));
            }
            // It was so before: an update of something else goes through.
            let beginning = format!("the pods of this {} will be rejected", workload.kind);
            warnings.extend(problems.iter().map(|problem| problem.warning(&beginning)));
        }
    }
    Ok(accept(reason::WORKLOAD_ACCEPTED, &warnings, None))
}

/// The problems that the workload had before this update.
fn old_problems(
    workload: Workload,
    request: &Request<'_>,
    origin: Origin<'_>,
    configuration: &Configuration<'_>,
) -> Vec<Problem> {
    let old = request.old_object.filter(|_| request.operation() == "UPDATE");
    let template = old.and_then(|old| workload.template(old).ok().flatten());
    let head = template.and_then(|template| Head::read(template, workload.path).ok());
    match head.as_ref().map(|head| decide(head, origin, configuration)) {
        Some(Ok(Decision::Reject { problems, .. })) => problems,
        _ => Vec::new(),
    }
}

/// Of more annotations than this a machine has made a mistake; the first are told.
const LOOKED_AT: usize = 500;

/// The documentation's "common mistake": the annotation is on the workload itself.
fn misplaced(
    workload: Workload,
    head: &Head<'_>,
    template: Option<&Head<'_>>,
) -> Result<Vec<Warning>, Unreadable> {
    let own = head.injector_annotations("")?;
    let in_template = template.map(|template| template.injector_annotations(workload.path)).transpose()?;
    let written = |name: &str| in_template.as_ref().is_some_and(|template| template.get(name).is_some());
    let missing = own.iter().take(LOOKED_AT).filter(|(name, _)| !written(name));
    let told = missing.filter_map(|(name, value)| {
        if let Some(warning) = of_another_mode(name) {
            return Some(warning);
        }
        // A typo is not to be copied; any other name may be another program's.
        let intended = if is_known(name) { name } else { meant(name)? };
        (!written(intended)).then(|| elsewhere(workload, name, intended, value))
    });
    Ok(told.collect())
}

/// Where an annotation of the workload's own belongs, ready to be copied if there
/// is room for it.
fn elsewhere(workload: Workload, name: &str, intended: &str, value: &str) -> Warning {
    let kind = workload.kind;
    if [name::STATUS, name::NAMESPACE].contains(&name) {
        return injectors_own(name, &format!(" on the {kind}"));
    }
    let open = workload.steps.iter().fold(String::new(), |place, step| format!("{place}{step}: {{"));
    let close = "}".repeat(workload.steps.len());
    let yaml = format!(
        "{open}metadata: {{annotations: {{{}: {}}}}}{close}",
        Quoted(&format!("{PREFIX}{intended}"), usize::MAX),
        Quoted(value, usize::MAX),
    );
    let long =
        format!("an annotation of the {kind} itself has no effect, write it on the pod template: {yaml}");
    // Escapes of other characters are not YAML's.
    Warning::new(&if long.len() <= Warning::LIMIT && is_plain(value) {
        long
    } else {
        format!(
            "{} of the {kind} itself has no effect, move it to {}metadata.annotations",
            full(name),
            workload.path
        )
    })
}
