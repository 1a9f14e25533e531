//! What keeps a pod out of the mesh, whatever its annotations say.

use crate::annotations::full;
use crate::annotations::names::{INJECT, STATUS};
use crate::k8s::pod::Container;
use crate::mode::candidate::Candidate;
use crate::problem::{Findings, Problem};

/// Reports what no annotation can mend, and names that the injected containers and volumes
/// will have.
pub fn check(
    pod: &Candidate<'_>,
    is_injected_container: impl Fn(&str) -> bool,
    is_injected_volume: impl Fn(&str) -> bool,
    findings: &mut Findings,
) {
    let Candidate { spec, spec_path, .. } = pod;
    let opt_out = || format!("set {} to \"false\"", full(INJECT));
    if spec.containers.is_empty() {
        let why = "is empty, and a pod needs at least one container";
        findings.problem(Problem::new(format!("{spec_path}.containers"), why, "write one"));
    }
    if spec.host_network {
        let why = "is true, and Envoy needs a network of the pod's own";
        let remedy = format!("remove it, or {}", opt_out());
        findings.problem(Problem::new(format!("{spec_path}.hostNetwork"), why, remedy));
    }
    if let Some(place) = spec.windows() {
        let why = "is windows, and the sidecars are Linux programs";
        findings.problem(Problem::new(format!("{spec_path}.{place}"), why, opt_out()));
    }
    let mut check_names = |list: &str, containers: &[Container<'_>]| {
        for (index, taken) in containers.iter().enumerate().filter(|(_, own)| is_injected_container(own.name))
        {
            let remedy = format!(
                "name the container otherwise, or set {} to \"injected\" if the pod is injected already",
                full(STATUS)
            );
            let subject = format!("{spec_path}.{list}[{index}].name");
            let problem = Problem::new(subject, "is that of an injected container", remedy);
            findings.problem(problem.value(taken.name));
        }
    };
    check_names("containers", &spec.containers);
    check_names("initContainers", &spec.init_containers);
    for (index, taken) in spec.volumes.iter().enumerate().filter(|(_, own)| is_injected_volume(own.name)) {
        let subject = format!("{spec_path}.volumes[{index}].name");
        let problem = Problem::new(subject, "is that of an injected volume", "name the volume otherwise");
        findings.problem(problem.value(taken.name));
    }
}
