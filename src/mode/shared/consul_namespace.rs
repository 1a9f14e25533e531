//! The Consul namespace of a pod.

use crate::consul::namespace::{ConsulNamespaces, Namespace};
use crate::mode::candidate::Candidate;
use crate::problem::{Findings, Flaw, Problem};

/// `None` if Consul namespaces are disabled, or if the findings have a problem.
pub fn of(
    pod: &Candidate<'_>,
    settings: Option<&ConsulNamespaces>,
    findings: &mut Findings,
) -> Option<Namespace> {
    let namespace = settings?.of(pod.namespace);
    if namespace.is_none() {
        let why = "with the setting consulNamespaces.mirroringK8SPrefix before it, is longer than the 64 characters of a Consul namespace";
        let remedy =
            "use a namespace with a shorter name, or ask the policy's administrator to shorten the prefix";
        let problem = Problem::new("the pod's namespace", Flaw::new(why, remedy));
        findings.problem(problem.value(pod.namespace));
    }
    namespace
}
