//! Decides what happens to a pod, by its metadata, its specification and the mode.

use crate::annotations::{Annotations, unknown};
use crate::configuration::Configuration;
use crate::gate::{self, Gate};
use crate::json::{Fields, Unreadable};
use crate::k8s::pod::{Metadata, Named, PodSpec, SpecFields};
use crate::mode::candidate::Candidate;
use crate::mode::plan::Plan;
use crate::problem::{Findings, Problem};
use crate::reason::Reason;
use crate::request::Request;
use crate::response::Subject;
use crate::warning::Warning;

/// What happens to a pod.
#[derive(Debug)]
pub enum Decision<'a> {
    Skip { reason: Reason, warnings: Vec<Warning> },
    Reject { problems: Vec<Problem>, warnings: Vec<Warning> },
    Inject { plan: Box<Plan>, spec: SpecFields<'a>, read: Box<PodSpec>, warnings: Vec<Warning> },
}

/// A pod, or a workload's pod template, whose metadata has been read.
pub struct Reviewed<'r, 'a> {
    pub fields: &'r Fields<'a>,
    pub metadata: &'r Metadata,
    pub annotations: Annotations<'r>,
    /// The Kubernetes namespace.
    pub namespace: &'r str,
    /// Whether a Job owns the pod.
    pub is_job: bool,
    /// The volumes that a `StatefulSet` adds to the pods of its template.
    pub claims: Vec<Named>,
}

impl<'a> Reviewed<'_, 'a> {
    pub fn decide(&self, configuration: &Configuration) -> anyhow::Result<Decision<'a>> {
        let Configuration { common, mode, .. } = configuration;
        let gate = gate::check(&self.annotations, self.metadata, self.namespace, common, mode.name());
        let unreadable = match gate {
            Gate::Skip { reason, warnings } => return Ok(Decision::Skip { reason, warnings }),
            Gate::Open(problem) => problem,
        };
        let spec = SpecFields::read(self.fields)?;
        let mut read = Box::new(PodSpec::read(&spec)?);
        read.volumes.extend(self.claims.iter().cloned());
        let mut findings = Findings { problems: unreadable.into_iter().collect(), warnings: Vec::new() };
        let candidate = Candidate {
            namespace: self.namespace,
            metadata: self.metadata,
            annotations: &self.annotations,
            spec: &read,
            spec_path: &spec.fields.path,
            is_job: self.is_job,
        };
        let plan = mode.plan(&candidate, &mut findings)?;
        let Findings { problems, warnings } = findings;
        match plan {
            Some(plan) if problems.is_empty() => {
                Ok(Decision::Inject { plan: Box::new(plan), spec, read, warnings })
            }
            _ if self.annotations.has_known(mode.name()) => Ok(Decision::Reject { problems, warnings }),
            // The setting `default` does not reject a pod that did not request injection.
            _ => {
                let first = problems.first();
                let first = first.map(|problem| problem.to_warning("not injected with Consul sidecars"));
                let mut warnings: Vec<Warning> = first.into_iter().collect();
                warnings.extend(unknown::without_inject(&self.annotations, mode.name()));
                Ok(Decision::Skip { reason: Reason::NotInjectable, warnings })
            }
        }
    }
}

/// Rejects an object whose kind is not the request's.
pub fn check_kind(object: &Fields<'_>, kind: &str) -> Result<(), Unreadable> {
    let own: String = object.read("kind")?;
    if own.is_empty() || own == kind {
        Ok(())
    } else {
        Err(Unreadable::new("kind", format!("must be {kind}")))
    }
}

/// The pod or workload of the request. Names that the request lacks come from the object.
pub fn subject<'a>(request: &'a Request<'_>, metadata: &'a Metadata) -> Subject<'a> {
    let names = [&request.namespace, &metadata.namespace];
    let namespace = names.into_iter().find(|name| !name.is_empty()).map_or("default", String::as_str);
    let names = [&request.name, &metadata.name];
    let name = names.into_iter().find(|name| !name.is_empty());
    let name = name.map_or_else(|| format!("{}*", metadata.generate_name), Clone::clone);
    Subject { kind: &request.kind.kind, namespace, name }
}
