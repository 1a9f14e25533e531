//! Reviews the creation of a pod.

use k8s_openapi::Resource as _;
use k8s_openapi::api::core::v1::Pod;

use super::decision::{Decision, Reviewed, check_kind, subject};
use crate::annotations::names::{INJECT, MANAGED_BY, PREFIX, SERVICE, STATUS};
use crate::annotations::{Annotations, full};
use crate::configuration::Configuration;
use crate::gate;
use crate::k8s::pod::{Metadata, SpecFields};
use crate::mode::is_injected_container;
use crate::problem::{list, one_line};
use crate::reason::Reason;
use crate::request::Request;
use crate::response::{Answer, Level, Subject};
use crate::settings::ModeName;
use crate::text::Quoted;
use crate::warning::Warning;

pub fn review<'a>(request: &Request<'a>, configuration: &Configuration) -> anyhow::Result<Answer<'a>> {
    let object = request.object()?;
    check_kind(object, Pod::KIND)?;
    let metadata: Metadata = object.read("metadata")?;
    let subject = subject(request, &metadata);
    let annotations = Annotations::read(&metadata, object)?;
    let reviewed = Reviewed {
        fields: object,
        metadata: &metadata,
        annotations,
        namespace: subject.namespace,
        is_job: metadata.is_owned_by_job(),
        claims: Vec::new(),
    };
    match reviewed.decide(configuration)? {
        Decision::Skip { reason, mut warnings } => {
            if may_be_copied(reason, &metadata) {
                warnings.extend(copied_status(&reviewed, configuration.mode.name()));
            }
            Ok(skip(reason, &warnings, &subject))
        }
        Decision::Reject { problems, warnings } => {
            let message = list("this pod cannot join the Consul service mesh", &problems);
            let log = subject.line(Level::Warning, &format!("rejected: {}", one_line(&problems)));
            Ok(Answer::reject(Reason::Rejected, 422, message, &warnings, Some(log)))
        }
        Decision::Inject { plan, spec, read, warnings } => {
            let log = subject.line(Level::Info, &plan.summary.sentence());
            Ok(Answer::mutate(plan.apply(object.clone(), spec, &read)?, &warnings, log))
        }
    }
}

/// Most requests are ordinary skips. Only those that the user may not expect are logged.
fn skip(reason: Reason, warnings: &[Warning], subject: &Subject<'_>) -> Answer<'static> {
    let unexpected = warnings.first().filter(|_| reason != Reason::NotRequested);
    let log = unexpected.map(|warning| subject.line(Level::Info, warning.as_str()));
    Answer::accept(reason, warnings, log)
}

/// Whether a skipped pod may be a copy of an injected one. A copy may have lost the annotations,
/// but it keeps the containers and has no owner.
fn may_be_copied(reason: Reason, metadata: &Metadata) -> bool {
    match reason {
        Reason::AlreadyInjected => true,
        Reason::NotRequested | Reason::OptedOut => metadata.owner_references.is_empty(),
        _ => false,
    }
}

/// The warning about the status annotation of an injected pod that was copied to another pod.
fn copied_status(pod: &Reviewed<'_, '_>, mode: ModeName) -> Option<Warning> {
    let Reviewed { fields, metadata, annotations, .. } = pod;
    let has_status = annotations.get(STATUS).is_some();
    // What is not injected may have any form.
    let spec = SpecFields::read(fields).ok();
    if !spec.is_some_and(|spec| spec.container_names().any(|name| is_injected_container(&name))) {
        return (has_status && gate::requests_injection(annotations)).then(|| {
            Warning::new(&format!(
                "{} prevents injection, but the pod has no injected container; remove it, the injector sets it",
                full(STATUS)
            ))
        });
    }
    // `kubectl debug --copy-to` removes the labels, and with some profiles the annotations.
    let has_label = metadata.labels.contains_key(&format!("{PREFIX}{STATUS}"));
    if has_label && has_status {
        return None;
    }
    Some(match mode.registers_itself() {
        false => Warning::new(&format!(
            "this copy of an injected pod lacks a label or annotation, such as {MANAGED_BY}, so Consul's controllers do not register it and its init container fails; debug the pod without --copy-to, or copy its template with {INJECT}: \"false\""
        )),
        true => Warning::new(&format!(
            "this copy of an injected pod joins the mesh as another instance of {} and receives traffic; to avoid this, debug the pod without --copy-to, or copy its template with {INJECT}: \"false\"",
            annotations
                .get(SERVICE)
                .map_or("its service".to_owned(), |name| format!("service {}", Quoted(name, 40)))
        )),
    })
}
