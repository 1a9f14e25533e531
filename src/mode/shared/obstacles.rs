//! Properties of a pod that prevent injection, whatever its annotations.

use crate::annotations::full;
use crate::annotations::names::{INJECT, STATUS};
use crate::k8s::pod::Container;
use crate::mode::candidate::Candidate;
use crate::problem::{Findings, Flaw, Problem};

/// Reports properties that prevent injection, and names that the injected containers and volumes
/// use.
pub fn check(
    pod: &Candidate<'_>,
    is_injected_container: impl Fn(&str) -> bool,
    is_injected_volume: impl Fn(&str) -> bool,
    findings: &mut Findings,
) {
    let Candidate { spec, spec_path, .. } = pod;
    let opt_out = || format!("set {} to \"false\"", full(INJECT));
    if spec.containers.is_empty() {
        findings.problem(Problem::new(format!("{spec_path}.containers"), "must not be empty"));
    }
    if spec.host_network {
        let why = "must not be true: Envoy requires the pod's own network";
        let remedy = format!("remove it, or {}", opt_out());
        findings.problem(Flaw::new(why, remedy).at(format!("{spec_path}.hostNetwork")));
    }
    if let Some(place) = spec.windows() {
        let why = "must not be windows: the sidecars are Linux programs";
        findings.problem(Flaw::new(why, opt_out()).at(format!("{spec_path}.{place}")));
    }
    let mut check_names = |list: &str, containers: &[Container]| {
        for (index, taken) in
            containers.iter().enumerate().filter(|(_, own)| is_injected_container(&own.name))
        {
            let remedy = format!(
                "rename the container, or set {} to \"injected\" if the pod is already injected",
                full(STATUS)
            );
            let subject = format!("{spec_path}.{list}[{index}].name");
            let flaw = Flaw::new("is the name of an injected container", remedy);
            findings.problem(flaw.at(subject).value(&taken.name));
        }
    };
    check_names("containers", &spec.containers);
    check_names("initContainers", &spec.init_containers);
    for (index, taken) in spec.volumes.iter().enumerate().filter(|(_, own)| is_injected_volume(&own.name)) {
        let subject = format!("{spec_path}.volumes[{index}].name");
        let flaw = Flaw::new("is the name of an injected volume", "rename the volume");
        findings.problem(flaw.at(subject).value(&taken.name));
    }
}
