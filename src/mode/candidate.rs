//! The pod for which a mode makes a plan.

use crate::annotations::Annotations;
use crate::k8s::pod::{Metadata, PodSpec};

/// A pod, or a workload's pod template, that is to be injected.
#[derive(Debug)]
pub struct Candidate<'a> {
    /// The Kubernetes namespace.
    pub namespace: &'a str,
    pub metadata: &'a Metadata,
    pub annotations: &'a Annotations<'a>,
    pub spec: &'a PodSpec,
    /// The specification's path in the request's object: `spec` or `spec.template.spec`.
    pub spec_path: &'a str,
    /// Whether a Job owns the pod.
    pub is_job: bool,
}
