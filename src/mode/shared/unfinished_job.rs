//! Warns of pods that run to completion and would have ordinary sidecars, which keep running.

use crate::k8s::job;
use crate::mode::candidate::Candidate;
use crate::problem::Findings;

pub fn warn(pod: &Candidate<'_>, findings: &mut Findings) {
    if job::runs_to_completion(pod.metadata, pod.spec) {
        findings.warn(
            "this pod runs to completion, but will not complete, because its sidecars keep running; ask the policy's administrator to set nativeSidecars: true, or opt out of injection",
        );
    }
}
