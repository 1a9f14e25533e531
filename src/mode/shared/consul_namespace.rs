//! The Consul namespace of a pod.

use crate::consul::namespace::{ConsulNamespaces, Namespace};
use crate::mode::candidate::Candidate;
use crate::problem::Findings;

/// `None`: Consul namespaces are off, or the findings say why there is none.
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
