//! Resources of Envoy's container: the annotations `sidecar-proxy-...`.

use super::names::{CPU_LIMIT, CPU_REQUEST, MEMORY_LIMIT, MEMORY_REQUEST};
use super::{Annotations, full};
use crate::k8s::quantity::Quantity;
use crate::problem::{Findings, Problem};
use crate::settings::resources::{Amount, Conflict, Resources};

/// The resources of the settings with what the pod asks for in their place.
pub fn parse(annotations: &Annotations<'_>, settings: &Resources, findings: &mut Findings) -> Resources {
    let mut resources = settings.clone();
    for (name, resource, is_limit) in [
        (CPU_LIMIT, "cpu", true),
        (CPU_REQUEST, "cpu", false),
        (MEMORY_LIMIT, "memory", true),
        (MEMORY_REQUEST, "memory", false),
    ] {
        let Some(written) = annotations.get(name) else { continue };
        match written.parse::<Quantity>() {
            Ok(quantity) => {
                let amounts = if is_limit { &mut resources.limits } else { &mut resources.requests };
                amounts.insert(resource.to_owned(), Amount::written(quantity));
            }
            Err(why) => {
                let problem =
                    Problem::new(full(name), why.to_string(), "write a quantity such as 100m or 64Mi");
                findings.problem(problem.value(written));
            }
        }
    }
    let conflicts = resources.reconcile();
    findings.problems.extend(conflicts.iter().map(|conflict| conflict_problem(annotations, conflict)));
    resources
}

/// The problem names an annotation that the pod has; the other half may be the setting's.
fn conflict_problem(annotations: &Annotations<'_>, conflict: &Conflict) -> Problem {
    let Conflict { resource, request, limit } = conflict;
    let [request_name, limit_name] =
        ["request", "limit"].map(|kind| format!("sidecar-proxy-{resource}-{kind}"));
    let owner = |name: &str| match annotations.get(name) {
        Some(_) => "",
        None => "policy's setting for the ",
    };
    if annotations.get(&request_name).is_some() {
        let why = format!("is over the {}limit, {limit}", owner(&limit_name));
        let remedy = format!("write at most {limit}, or a higher {}", full(&limit_name));
        Problem::new(full(&request_name), why, remedy).value(request)
    } else {
        let why = format!("is under the {}request, {request}", owner(&request_name));
        let remedy = format!("write at least {request}, or a lower {}", full(&request_name));
        Problem::new(full(&limit_name), why, remedy).value(limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::resources::Defaults;

    fn parsed(written: &[(&str, &str)]) -> (Resources, Vec<String>) {
        let defaults = Defaults { requests: &[("memory", "80Mi")], limits: &[] };
        let mut settings = defaults.resources();
        settings.limits.insert("cpu".to_owned(), Amount::written("1".parse().unwrap()));
        let mut findings = Findings::default();
        let resources = parse(&Annotations::from_iter(written.iter().copied()), &settings, &mut findings);
        (resources, findings.problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn the_pods_own_amounts_win() {
        let (resources, problems) =
            parsed(&[(MEMORY_LIMIT, "50Mi"), (CPU_LIMIT, "2"), (CPU_REQUEST, "1500m")]);
        assert!(problems.is_empty(), "{problems:?}");
        assert_eq!(resources.limits["cpu"].quantity.as_str(), "2");
        assert_eq!(resources.requests["cpu"].quantity.as_str(), "1500m");
        assert_eq!(resources.requests["memory"].quantity.as_str(), "50Mi", "a default gives way");
    }

    #[test]
    fn a_request_over_the_limit_is_reported_at_an_annotation() {
        for (written, problem) in [
            (
                &[(CPU_REQUEST, "2")][..],
                "annotation consul.hashicorp.com/sidecar-proxy-cpu-request: \"2\" is over the policy's setting for the limit, 1; \
                 write at most 1, or a higher annotation consul.hashicorp.com/sidecar-proxy-cpu-limit",
            ),
            (
                &[(MEMORY_REQUEST, "2Gi"), (MEMORY_LIMIT, "1Gi")],
                "annotation consul.hashicorp.com/sidecar-proxy-memory-request: \"2Gi\" is over the limit, 1Gi; \
                 write at most 1Gi, or a higher annotation consul.hashicorp.com/sidecar-proxy-memory-limit",
            ),
            (
                &[(CPU_LIMIT, "x")],
                "annotation consul.hashicorp.com/sidecar-proxy-cpu-limit: \"x\" is not a quantity; \
                 write a quantity such as 100m or 64Mi",
            ),
        ] {
            assert_eq!(parsed(written).1, [problem]);
        }
    }
}
