//! The Consul namespace of a pod.

use crate::consul::namespace::{ConsulNamespaces, Namespace};
use crate::mode::candidate::Candidate;
use crate::problem::Findings;

/// `None` if Consul namespaces are disabled, or if the findings have a problem.
pub fn of(
    pod: &Candidate<'_>,
    settings: Option<&ConsulNamespaces>,
    findings: &mut Findings,
) -> Option<Namespace> {
    match settings?.of(pod.namespace) {
        Ok(namespace) => Some(namespace),
        Err(problem) => {
            findings.problem(problem);
            None
        }
    }
}
