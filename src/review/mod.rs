//! What happens to each kind of object.

pub mod pod;
pub mod workload;

use serde_json::Value;

use crate::annotations::{Annotations, unknown};
use crate::configuration::Configuration;
use crate::gate::Gate;
use crate::k8s::pod::{Metadata, PodMeta, PodSpec};
use crate::mode::candidate::Candidate;
use crate::mode::plan::Plan;
use crate::problem::{Findings, Problem};
use crate::reason::Reason;
use crate::json::{Unreadable, read_value};
use crate::request::Request;
use crate::response::Subject;
use crate::warning::Warning;

/// What becomes of a pod.
#[derive(Debug)]
pub enum Decision {
    Skip { reason: Reason, warnings: Vec<Warning> },
    Reject { problems: Vec<Problem>, warnings: Vec<Warning> },
    Inject { plan: Box<Plan>, warnings: Vec<Warning> },
}

/// Decides about a pod or a workload's pod template whose metadata has passed the gate.
/// `path` is where it stands in the request's object: empty, or `spec.template.`.
fn decide(
    gate: Gate,
    metadata: &Metadata,
    object: &Value,
    namespace: &str,
    path: &str,
    configuration: &Configuration,
) -> anyhow::Result<Decision> {
    let unreadable = match gate {
        Gate::Skip { reason, warnings } => return Ok(Decision::Skip { reason, warnings }),
        Gate::Open(problem) => problem,
    };
    let annotations = Annotations::of(metadata);
    let spec = read_spec(object, path)?;
    let mut findings = Findings { problems: unreadable.into_iter().collect(), warnings: Vec::new() };
    let pod = Candidate {
        namespace,
        metadata,
        annotations: &annotations,
        spec: &spec,
        spec_path: &format!("{path}spec"),
    };
    let plan = configuration.mode.plan(&pod, &mut findings)?;
    let Findings { problems, warnings } = findings;
    let mode = configuration.mode.name();
    match plan {
        Some(plan) if problems.is_empty() => Ok(Decision::Inject { plan: Box::new(plan), warnings }),
        _ if annotations.ask(mode) => Ok(Decision::Reject { problems, warnings }),
        // The setting `default` breaks no pod that asks for nothing.
        _ => {
            let first = problems.first();
            let mut warnings: Vec<Warning> = first
                .map(|problem| problem.to_warning("not injected with Consul Connect by default"))
                .into_iter()
                .collect();
            warnings.extend(unknown::without_inject(&annotations, mode));
            Ok(Decision::Skip { reason: Reason::NotInjectable, warnings })
        }
    }
}

fn read_spec<'v>(pod: &'v Value, path: &str) -> Result<PodSpec<'v>, Unreadable> {
    let path = format!("{path}spec");
    match pod.get("spec") {
        Some(spec) => read_value(spec, &path),
        None => Err(Unreadable::new(path, "a pod needs a specification")),
    }
}

/// An object of another kind than the request names is not looked at.
fn check_kind(meta: &PodMeta, kind: &str) -> Result<(), Unreadable> {
    if meta.kind.is_empty() || meta.kind == kind {
        Ok(())
    } else {
        Err(Unreadable::new("object.kind", format!("the object is not a {kind}")))
    }
}

/// Who the request is about; what the request does not say, the object does.
fn subject<'a>(request: &'a Request<'_>, metadata: &'a Metadata) -> Subject<'a> {
    let names = [&request.namespace, &metadata.namespace];
    let namespace = names.into_iter().find(|name| !name.is_empty()).map_or("default", String::as_str);
    let names = [&request.name, &metadata.name];
    let name = names.into_iter().find(|name| !name.is_empty());
    let name = name.map_or_else(|| format!("{}*", metadata.generate_name), Clone::clone);
    Subject { kind: &request.kind.kind, namespace, name }
}
