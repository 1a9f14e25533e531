//! The scripts of the injected containers: `scripts/*.sh`, prepared by `build.rs`.
//!
//! Each pod is stored and sent with its scripts, so it has only the parts that its settings and
//! annotations require. Variables tell the scripts which parts the pod has.

use k8s_openapi::api::core::v1::{ExecAction, Lifecycle, LifecycleHandler};

use super::injection::Injection;

macro_rules! script {
    ($name:literal) => {
        include_str!(concat!(env!("OUT_DIR"), "/", $name))
    };
}

const ENVOY_PRE_STOP: &str = script!("envoy-pre-stop.sh");
const LIFECYCLE_POST_START: &str = script!("lifecycle-post-start.sh");
const LIFECYCLE_PRE_STOP: &str = script!("lifecycle-pre-stop.sh");

/// The init container's command. The common part is an argument, which the init container saves
/// in the shared volume for the lifecycle sidecar.
pub fn init(injection: &Injection<'_>) -> Vec<String> {
    let settings = injection.settings;
    let acls = settings.acl_auth_method.is_some();
    let script = parts(&[
        (injection.namespace.is_some(), script!("namespace.sh")),
        (injection.service.protocol.is_some(), script!("service-defaults.sh")),
        (true, script!("init.sh")),
    ]);
    let common = parts(&[
        (true, script!("common.sh")),
        (settings.tls.is_some(), script!("tls.sh")),
        (acls, script!("acl.sh")),
        (acls && settings.envoy.reads_token_file, script!("envoy-token.sh")),
    ]);
    let mut command = shell(script);
    command.extend(["sh".to_owned(), common]);
    command
}

/// The lifecycle sidecar's command.
pub fn lifecycle(injection: &Injection<'_>) -> Vec<String> {
    shell(parts(&[
        (injection.settings.acl_auth_method.is_some(), script!("acl-lifecycle.sh")),
        (injection.listener_port.is_some(), script!("listener.sh")),
        (true, script!("lifecycle.sh")),
    ]))
}

/// If sidecars are ordinary containers, Envoy waits until the app has stopped.
pub fn envoy_hooks(native_sidecars: bool) -> Option<Lifecycle> {
    (!native_sidecars)
        .then(|| Lifecycle { pre_stop: Some(hook(ENVOY_PRE_STOP.to_owned())), ..Default::default() })
}

/// The postStart hook of a native sidecar delays the start of the containers after it until Envoy
/// listens; a startup probe would take a second longer. The preStop hook removes the pod from load
/// balancing; that of an ordinary sidecar then waits like Envoy's.
pub fn lifecycle_hooks(native_sidecars: bool) -> Lifecycle {
    Lifecycle {
        post_start: native_sidecars.then(|| hook(LIFECYCLE_POST_START.to_owned())),
        pre_stop: Some(hook(parts(&[(true, LIFECYCLE_PRE_STOP), (!native_sidecars, ENVOY_PRE_STOP)]))),
        ..Default::default()
    }
}

fn hook(script: String) -> LifecycleHandler {
    let exec = ExecAction { command: Some(shell(script)) };
    LifecycleHandler { exec: Some(exec), ..Default::default() }
}

fn parts(parts: &[(bool, &str)]) -> String {
    parts.iter().filter(|(needed, _)| *needed).map(|(_, part)| *part).collect()
}

fn shell(script: String) -> Vec<String> {
    vec!["/bin/sh".to_owned(), "-c".to_owned(), script]
}
