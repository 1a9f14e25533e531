//! Workloads are never changed. Their pod templates are reviewed, so that mistakes are reported
//! at `kubectl apply`.

use std::collections::HashSet;

use super::decision::{Decision, Reviewed, check_kind, subject};
use super::kind::Workload;
use super::misplaced;
use crate::annotations::Annotations;
use crate::configuration::Configuration;
use crate::json::{Fields, Unreadable};
use crate::k8s::pod::{Metadata, Named};
use crate::problem::{Problem, list, one_line};
use crate::reason::Reason;
use crate::request::Request;
use crate::response::{Answer, Level};

pub fn review(
    workload: Workload,
    request: &Request<'_>,
    configuration: &Configuration,
) -> anyhow::Result<Answer<'static>> {
    let mode = configuration.mode.name();
    let object = request.object()?;
    check_kind(object, workload.kind)?;
    let metadata: Metadata = object.read("metadata")?;
    let own = Annotations::read(&metadata, object)?;
    let subject = subject(request, &metadata);
    let Some(template) = Template::of(workload, object)? else {
        let warnings = misplaced::warnings(workload, object, &own, &Annotations::default(), mode)?;
        return Ok(Answer::accept(Reason::WorkloadAccepted, &warnings, None));
    };
    let reviewed = template.reviewed(subject.namespace)?;
    let mut warnings = misplaced::warnings(workload, object, &own, &reviewed.annotations, mode)?;
    match reviewed.decide(configuration)? {
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
struct Template<'a> {
    fields: Fields<'a>,
    metadata: Metadata,
    is_job: bool,
    claims: Vec<Named>,
}

impl<'a> Template<'a> {
    fn of(workload: Workload, object: &Fields<'a>) -> Result<Option<Self>, Unreadable> {
        let Some(fields) = object.object_at(workload.template)? else { return Ok(None) };
        let metadata = fields.read("metadata")?;
        Ok(Some(Template { fields, metadata, is_job: workload.creates_jobs_pods(), claims: claims(object)? }))
    }

    fn reviewed<'r>(&'r self, namespace: &'r str) -> Result<Reviewed<'r, 'a>, Unreadable> {
        let Template { fields, metadata, is_job, claims } = self;
        let annotations = Annotations::read(metadata, fields)?;
        let (is_job, claims) = (*is_job, claims.clone());
        Ok(Reviewed { fields, metadata, annotations, namespace, is_job, claims })
    }
}

/// The names of a `StatefulSet`'s volume claims.
fn claims(object: &Fields<'_>) -> Result<Vec<Named>, Unreadable> {
    let Some(spec) = object.object("spec")? else { return Ok(Vec::new()) };
    spec.objects("volumeClaimTemplates")?.iter().map(|claim| claim.read("metadata")).collect()
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
        let Some(template) = Template::of(workload, old)? else { return Ok(Vec::new()) };
        let reviewed = template.reviewed(namespace)?;
        match reviewed.decide(configuration)? {
            Decision::Reject { problems, .. } => Ok(problems),
            _ => Ok(Vec::new()),
        }
    };
    // If the old object cannot be read, every problem is new.
    problems().unwrap_or_default()
}
