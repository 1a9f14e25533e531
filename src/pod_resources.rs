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

    /// What the API server adds up, of the pod that is to be: what runs at once, or
    /// what an init container needs beside the sidecars before it.
    fn together(self, spec: &Spec<'_>, settings: &Settings, envoy: &Resources) -> u64 {
        let mut running = self.injected(envoy).saturating_add(self.injected(&settings.lifecycle_resources));
        let mut before = if settings.native_sidecars { running } else { 0 };
        let mut most = self.injected(&settings.init_resources);
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
}

/// What the pod has too little of, once the injected containers are there.
pub fn too_small(spec: &Spec<'_>, settings: &Settings, envoy: &Resources, problems: &mut Vec<Problem>) {
    // Of init containers, and so of native sidecars, it does not look at the limits.
    if !settings.native_sidecars {
        let sidecars = [(ENVOY, envoy), (LIFECYCLE, &settings.lifecycle_resources)];
        problems.extend(SHARED.iter().filter_map(|shared| low_limit(shared.name, spec, sidecars)));
    }
    for shared in SHARED {
        let Some(request) = spec.resources.and_then(|own| own.request(shared.name)) else { continue };
        let together = shared.together(spec, settings, envoy);
        if u128::from(together).saturating_mul(shared.unit) > request.nano() {
            let subject = format!("{}.resources.requests[{}]", spec.path, shared.name);
            let why = "is less than the containers request together with the injected ones";
            let (units, suffix) = shared.shown;
            let remedy = format!("write at least {}{suffix}", together.div_ceil(units));
            problems.push(Problem::new(subject, why, remedy).value(request.as_str()));
        }
    }
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
        let little = r#"{"requests":{"cpu":0.1599},"limits":{"memory":"153Mi"}}"#;
        let why = "is less than the containers request together with the injected ones; write at least";
        assert_eq!(
            told(little, app, "{}"),
            [
                format!("spec.resources.requests[cpu]: \"0.1599\" {why} 160m"),
                format!("spec.resources.requests[memory]: \"153Mi\" {why} 154Mi"),
            ]
        );
        assert_eq!(told(r#"{"requests":{"cpu":"160m"}}"#, app, r#"{"nativeSidecars":false}"#), [""; 0]);
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
