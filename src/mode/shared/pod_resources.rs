//! Resources of the pod as a whole: the API server refuses a pod whose containers
//! request more together than the pod does, or of which one has a higher limit.
//!
//! <https://kubernetes.io/docs/tasks/configure-pod-container/assign-pod-level-resources/>

use crate::pod::{self, Spec};
use crate::problem::Problem;
use crate::quantity::Quantity;
use crate::settings::{Resources, Settings};
use crate::sidecar::{ENVOY, LIFECYCLE};

/// A resource that the injected containers request.
#[derive(Clone, Copy)]
struct Shared {
    name: &'static str,
    /// What it is counted in, in billionths.
    unit: u128,
    /// What it is shown in: so many units, and how they are written.
    shown: (u64, &'static str),
}

const SHARED: [Shared; 2] = [
    Shared { name: "cpu", unit: 1_000_000, shown: (1, "m") },
    Shared { name: "memory", unit: 1_000_000_000, shown: (1 << 20, "Mi") },
];

impl Shared {
    fn units(self, quantity: &Quantity) -> u64 {
        u64::try_from(quantity.nano().div_ceil(self.unit)).unwrap_or(u64::MAX)
    }

    fn requested(self, resources: Option<pod::Resources<'_>>) -> u64 {
        resources.and_then(|own| own.request(self.name)).map_or(0, |request| self.units(&request))
    }

    fn injected(self, resources: &Resources) -> u64 {
        resources.requests.get(self.name).map_or(0, |amount| self.units(&amount.quantity))
    }

    /// What the API server adds up, of the pod that is to be.
    fn together(self, spec: &Spec<'_>, settings: &Settings, envoy: &Resources) -> u64 {
        let sidecars = self.injected(envoy).saturating_add(self.injected(&settings.lifecycle_resources));
        let before = if settings.native_sidecars { sidecars } else { 0 };
        self.most(spec, self.injected(&settings.init_resources), before, sidecars)
    }

    /// What runs at once, or what an init container needs beside the sidecars before it.
    /// The pod's own containers come to those that are in the sums already.
    fn most(self, spec: &Spec<'_>, mut most: u64, mut before: u64, mut running: u64) -> u64 {
        for container in &spec.init_containers {
            let own = self.requested(container.resources());
            most = most.max(before.saturating_add(own));
            if container.native_sidecar {
                before = before.saturating_add(own);
                running = running.saturating_add(own);
            }
        }
        for container in &spec.containers {
            running = running.saturating_add(self.requested(container.resources()));
        }
        most.max(running)
    }

    /// The pod's own request; as the API server writes it where the pod has none. It does
    /// so before it shows the policy a pod, and in the template of a workload not at all.
    fn of_pod(self, spec: &Spec<'_>) -> Option<Request> {
        let own = spec.resources?;
        if let Some(written) = own.written_request(self.name) {
            return Some(Request::Written(written));
        }
        let containers = self.most(spec, 0, 0, 0);
        if containers > 0 && own.has_limits() {
            return Some(Request::OfContainers(containers));
        }
        own.limit(self.name).map(Request::OfLimit)
    }

    fn write(self, units: u64) -> String {
        let (unit, suffix) = self.shown;
        format!("{}{suffix}", units.div_ceil(unit))
    }
}

/// Where a pod's own request is from.
enum Request {
    Written(Quantity),
    /// What they request together.
    OfContainers(u64),
    OfLimit(Quantity),
}

/// What the pod has too little of, once the injected containers are there.
pub fn too_small(spec: &Spec<'_>, settings: &Settings, envoy: &Resources, problems: &mut Vec<Problem>) {
    // Of init containers, and so of native sidecars, it does not look at the limits.
    if !settings.native_sidecars {
        let sidecars = [(ENVOY, envoy), (LIFECYCLE, &settings.lifecycle_resources)];
        problems.extend(SHARED.iter().filter_map(|shared| low_limit(shared.name, spec, sidecars)));
    }
    problems.extend(SHARED.iter().filter_map(|shared| low_request(*shared, spec, settings, envoy)));
}

/// The problem of a request that is under what the containers request together.
fn low_request(shared: Shared, spec: &Spec<'_>, settings: &Settings, envoy: &Resources) -> Option<Problem> {
    let request = shared.of_pod(spec)?;
    let together = shared.together(spec, settings, envoy);
    let enough = |quantity: &Quantity| u128::from(together).saturating_mul(shared.unit) <= quantity.nano();
    let at = |kind: &str| format!("{}.resources.{kind}[{}]", spec.path, shared.name);
    let why = "less than the containers request together with the injected ones";
    let (subject, value, why) = match &request {
        Request::Written(quantity) if !enough(quantity) => {
            (at("requests"), Some(quantity), format!("is {why}"))
        }
        Request::OfLimit(limit) if !enough(limit) => {
            (at("limits"), Some(limit), format!("is the request, too, and that is {why}"))
        }
        Request::OfContainers(own) if *own < together => {
            let own = shared.write(*own);
            (
                at("requests"),
                None,
                format!("is not written, so that Kubernetes takes {own}, and that is {why}"),
            )
        }
        _ => return None,
    };
    let mut remedy = format!("write at least {}", shared.write(together));
    let limit = spec.resources.and_then(|own| own.limit(shared.name));
    if !matches!(request, Request::OfLimit(_)) && limit.is_some_and(|limit| !enough(&limit)) {
        remedy = format!("{remedy}, and no less as {}", at("limits"));
    }
    let problem = Problem::new(subject, why, remedy);
    Some(match value {
        Some(quantity) => problem.value(quantity.as_str()),
        None => problem,
    })
}

/// The problem of a limit that is under the highest of a sidecar.
fn low_limit(name: &str, spec: &Spec<'_>, sidecars: [(&str, &Resources); 2]) -> Option<Problem> {
    let limit = spec.resources?.limit(name)?;
    let limits =
        sidecars.iter().filter_map(|(container, own)| Some((container, &own.limits.get(name)?.quantity)));
    let (container, highest) = limits.max_by_key(|(_, quantity)| quantity.nano())?;
    highest.exceeds(&limit).then(|| {
        let subject = format!("{}.resources.limits[{name}]", spec.path);
        let why = format!("is less than the limit of the injected container {container}");
        Problem::new(subject, why, format!("write at least {}", highest.as_str())).value(limit.as_str())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use json_text::Document;

    fn told(pod: &str, containers: &str, settings: &str) -> Vec<String> {
        let text = format!(r#"{{"resources":{pod},{containers}}}"#);
        let (spec, settings) = (Document::scan(&text).unwrap(), Document::scan(settings).unwrap());
        let spec = Spec::read(spec.root(), "spec").unwrap();
        let settings = Settings::parse(Some(settings.root())).unwrap();
        let mut problems = Vec::new();
        too_small(&spec, &settings, &settings.envoy_resources, &mut problems);
        problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_pods_own_request_holds_its_containers_and_the_sidecars() {
        let app = r#""containers":[{"resources":{"requests":{"cpu":"100m"},"limits":{"memory":"64Mi"}}},{}]"#;
        // 50m and 10m, 80Mi and 10Mi, for the sidecars.
        let fits = r#"{"requests":{"cpu":"160m","memory":"154Mi"}}"#;
        assert_eq!(told(fits, app, "{}"), [""; 0]);
        assert_eq!(told("{}", app, "{}"), [""; 0]);
        assert_eq!(told("7", app, "{}"), [""; 0]);
        let little = r#"{"requests":{"cpu":0.1599,"memory":"1Mi"},"limits":{"memory":"153Mi"}}"#;
        let why = "less than the containers request together with the injected ones; write at least";
        assert_eq!(
            told(little, app, "{}"),
            [
                format!("spec.resources.requests[cpu]: \"0.1599\" is {why} 160m"),
                format!(
                    "spec.resources.requests[memory]: \"1Mi\" is {why} 154Mi, \
                     and no less as spec.resources.limits[memory]"
                ),
            ]
        );
        assert_eq!(told(r#"{"requests":{"cpu":"160m"}}"#, app, r#"{"nativeSidecars":false}"#), [""; 0]);
    }

    /// As `SetDefaults_Pod` of Kubernetes 1.34 does.
    #[test]
    fn a_request_that_is_not_written_is_what_the_api_server_writes() {
        let app = r#""containers":[{"resources":{"requests":{"cpu":"100m"}}},{}]"#;
        let why = "less than the containers request together with the injected ones; write at least";
        assert_eq!(
            told(r#"{"limits":{"cpu":"1","memory":"89Mi"}}"#, app, "{}"),
            [
                format!(
                    "spec.resources.requests[cpu]: is not written, so that Kubernetes takes 100m, and that is {why} 160m"
                ),
                format!(
                    "spec.resources.limits[memory]: \"89Mi\" is the request, too, and that is {why} 100Mi"
                ),
            ]
        );
        // Any limit makes it write all requests.
        let told_of_cpu = told(r#"{"limits":{"memory":"1Gi"}}"#, app, "{}");
        assert_eq!(
            (told_of_cpu.len(), told_of_cpu[0].contains("requests[cpu]")),
            (1, true),
            "{told_of_cpu:?}"
        );
        assert_eq!(told(r#"{"limits":{"cpu":"1"}}"#, r#""containers":[{}]"#, "{}"), [""; 0]);
        assert_eq!(told(r#"{"limits":{}}"#, app, "{}"), [""; 0]);
    }

    #[test]
    fn a_pods_own_limit_holds_each_ordinary_sidecar() {
        let app = r#""containers":[{}]"#;
        let little = r#"{"limits":{"cpu":"1","memory":"249Mi"},"requests":{"memory":"200Mi"}}"#;
        assert_eq!(told(little, app, "{}"), [""; 0]);
        let ordinary = |limits: &str| {
            format!(r#"{{"nativeSidecars":false,"sidecarProxy":{{"resources":{{"limits":{limits}}}}}}}"#)
        };
        assert_eq!(
            told(little, app, &ordinary(r#"{"cpu":"1500m"}"#)),
            [
                "spec.resources.limits[cpu]: \"1\" is less than the limit of the injected container \
                 consul-connect-envoy-sidecar; write at least 1500m",
                "spec.resources.limits[memory]: \"249Mi\" is less than the limit of the injected container \
                 consul-connect-lifecycle-sidecar; write at least 250Mi",
            ]
        );
        let enough = r#"{"limits":{"cpu":"1","memory":"250Mi"}}"#;
        assert_eq!(told(enough, app, &ordinary(r#"{"cpu":"1"}"#)), [""; 0]);
    }

    #[test]
    fn an_init_container_counts_beside_the_sidecars_before_it() {
        let init = |first: &str| {
            format!(
                r#""initContainers":[{{"restartPolicy":"{first}","resources":{{"requests":{{"cpu":"1"}}}}}},
                    {{"resources":{{"requests":{{"cpu":"2"}}}}}}],"containers":[{{}}]"#
            )
        };
        let cpu = |first: &str, settings: &str| {
            let told = told(r#"{"requests":{"cpu":"1m"}}"#, &init(first), settings).remove(0);
            told.rsplit(' ').next().unwrap().to_owned()
        };
        assert_eq!(cpu("", "{}"), "2060m");
        assert_eq!(cpu("Always", "{}"), "3060m");
        assert_eq!(cpu("", r#"{"nativeSidecars":false}"#), "2000m");
        // The injected init container runs before all others, and alone.
        let settings = r#"{"initContainer":{"resources":{"requests":{"cpu":"5"}}}}"#;
        assert_eq!(cpu("Always", settings), "5000m");
    }
}
