//! The Kubernetes side: what is added to a pod.

mod container;
mod edit;
mod env;
pub mod envoy_args;
mod ports;
mod scripts;

pub use edit::inject;
pub use env::Environment;
pub use ports::EnvoyPorts;

use crate::annotations::Wanted;
use crate::pod::{Head, Spec};
use crate::problem::{Problem, Warning};
use crate::settings::Settings;

pub const INIT: &str = "consul-connect-inject-init";
pub const ENVOY: &str = "consul-connect-envoy-sidecar";
pub const LIFECYCLE: &str = "consul-connect-lifecycle-sidecar";
/// The names of the injected containers.
pub const CONTAINERS: &[&str] = &[INIT, ENVOY, LIFECYCLE];

/// What the injected containers share, in memory.
pub const DATA_VOLUME: &str = "consul-connect-inject-data";
/// The pod's identity for Consul's auth method.
pub const TOKEN_VOLUME: &str = "consul-connect-inject-token";
/// Stands where the API server would mount the app's own token.
pub const EMPTY_VOLUME: &str = "consul-connect-inject-no-token";
/// The names of the injected volumes.
pub const VOLUMES: &[&str] = &[DATA_VOLUME, TOKEN_VOLUME, EMPTY_VOLUME];

/// As many variables as a pod's text can be given in a small part of a second.
const VARIABLES_LIMIT: usize = 50_000;

/// The problem of a pod with so many containers and upstreams that their variables
/// would make it too large.
pub fn too_many_variables(wanted: &Wanted, spec: &Spec<'_>) -> Option<Problem> {
    let containers = spec.containers.len().saturating_add(spec.init_containers.len());
    let variables = wanted.upstreams.len().saturating_mul(2).saturating_mul(containers);
    (variables > VARIABLES_LIMIT).then(|| {
        let why = format!(
            "need {variables} variables in the pod's {containers} containers, over {VARIABLES_LIMIT}"
        );
        Problem::new("the pod's upstreams", why, "use fewer upstreams or fewer containers")
    })
}

/// What is worth saying about a pod of a Job with ordinary sidecars.
pub fn unfinished_job(spec: &Spec<'_>, head: &Head<'_>, settings: &Settings) -> Option<Warning> {
    (!settings.native_sidecars && will_not_finish(spec, head)).then(|| {
        Warning::new(
            "this pod is meant to finish and will not, since the sidecars go on running; ask the policy's administrator for nativeSidecars: true, or opt out of injection",
        )
    })
}

fn will_not_finish(spec: &Spec<'_>, head: &Head<'_>) -> bool {
    let owned_by_job = head.metadata.get("ownerReferences").is_some_and(|raw| raw.text().contains("\"Job\""));
    owned_by_job || !matches!(spec.restart_policy.as_ref(), "" | "Always")
}
