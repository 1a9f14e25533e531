//! The scripts of the injected containers. `build.rs` takes them from
//! `scripts/*.sh`, without their comments and escaped as the inside of a JSON
//! string, so that nothing is left to do for each pod.
//!
//! What a script is for is often a setting or two: each pod is stored and sent with
//! its scripts, so it has the parts of what is on. The scripts call a part where the
//! variables say so that the pod has just then.

use crate::decision::Injection;
use crate::settings::Settings;

macro_rules! script {
    ($name:literal) => {
        include_str!(concat!(env!("OUT_DIR"), "/", $name))
    };
}

/// For lifecycle hooks, which the kubelet does not expand: as they are. All others are
/// for `command` and `args`, where `build.rs` protects them.
pub const LIFECYCLE_PRE_STOP: &str = script!("lifecycle-pre-stop.sh");
pub const ENVOY_PRE_STOP: &str = script!("envoy-pre-stop.sh");

/// What the init container is given, and leaves in the shared volume for the
/// lifecycle sidecar: the pod carries it once.
pub fn common(settings: &Settings) -> [&'static str; 4] {
    let acl = settings.acl_auth_method.is_some();
    [
        script!("common.sh"),
        part(settings.tls.is_some(), script!("tls.sh")),
        part(acl, script!("acl.sh")),
        part(acl && settings.envoy_watches_token, script!("envoy-token.sh")),
    ]
}

pub fn init(injection: &Injection<'_>) -> [&'static str; 3] {
    [
        part(injection.namespace.is_some(), script!("namespace.sh")),
        part(injection.wanted.protocol.is_some(), script!("service-defaults.sh")),
        script!("init.sh"),
    ]
}

pub fn lifecycle(injection: &Injection<'_>) -> [&'static str; 3] {
    [
        part(injection.settings.acl_auth_method.is_some(), script!("acl-lifecycle.sh")),
        part(injection.listener().is_some(), script!("listener.sh")),
        script!("lifecycle.sh"),
    ]
}

/// How many bytes the scripts of a pod are.
pub fn length(injection: &Injection<'_>) -> usize {
    let (common, init, lifecycle) = (common(&injection.settings), init(injection), lifecycle(injection));
    let ordinary = part(!injection.settings.native_sidecars, ENVOY_PRE_STOP);
    // Envoy and the lifecycle sidecar both have it.
    let hooks = [LIFECYCLE_PRE_STOP, ordinary, ordinary];
    let all = common.iter().chain(&init).chain(&lifecycle).chain(&hooks);
    all.fold(0, |length, part| length.saturating_add(part.len()))
}

fn part(there: bool, script: &'static str) -> &'static str {
    if there { script } else { "" }
}
