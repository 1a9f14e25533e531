//! Pods that run to completion.

use super::pod::{Metadata, PodSpec};

pub fn is_owned_by_job(metadata: &Metadata) -> bool {
    metadata.owner_references.iter().any(|owner| owner.kind == "Job")
}

/// Whether the pod runs to completion: a Job's pod, or one whose containers are not restarted.
pub fn runs_to_completion(metadata: &Metadata, spec: &PodSpec) -> bool {
    is_owned_by_job(metadata) || !matches!(spec.restart_policy.as_str(), "" | "Always")
}
