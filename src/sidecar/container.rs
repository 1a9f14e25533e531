//! The injected containers and volumes.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Capabilities, Container, EmptyDirVolumeSource, EnvVar, ExecAction, Lifecycle, LifecycleHandler, Probe,
    ProjectedVolumeSource, ResourceRequirements, SeccompProfile, SecurityContext,
    ServiceAccountTokenProjection, TCPSocketAction, Volume, VolumeMount, VolumeProjection,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::edit::Plan;
use super::env::{field, value};
use super::{DATA_VOLUME, EMPTY_VOLUME, ENVOY, INIT, LIFECYCLE, TOKEN_VOLUME, scripts};
use crate::consul::registration::{EnvText, Family, service_defaults};
use crate::settings::Resources;

/// Where the shared volume is mounted.
const DATA_PATH: &str = "/consul/connect-inject";
const BOOTSTRAP_FILE: &str = "/consul/connect-inject/envoy-bootstrap.json";
/// Where Kubernetes mounts service-account tokens.
const TOKEN_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// The user and group of the original injector's containers.
const USER: i64 = 5995;

pub fn init(plan: &Plan<'_>) -> Container {
    let mut env = agent_env(plan);
    let registration = plan.registration();
    let document = |family| registration.document(family, plan.readiness(family));
    env.push(value("CONNECT_INJECT_REGISTRATION", document(Family::Ipv4)));
    env.push(value("CONNECT_INJECT_REGISTRATION_IPV6", document(Family::Ipv6)));
    // The lifecycle sidecar finds it in the shared volume.
    if let Some(tls) = &plan.settings.tls {
        env.push(value("CONNECT_INJECT_TLS_CA", EnvText::literal(&tls.ca_cert)));
    }
    if let Some(entry) = service_defaults(plan.wanted, plan.namespace) {
        env.push(value("CONNECT_INJECT_SERVICE_DEFAULTS", entry));
    }
    if let Some(namespace) = plan.namespace {
        let document = EnvText::literal(&crate::json::encode(&namespace.document()));
        env.push(value("CONNECT_INJECT_NAMESPACE_DOCUMENT", document));
    }
    Container {
        name: INIT.to_owned(),
        image: Some(plan.settings.image_consul.clone()),
        command: Some(shell(scripts::INIT)),
        env: Some(env),
        resources: Some(resources(&plan.settings.init_resources)),
        volume_mounts: Some(mounts(plan, true)),
        ..common(plan)
    }
}

pub fn envoy(plan: &Plan<'_>) -> Container {
    let extra = plan.wanted.envoy_args.as_ref().unwrap_or(&plan.settings.envoy_extra_args);
    let mut args = vec!["--config-path".to_owned(), BOOTSTRAP_FILE.to_owned()];
    if !extra.has("--disable-hot-restart") {
        args.push("--disable-hot-restart".to_owned());
    }
    if plan.settings.envoy_concurrency > 0 && !extra.has("--concurrency") {
        args.extend(["--concurrency".to_owned(), plan.settings.envoy_concurrency.to_string()]);
    }
    args.extend(extra.iter().map(|word| EnvText::literal(word).into_inner()));
    let classic = !plan.settings.native_sidecars;
    Container {
        name: ENVOY.to_owned(),
        image: Some(plan.settings.image_envoy.clone()),
        command: Some(vec!["envoy".to_owned()]),
        args: Some(args),
        env: classic.then(|| linger_env(plan)),
        lifecycle: classic.then(|| pre_stop(scripts::ENVOY_PRE_STOP)),
        // The containers after Envoy start when its public listener answers.
        startup_probe: Some(Probe {
            tcp_socket: Some(TCPSocketAction {
                port: IntOrString::Int(i32::from(plan.ports.public)),
                ..TCPSocketAction::default()
            }),
            period_seconds: Some(1),
            timeout_seconds: Some(5),
            failure_threshold: Some(120),
            ..Probe::default()
        }),
        resources: Some(resources(&plan.wanted.envoy_resources)),
        volume_mounts: Some(mounts(plan, false)),
        ..sidecar(plan)
    }
}

pub fn lifecycle(plan: &Plan<'_>) -> Container {
    let mut env = agent_env(plan);
    env.push(value("CONNECT_INJECT_SYNC_PERIOD", EnvText::literal(&plan.wanted.sync_period.as_seconds())));
    // Both families ask for the same kind of check.
    let unchecked = plan.readiness(Family::Ipv4).is_none();
    if let Some(port) = plan.wanted.port.as_ref().filter(|_| unchecked) {
        env.push(value("CONNECT_INJECT_LISTENER_PORT", EnvText::literal(&port.number.to_string())));
    }
    if !plan.settings.native_sidecars {
        env.extend(linger_env(plan));
    }
    let mut stop = scripts::LIFECYCLE_PRE_STOP.to_owned();
    if !plan.settings.native_sidecars {
        stop.push_str(scripts::ENVOY_PRE_STOP);
    }
    Container {
        name: LIFECYCLE.to_owned(),
        image: Some(plan.settings.image_consul.clone()),
        command: Some(shell(scripts::LIFECYCLE)),
        env: Some(env),
        lifecycle: Some(pre_stop(&stop)),
        resources: Some(resources(&plan.settings.lifecycle_resources)),
        volume_mounts: Some(mounts(plan, true)),
        ..sidecar(plan)
    }
}

fn common(plan: &Plan<'_>) -> Container {
    let ids = (!plan.settings.openshift).then_some(USER);
    Container {
        image_pull_policy: plan.settings.image_pull_policy.map(str::to_owned),
        // What the Pod Security Standard `restricted` asks for, and more.
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            capabilities: Some(Capabilities {
                drop: Some(vec!["ALL".to_owned()]),
                ..Capabilities::default()
            }),
            privileged: Some(false),
            read_only_root_filesystem: Some(true),
            run_as_group: ids,
            run_as_non_root: Some(true),
            run_as_user: ids,
            seccomp_profile: Some(SeccompProfile {
                type_: "RuntimeDefault".to_owned(),
                ..SeccompProfile::default()
            }),
            ..SecurityContext::default()
        }),
        ..Container::default()
    }
}

fn sidecar(plan: &Plan<'_>) -> Container {
    let restart_policy = plan.settings.native_sidecars.then(|| "Always".to_owned());
    Container { restart_policy, ..common(plan) }
}

fn shell(script: &str) -> Vec<String> {
    vec!["/bin/sh".to_owned(), "-c".to_owned(), script.to_owned()]
}

fn pre_stop(script: &str) -> Lifecycle {
    Lifecycle {
        pre_stop: Some(LifecycleHandler {
            exec: Some(ExecAction { command: Some(shell(script)) }),
            ..LifecycleHandler::default()
        }),
        ..Lifecycle::default()
    }
}

/// How both scripts reach the agent, and the ids that they register and keep.
fn agent_env(plan: &Plan<'_>) -> Vec<EnvVar> {
    let settings = plan.settings;
    let registration = plan.registration();
    let literal = |name: &str, text: &str| value(name, EnvText::literal(text));
    let mut env = vec![
        field("POD_NAME", "metadata.name"),
        field("POD_NAMESPACE", "metadata.namespace"),
        field("POD_IP", "status.podIP"),
        field("HOST_IP", "status.hostIP"),
        literal("CONNECT_INJECT_AGENT_SCHEME", if settings.tls.is_some() { "https" } else { "http" }),
        literal("CONNECT_INJECT_AGENT_PORT", &settings.http_port.to_string()),
        literal("CONNECT_INJECT_GRPC_PORT", &settings.grpc_port.to_string()),
        literal("CONNECT_INJECT_ENVOY_ADMIN", &plan.ports.admin.to_string()),
        value("CONNECT_INJECT_SERVICE_ID", registration.service_id()),
        value("CONNECT_INJECT_PROXY_ID", registration.proxy_id()),
        value("CONNECT_INJECT_CHECK_ID", registration.check_id()),
    ];
    if let Some(tls) = &settings.tls {
        env.extend(tls.server_name.as_ref().map(|name| literal("CONNECT_INJECT_TLS_SERVER_NAME", name)));
    }
    if let Some(method) = &settings.acl_auth_method {
        env.push(literal("CONNECT_INJECT_AUTH_METHOD", method));
    }
    if let Some(namespace) = plan.namespace {
        env.push(literal("CONNECT_INJECT_NAMESPACE", &namespace.name));
        if settings.acl_auth_method.is_some() {
            env.push(literal("CONNECT_INJECT_LOGIN_NAMESPACE", &namespace.login));
        }
    }
    env
}

/// For ordinary sidecars, which are told to end together with the app: how long
/// they wait for it, and by which listener they see that it has ended.
fn linger_env(plan: &Plan<'_>) -> Vec<EnvVar> {
    let linger = (plan.termination_grace_seconds / 3).max(1).min(plan.termination_grace_seconds);
    let mut env = vec![value("CONNECT_INJECT_LINGER", EnvText::literal(&linger.to_string()))];
    if let Some(port) = &plan.wanted.port {
        env.push(value("CONNECT_INJECT_LINGER_PORT", EnvText::literal(&port.number.to_string())));
    }
    env
}

fn resources(resources: &Resources) -> ResourceRequirements {
    let amounts = |amounts: &BTreeMap<String, crate::settings::Amount>| {
        let amounts: BTreeMap<_, _> = amounts
            .iter()
            .map(|(name, amount)| (name.clone(), Quantity(amount.quantity.as_str().to_owned())))
            .collect();
        (!amounts.is_empty()).then_some(amounts)
    };
    ResourceRequirements {
        limits: amounts(&resources.limits),
        requests: amounts(&resources.requests),
        ..ResourceRequirements::default()
    }
}

fn mounts(plan: &Plan<'_>, logs_in: bool) -> Vec<VolumeMount> {
    let mount = |name: &str, path: &str, read_only| VolumeMount {
        name: name.to_owned(),
        mount_path: path.to_owned(),
        read_only,
        ..VolumeMount::default()
    };
    let token = if logs_in && plan.settings.acl_auth_method.is_some() { TOKEN_VOLUME } else { EMPTY_VOLUME };
    vec![mount(DATA_VOLUME, DATA_PATH, None), mount(token, TOKEN_PATH, Some(true))]
}

pub fn volumes(plan: &Plan<'_>) -> Vec<Volume> {
    let empty_dir = |name: &str, medium: Option<&str>| Volume {
        name: name.to_owned(),
        empty_dir: Some(EmptyDirVolumeSource {
            medium: medium.map(str::to_owned),
            ..EmptyDirVolumeSource::default()
        }),
        ..Volume::default()
    };
    let mut volumes = vec![empty_dir(DATA_VOLUME, Some("Memory")), empty_dir(EMPTY_VOLUME, None)];
    if plan.settings.acl_auth_method.is_some() {
        volumes.push(Volume {
            name: TOKEN_VOLUME.to_owned(),
            projected: Some(ProjectedVolumeSource {
                default_mode: Some(0o444),
                sources: Some(vec![VolumeProjection {
                    service_account_token: Some(ServiceAccountTokenProjection {
                        path: "token".to_owned(),
                        expiration_seconds: Some(3600),
                        ..ServiceAccountTokenProjection::default()
                    }),
                    ..VolumeProjection::default()
                }]),
            }),
            ..Volume::default()
        });
    }
    volumes
}
