//! Warns of pods that run to completion and would have ordinary sidecars, which keep running.

use crate::mode::candidate::Candidate;
use crate::problem::Findings;

/// The remedy if the settings choose ordinary sidecars.
pub const NATIVE_SIDECARS: &str = "ask the policy's administrator to set nativeSidecars: true";

/// Warns of a Job's pod, and of one whose containers are not restarted.
pub fn warn(pod: &Candidate<'_>, remedy: &str, findings: &mut Findings) {
    let restarts = matches!(pod.spec.restart_policy.as_str(), "" | "Always");
    if pod.is_job || !restarts {
        findings.warn(format!(
            "this pod runs to completion, but will not complete, because its sidecars keep running; {remedy}, or opt out of injection"
        ));
    }
}
