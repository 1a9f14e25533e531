//! Resources of Envoy's container: the annotations `sidecar-proxy-...`.

use super::names::{CPU_LIMIT, CPU_REQUEST, MEMORY_LIMIT, MEMORY_REQUEST};
use super::{Annotations, full};
use crate::k8s::quantity::Quantity;
use crate::problem::{Findings, Flaw, Problem};
use crate::settings::resources::{Amount, Conflict, Resources};

/// The resources of the settings, overridden by the pod's annotations.
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
                findings.problem(Problem::new(full(name), why.to_string()).value(written));
            }
        }
    }
    let conflicts = resources.reconcile();
    findings.problems.extend(conflicts.iter().map(|conflict| conflict_problem(annotations, conflict)));
    resources
}

/// The problem is reported for an annotation that the pod has; the other amount may be a setting.
fn conflict_problem(annotations: &Annotations<'_>, conflict: &Conflict) -> Problem {
    let Conflict { resource, request, limit } = conflict;
    let [request_name, limit_name] =
        ["request", "limit"].map(|kind| format!("sidecar-proxy-{resource}-{kind}"));
    let origin = |name: &str| match annotations.get(name) {
        Some(_) => "",
        None => " in the policy's settings",
    };
    if annotations.get(&request_name).is_some() {
        let why = format!("must not exceed the {resource} limit of {limit}{}", origin(&limit_name));
        let remedy = format!("lower it, or set a higher {}", full(&limit_name));
        Flaw::new(why, remedy).at(full(&request_name)).value(request)
    } else {
        let why =
            format!("must not be less than the {resource} request of {request}{}", origin(&request_name));
        let remedy = format!("raise it, or set a lower {}", full(&request_name));
        Flaw::new(why, remedy).at(full(&limit_name)).value(limit)
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
                "annotation consul.hashicorp.com/sidecar-proxy-cpu-request: invalid value \"2\": must not exceed the cpu limit \
                 of 1 in the policy's settings; lower it, or set a higher annotation consul.hashicorp.com/sidecar-proxy-cpu-limit",
            ),
            (
                &[(MEMORY_REQUEST, "2Gi"), (MEMORY_LIMIT, "1Gi")],
                "annotation consul.hashicorp.com/sidecar-proxy-memory-request: invalid value \"2Gi\": must not exceed the memory \
                 limit of 1Gi; lower it, or set a higher annotation consul.hashicorp.com/sidecar-proxy-memory-limit",
            ),
            (
                &[(CPU_LIMIT, "x")],
                "annotation consul.hashicorp.com/sidecar-proxy-cpu-limit: invalid value \"x\": must be a quantity \
                 such as 100m or 64Mi",
            ),
        ] {
            assert_eq!(parsed(written).1, [problem]);
        }
    }
}
