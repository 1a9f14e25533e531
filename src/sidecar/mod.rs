//! The Kubernetes side: what is added to a pod.

mod container;
mod edit;
mod env;
pub mod envoy_args;
mod ports;
mod scripts;

pub use edit::inject;

use crate::annotations::Wanted;
use crate::consul::namespace::Namespace;
use crate::consul::registration::{Family, Registration};
use crate::pod::{Head, Spec};
use crate::problem::{Problem, Quoted, Warning};
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

/// A single string of a process's environment may have 128 KiB on Linux.
const DOCUMENT_LIMIT: usize = 100 * 1024;

/// The problem of a pod whose registration does not fit into a variable.
pub fn too_large(
    wanted: &Wanted,
    spec: &Spec<'_>,
    namespace: Option<&Namespace>,
    settings: &Settings,
) -> Option<Problem> {
    let registration = Registration { wanted, namespace, public_port: ports::PUBLIC };
    let readiness = edit::readiness(wanted, spec, settings, Family::Ipv6);
    let size = registration.document(Family::Ipv6, readiness).into_inner().len();
    (size > DOCUMENT_LIMIT).then(|| {
        let why =
            format!("is {size} bytes long, over the {DOCUMENT_LIMIT} that fit into a container's variable");
        Problem::new(
            "the service's registration",
            why,
            "use fewer or shorter upstreams, tags, metadata or probe headers",
        )
    })
}

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

/// What is worth saying about a pod that is injected.
pub fn warnings(wanted: &Wanted, spec: &Spec<'_>, head: &Head<'_>, settings: &Settings) -> Vec<Warning> {
    let (variables, mut warnings) = env::upstream_variables(&wanted.upstreams);
    for container in spec.containers.iter().chain(&spec.init_containers) {
        let own = container.env_names();
        for (name, _) in variables.iter().filter(|(name, _)| own.iter().any(|own| own == name)) {
            warnings.push(Warning::new(&format!(
                "container {}: its own variable {} is kept, so it does not hold the upstream's address; remove it from the container to have it set",
                Quoted(&container.name, 40),
                Quoted(name, 60)
            )));
        }
    }
    if !settings.native_sidecars && will_not_finish(spec, head) {
        warnings.push(Warning::new(
            "this pod is meant to finish and will not, since the sidecars go on running; ask the policy's administrator for nativeSidecars: true, or opt out of injection",
        ));
    }
    warnings
}

fn will_not_finish(spec: &Spec<'_>, head: &Head<'_>) -> bool {
    let owned_by_job = head.metadata.get("ownerReferences").is_some_and(|raw| raw.get().contains("\"Job\""));
    owned_by_job || !matches!(spec.restart_policy.as_ref(), "" | "Always")
}
