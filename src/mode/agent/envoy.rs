//! Envoy's container.

use k8s_openapi::api::core::v1::{Container, Probe, TCPSocketAction};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::injection::Injection;
use super::names::ENVOY;
use super::{scripts, volumes};
use crate::k8s::kubelet;
use crate::mode::shared::volumes::DATA_PATH;

pub fn container(injection: &Injection<'_>) -> Container {
    let settings = injection.settings;
    let env = injection.linger_env();
    Container {
        command: Some(vec!["envoy".to_owned()]),
        args: Some(args(injection)),
        env: (!env.is_empty()).then_some(env),
        ports: injection.service.metrics.container_port().map(|port| vec![port]),
        lifecycle: scripts::envoy_hooks(settings.native_sidecars),
        startup_probe: (!settings.native_sidecars).then(|| public_listener(injection.ports.public)),
        restart_policy: injection.sidecar_restart_policy(),
        volume_mounts: Some(volumes::envoy_mounts()),
        ..injection.container(ENVOY, &settings.envoy.image, &injection.service.envoy_resources)
    }
}

/// Envoy does not start with a flag given twice, so the user's flags override the policy's.
fn args(injection: &Injection<'_>) -> Vec<String> {
    let settings = &injection.settings.envoy;
    let extra = injection.service.envoy_args.as_ref().unwrap_or(&settings.extra_args);
    let mut args = vec!["--config-path".to_owned(), format!("{}/envoy-bootstrap.json", DATA_PATH)];
    if !extra.has("--disable-hot-restart") {
        args.push("--disable-hot-restart".to_owned());
    }
    if settings.concurrency > 0 && !extra.has("--concurrency") {
        args.extend(["--concurrency".to_owned(), settings.concurrency.to_string()]);
    }
    args.extend(extra.iter().map(kubelet::literal));
    args
}

/// With ordinary sidecars, the pod is not ready before Envoy listens. With native sidecars, the
/// lifecycle sidecar's postStart hook waits for Envoy.
fn public_listener(port: u16) -> Probe {
    Probe {
        tcp_socket: Some(TCPSocketAction { host: None, port: IntOrString::Int(port.into()) }),
        period_seconds: Some(1),
        timeout_seconds: Some(5),
        failure_threshold: Some(120),
        ..Default::default()
    }
}
