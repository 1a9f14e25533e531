//! Pods that are meant to finish, with ordinary sidecars, which go on running.

use crate::k8s::job;
use crate::mode::candidate::Candidate;
use crate::problem::Findings;

pub fn warn(pod: &Candidate<'_>, findings: &mut Findings) {
    if job::is_meant_to_finish(pod.metadata, pod.spec) {
        findings.warn(
            "this pod is meant to finish and will not, since the sidecars go on running; ask the policy's administrator for nativeSidecars: true, or opt out of injection",
        );
    }
}
