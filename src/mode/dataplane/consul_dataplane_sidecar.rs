//! The proxy's container: consul-dataplane logs in to Consul, runs Envoy and answers DNS queries.

use k8s_openapi::api::core::v1::{Container, ContainerPort, EnvVar, VolumeMount};

use super::injection::Injection;
use super::pod_options::PodOptions;
use super::proxy::{Proxy, Token};
use super::volumes::AccessLog;
use super::{ports, users};
use crate::k8s::kubelet;
use crate::mode::shared::env::{expanded, field, literal};
use crate::mode::shared::resources::requirements;
use crate::mode::shared::volumes::{DATA, DATA_PATH, mount};

pub fn container(injection: &Injection<'_>, proxy: &Proxy<'_>) -> Container {
    let Injection { settings, options, .. } = injection;
    let health = &options.health;
    let native = options.native.as_ref();
    let startup_probe = match native {
        Some(native) => Some(native.startup(settings.addresses, health, proxy.index)),
        None => health.startup(proxy.index),
    };
    let ports = container_ports(injection, proxy);
    Container {
        name: proxy.sidecar_name(),
        image: Some(settings.image_dataplane.clone()),
        image_pull_policy: settings.image_pull_policy.clone(),
        args: Some(args(injection, proxy)),
        env: Some(env(injection, proxy)),
        ports: (!ports.is_empty()).then_some(ports),
        readiness_probe: Some(health.readiness(proxy.index)),
        startup_probe,
        liveness_probe: health.liveness(proxy.index),
        resources: Some(requirements(&options.resources)),
        restart_policy: native.map(|_| "Always".to_owned()),
        security_context: Some(users::sidecar_context(settings)),
        volume_mounts: Some(
            [injected_mounts(options, proxy), options.volumes.sidecar_mounts.clone()].concat(),
        ),
        ..Container::default()
    }
}

fn args(injection: &Injection<'_>, proxy: &Proxy<'_>) -> Vec<String> {
    let Injection { settings, options, .. } = injection;
    let loopback = settings.addresses.loopback();
    let mut args = vec![
        "-addresses".to_owned(),
        settings.servers.address.clone(),
        format!("-envoy-admin-bind-address={loopback}"),
        format!("-consul-dns-bind-addr={loopback}"),
        format!("-xds-bind-addr={loopback}"),
        format!("-grpc-port={}", settings.servers.grpc_port),
        format!("-proxy-service-id-path={}", proxy.id_file()),
        format!("-log-level={}", settings.log.level),
        format!("-log-json={}", settings.log.json),
        format!("-envoy-concurrency={}", options.concurrency),
        format!("-graceful-addr={loopback}"),
    ];
    if settings.servers.skip_server_watch {
        args.push("-server-watch-disabled=true".to_owned());
    }
    args.extend(login_args(injection, proxy));
    args.extend(tls_args(injection));
    if options.health.ready_port {
        args.push(format!("-envoy-ready-bind-port={}", ports::READY.saturating_add(proxy.index)));
    }
    if proxy.service.is_some() {
        args.push(format!("-envoy-admin-bind-port={}", admin_port(proxy)));
    }
    args.extend(options.lifecycle.args(proxy.index));
    args.extend(options.metrics.args(settings.addresses));
    if options.dns.is_some() {
        args.push(format!("-consul-dns-bind-port={}", ports::DNS));
    }
    let base_id = proxy.service.map(|_| ["--base-id".to_owned(), proxy.index.to_string()]);
    let envoys = options.envoy_args.iter().map(|word| kubelet::literal(word));
    let envoys: Vec<String> = base_id.into_iter().flatten().chain(envoys).collect();
    if !envoys.is_empty() {
        args.push("--".to_owned());
        args.extend(envoys);
    }
    args
}

fn login_args(injection: &Injection<'_>, proxy: &Proxy<'_>) -> Vec<String> {
    let settings = injection.settings;
    let mut args = Vec::new();
    let partition = settings.partition.as_ref();
    if let (Some(method), Some(token)) = (&settings.auth_method, &proxy.token) {
        args.push("-credential-type=login".to_owned());
        args.push(format!("-login-auth-method={method}"));
        args.push(format!("-login-bearer-token-path={}", token.file()));
        args.extend(injection.namespace.map(|namespace| format!("-login-namespace={}", namespace.login)));
        args.extend(partition.map(|partition| format!("-login-partition={partition}")));
    }
    args.extend(injection.namespace.map(|namespace| format!("-service-namespace={}", namespace.name)));
    args.extend(partition.map(|partition| format!("-service-partition={partition}")));
    args
}

fn tls_args(injection: &Injection<'_>) -> Vec<String> {
    let Some(tls) = &injection.settings.tls else { return vec!["-tls-disabled".to_owned()] };
    let server_name = tls.server_name.as_ref().map(|name| format!("-tls-server-name={name}"));
    let ca = (!tls.ca_cert.is_empty()).then(|| format!("-ca-certs={DATA_PATH}/consul-ca.pem"));
    server_name.into_iter().chain(ca).collect()
}

fn admin_port(proxy: &Proxy<'_>) -> u16 {
    ports::ADMIN.saturating_add(proxy.index)
}

/// The controller finds a pod's tokens by the metadata of the login.
fn env(injection: &Injection<'_>, proxy: &Proxy<'_>) -> Vec<EnvVar> {
    let pod = "pod=$(POD_NAMESPACE)/$(POD_NAME)";
    let mut env = vec![
        literal("TMPDIR", DATA_PATH),
        field("NODE_NAME", "spec.nodeName"),
        expanded("DP_SERVICE_NODE_NAME", "$(NODE_NAME)-virtual"),
        field("POD_NAME", "metadata.name"),
        field("POD_NAMESPACE", "metadata.namespace"),
        field("POD_UID", "metadata.uid"),
        expanded("DP_CREDENTIAL_LOGIN_META", pod),
        expanded("DP_CREDENTIAL_LOGIN_META1", pod),
        expanded("DP_CREDENTIAL_LOGIN_META2", "pod-uid=$(POD_UID)"),
        field("HOST_IP", "status.hostIP"),
    ];
    if injection.options.health.ready_port {
        env.push(field("DP_ENVOY_READY_BIND_ADDRESS", "status.podIP"));
    }
    if proxy.service.is_some() {
        // The startup probe's command would otherwise check the first proxy.
        env.push(literal("DP_ENVOY_ADMIN_BIND_PORT", &admin_port(proxy).to_string()));
    }
    env
}

fn container_ports(injection: &Injection<'_>, proxy: &Proxy<'_>) -> Vec<ContainerPort> {
    let prometheus = injection.options.metrics.scrape.container_port();
    injection.options.health.container_port(proxy.index).into_iter().chain(prometheus).collect()
}

/// The mounts of the injected volumes.
pub fn injected_mounts(options: &PodOptions, proxy: &Proxy<'_>) -> Vec<VolumeMount> {
    let mut mounts = vec![mount(DATA, DATA_PATH)];
    mounts.extend(proxy.token.as_ref().map(Token::mount));
    mounts.extend(options.access_log.as_ref().map(AccessLog::mount));
    mounts
}
