//! Pod-level resources: the API server rejects a pod whose containers together request more than
//! the pod, or have a higher limit.
//!
//! <https://kubernetes.io/docs/tasks/configure-pod-container/assign-pod-level-resources/>

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ResourceRequirements;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Written;

use crate::k8s::pod::{Container, PodSpec};
use crate::k8s::quantity::Quantity;
use crate::mode::candidate::Candidate;
use crate::problem::{Findings, Flaw, Problem};
use crate::settings::resources::Resources;

/// The resources of the injected containers.
#[derive(Debug)]
pub struct Injected<'a> {
    /// Of the container that runs before all others.
    pub init: &'a Resources,
    /// Of those that run beside the app, by name.
    pub sidecars: &'a [(&'a str, &'a Resources)],
    pub native: bool,
}

/// A resource that the injected containers request.
struct Kind {
    name: &'static str,
    /// The unit of sums, in billionths.
    unit: u128,
    /// How a sum is shown: the number of units, and the suffix.
    shown: (u64, &'static str),
}

const KINDS: [Kind; 2] = [
    Kind { name: "cpu", unit: 1_000_000, shown: (1, "m") },
    Kind { name: "memory", unit: 1_000_000_000, shown: (1 << 20, "Mi") },
];

/// The source of a pod's own request.
enum Request {
    Written(Quantity),
    /// The sum of the containers' requests.
    OfContainers(u64),
    OfLimit(Quantity),
}

/// Reports pod-level resources that are too low for the injected pod.
pub fn check(pod: &Candidate<'_>, injected: &Injected<'_>, findings: &mut Findings) {
    let Some(own) = &pod.spec.resources else { return };
    // The API server does not compare the limits of init containers, and so of native sidecars.
    if !injected.native {
        let low = KINDS.iter().filter_map(|kind| low_limit(kind.name, own, pod.spec_path, injected.sidecars));
        findings.problems.extend(low);
    }
    findings.problems.extend(KINDS.iter().filter_map(|kind| low_request(kind, own, pod, injected)));
}

/// A limit of the pod that is lower than a sidecar's.
fn low_limit(
    name: &str,
    own: &ResourceRequirements,
    spec_path: &str,
    sidecars: &[(&str, &Resources)],
) -> Option<Problem> {
    let limit = amount(own.limits.as_ref(), name)?;
    let limits =
        sidecars.iter().filter_map(|(container, own)| Some((container, &own.limits.get(name)?.quantity)));
    let (container, highest) = limits.max_by_key(|(_, quantity)| quantity.nano())?;
    highest.exceeds(&limit).then(|| {
        let subject = format!("{spec_path}.resources.limits[{name}]");
        let why = format!("must not be less than the limit of the injected container {container}");
        Flaw::new(why, format!("write at least {}", highest.as_str())).at(subject).value(limit.as_str())
    })
}

/// A request of the pod that is lower than the sum of its containers' requests.
fn low_request(
    kind: &Kind,
    own: &ResourceRequirements,
    pod: &Candidate<'_>,
    injected: &Injected<'_>,
) -> Option<Problem> {
    let request = kind.of_pod(own, pod.spec)?;
    let together = kind.together(pod.spec, injected);
    let enough = |quantity: &Quantity| u128::from(together).saturating_mul(kind.unit) <= quantity.nano();
    let at = |list: &str| format!("{}.resources.{list}[{}]", pod.spec_path, kind.name);
    let all = "the requests of all containers, including the injected ones";
    let (subject, value, why) = match &request {
        Request::Written(quantity) if !enough(quantity) => {
            (at("requests"), Some(quantity), format!("must cover {all}"))
        }
        Request::OfLimit(limit) if !enough(limit) => {
            (at("limits"), Some(limit), format!("is also the default request, which must cover {all}"))
        }
        Request::OfContainers(own) if *own < together => {
            let own = kind.show(*own);
            let why = format!("is not set and defaults to {own}, but must cover {all}");
            (at("requests"), None, why)
        }
        _ => return None,
    };
    let mut remedy = format!("write at least {}", kind.show(together));
    let limit = amount(own.limits.as_ref(), kind.name);
    if !matches!(request, Request::OfLimit(_)) && limit.is_some_and(|limit| !enough(&limit)) {
        remedy = format!("{remedy}, here and in {}", at("limits"));
    }
    let problem = Flaw::new(why, remedy).at(subject);
    Some(match value {
        Some(quantity) => problem.value(quantity.as_str()),
        None => problem,
    })
}

impl Kind {
    /// The pod's own request, or the API server's default for it. The API server sets defaults
    /// before it calls the policy about a pod, but not in the template of a workload.
    fn of_pod(&self, own: &ResourceRequirements, spec: &PodSpec) -> Option<Request> {
        if let Some(written) = amount(own.requests.as_ref(), self.name) {
            return Some(Request::Written(written));
        }
        let containers = self.highest(spec, 0, 0, 0);
        if containers > 0 && own.limits.as_ref().is_some_and(|limits| !limits.is_empty()) {
            return Some(Request::OfContainers(containers));
        }
        amount(own.limits.as_ref(), self.name).map(Request::OfLimit)
    }

    /// The request of all containers of the injected pod, added up as the API server does.
    fn together(&self, spec: &PodSpec, injected: &Injected<'_>) -> u64 {
        let sidecars = injected.sidecars.iter().map(|(_, resources)| self.injected(resources));
        let sidecars = sidecars.fold(0, u64::saturating_add);
        let before = if injected.native { sidecars } else { 0 };
        self.highest(spec, self.injected(injected.init), before, sidecars)
    }

    /// The highest request at any time: of an init container with the sidecars before it, or of
    /// all containers that keep running. The pod's own containers are added to the given sums.
    fn highest(&self, spec: &PodSpec, mut highest: u64, mut before: u64, mut running: u64) -> u64 {
        for container in &spec.init_containers {
            let own = self.requested(container);
            highest = highest.max(before.saturating_add(own));
            if container.is_native_sidecar() {
                before = before.saturating_add(own);
                running = running.saturating_add(own);
            }
        }
        let containers = spec.containers.iter().map(|container| self.requested(container));
        highest.max(containers.fold(running, u64::saturating_add))
    }

    /// A limit without a request is also the request.
    fn requested(&self, container: &Container) -> u64 {
        let own = container.resources.as_ref();
        let amount = |list: Option<&BTreeMap<String, Written>>| amount(list, self.name);
        let request =
            own.and_then(|own| amount(own.requests.as_ref()).or_else(|| amount(own.limits.as_ref())));
        request.map_or(0, |request| self.units(&request))
    }

    fn injected(&self, resources: &Resources) -> u64 {
        resources.requests.get(self.name).map_or(0, |amount| self.units(&amount.quantity))
    }

    fn units(&self, quantity: &Quantity) -> u64 {
        u64::try_from(quantity.nano().div_ceil(self.unit)).unwrap_or(u64::MAX)
    }

    fn show(&self, units: u64) -> String {
        let (unit, suffix) = self.shown;
        format!("{}{suffix}", units.div_ceil(unit))
    }
}

fn amount(list: Option<&BTreeMap<String, Written>>, name: &str) -> Option<Quantity> {
    list?.get(name)?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::annotations::Annotations;
    use crate::k8s::pod::Metadata;
    use crate::settings::resources::Defaults;
    use serde_json::{Value, json};

    const COVER: &str =
        "must cover the requests of all containers, including the injected ones; write at least";
    const NONE: Defaults = Defaults { requests: &[], limits: &[] };
    const ENVOY: Defaults = Defaults { requests: &[("cpu", "50m"), ("memory", "80Mi")], limits: &[] };
    const LIFECYCLE: Defaults =
        Defaults { requests: &[("cpu", "10m"), ("memory", "10Mi")], limits: &[("memory", "250Mi")] };

    /// The problems of a pod with these resources beside these init container, Envoy and
    /// lifecycle sidecar.
    fn problems_beside(
        pod: &Value,
        containers: &Value,
        native: bool,
        injected: [&Defaults; 3],
    ) -> Vec<String> {
        let mut spec = containers.clone();
        spec["resources"] = pod.clone();
        let spec = PodSpec::of(&spec).unwrap();
        let (metadata, annotations) = (Metadata::default(), Annotations::default());
        let pod = Candidate {
            namespace: "shop",
            metadata: &metadata,
            annotations: &annotations,
            spec: &spec,
            spec_path: "spec",
            is_job: false,
        };
        let [init, envoy, lifecycle] = injected.map(Defaults::resources);
        let sidecars = [("envoy", &envoy), ("lifecycle", &lifecycle)];
        let mut findings = Findings::default();
        check(&pod, &Injected { init: &init, sidecars: &sidecars, native }, &mut findings);
        findings.problems.iter().map(ToString::to_string).collect()
    }

    fn problems(pod: &Value, containers: &Value, native: bool) -> Vec<String> {
        problems_beside(pod, containers, native, [&NONE, &ENVOY, &LIFECYCLE])
    }

    #[test]
    fn a_pods_own_request_holds_its_containers_and_the_sidecars() {
        let resources = json!({ "requests": { "cpu": "100m" }, "limits": { "memory": "64Mi" } });
        let app = json!({ "containers": [{ "resources": resources }, {}] });
        // 50m and 10m, 80Mi and 10Mi, for the sidecars.
        let fits = json!({ "requests": { "cpu": "160m", "memory": "154Mi" } });
        assert_eq!(problems(&fits, &app, true), [""; 0]);
        assert_eq!(problems(&json!({}), &app, true), [""; 0]);
        assert_eq!(problems(&json!(null), &app, true), [""; 0]);
        let little =
            json!({ "requests": { "cpu": "0.1599", "memory": "1Mi" }, "limits": { "memory": "153Mi" } });
        assert_eq!(
            problems(&little, &app, true),
            [
                format!("spec.resources.requests[cpu]: invalid value \"0.1599\": {COVER} 160m"),
                format!(
                    "spec.resources.requests[memory]: invalid value \"1Mi\": {COVER} 154Mi, \
                     here and in spec.resources.limits[memory]"
                ),
            ]
        );
        assert_eq!(problems(&json!({ "requests": { "cpu": "160m" } }), &app, false), [""; 0]);
    }

    /// As `SetDefaults_Pod` of Kubernetes 1.34 does.
    #[test]
    fn a_request_that_is_not_set_has_the_api_servers_default() {
        let app = json!({ "containers": [{ "resources": { "requests": { "cpu": "100m" } } }, {}] });
        assert_eq!(
            problems(&json!({ "limits": { "cpu": "1", "memory": "89Mi" } }), &app, true),
            [
                format!("spec.resources.requests[cpu]: is not set and defaults to 100m, but {COVER} 160m"),
                format!(
                    "spec.resources.limits[memory]: invalid value \"89Mi\": is also the default request, which {COVER} 90Mi"
                ),
            ]
        );
        // Any limit makes it write all requests.
        let of_cpu = problems(&json!({ "limits": { "memory": "1Gi" } }), &app, true);
        assert!(of_cpu.len() == 1 && of_cpu[0].contains("requests[cpu]"), "{of_cpu:?}");
        assert_eq!(
            problems(&json!({ "limits": { "cpu": "1" } }), &json!({ "containers": [{}] }), true),
            [""; 0]
        );
        assert_eq!(problems(&json!({ "limits": {} }), &app, true), [""; 0]);
    }

    #[test]
    fn a_pods_own_limit_holds_each_ordinary_sidecar() {
        let app = json!({ "containers": [{}] });
        let little =
            json!({ "limits": { "cpu": "1", "memory": "249Mi" }, "requests": { "memory": "200Mi" } });
        assert_eq!(problems(&little, &app, true), [""; 0]);
        let envoy = |cpu| Defaults { requests: &[], limits: cpu };
        assert_eq!(
            problems_beside(&little, &app, false, [&NONE, &envoy(&[("cpu", "1500m")]), &LIFECYCLE]),
            [
                "spec.resources.limits[cpu]: invalid value \"1\": must not be less than the limit of the injected \
                 container envoy; write at least 1500m",
                "spec.resources.limits[memory]: invalid value \"249Mi\": must not be less than the limit of the \
                 injected container lifecycle; write at least 250Mi",
            ]
        );
        let enough = json!({ "limits": { "cpu": "1", "memory": "250Mi" } });
        let injected = [&NONE, &envoy(&[("cpu", "1")]), &LIFECYCLE];
        assert_eq!(problems_beside(&enough, &app, false, injected), [""; 0]);
    }

    #[test]
    fn an_init_container_counts_beside_the_sidecars_before_it() {
        let cpu = |first: &str, native: bool, init: &Defaults| {
            let init_containers = json!([
                { "restartPolicy": first, "resources": { "requests": { "cpu": "1" } } },
                { "resources": { "requests": { "cpu": "2" } } },
            ]);
            let containers = json!({ "initContainers": init_containers, "containers": [{}] });
            let pod = json!({ "requests": { "cpu": "1m" } });
            let problems = problems_beside(&pod, &containers, native, [init, &ENVOY, &LIFECYCLE]);
            problems[0].rsplit(' ').next().unwrap().to_owned()
        };
        assert_eq!(cpu("", true, &NONE), "2060m");
        assert_eq!(cpu("Always", true, &NONE), "3060m");
        assert_eq!(cpu("", false, &NONE), "2000m");
        // The injected init container runs before all others, and alone.
        let init = Defaults { requests: &[("cpu", "5")], limits: &[] };
        assert_eq!(cpu("Always", true, &init), "5000m");
    }
}
