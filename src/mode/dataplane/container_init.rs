//! The init container waits until the pod is registered, writes the proxy's ID for
//! consul-dataplane, and redirects the pod's traffic.

use k8s_openapi::api::core::v1::{Container, EnvVar};

use super::injection::Injection;
use super::proxy::{Proxy, Token};
use super::users;
use crate::consul::service_name::ServiceName;
use crate::mode::shared::env::{expanded, field, literal};
use crate::mode::shared::resources::requirements;
use crate::mode::shared::volumes::{DATA, DATA_PATH, mount};

pub fn container(injection: &Injection<'_>, proxy: &Proxy<'_>) -> Container {
    let settings = injection.settings;
    let data = mount(DATA, DATA_PATH);
    let token = proxy.token.as_ref().map(Token::mount);
    let redirects = injection.redirection.is_some() && !settings.cni;
    Container {
        name: proxy.init_name(),
        image: Some(settings.image_k8s.clone()),
        image_pull_policy: settings.image_pull_policy.clone(),
        command: Some(vec!["consul-k8s-control-plane".to_owned()]),
        args: Some(args(injection, proxy)),
        env: Some(env(injection, proxy)),
        resources: Some(requirements(&settings.init_resources)),
        security_context: Some(users::init_context(settings, redirects)),
        volume_mounts: Some([data].into_iter().chain(token).collect()),
        ..Container::default()
    }
}

fn args(injection: &Injection<'_>, proxy: &Proxy<'_>) -> Vec<String> {
    let settings = injection.settings;
    let mut args = vec![
        "connect-init".to_owned(),
        "-pod-name=$(POD_NAME)".to_owned(),
        "-pod-namespace=$(POD_NAMESPACE)".to_owned(),
        format!("-log-level={}", settings.log.level),
        format!("-log-json={}", settings.log.json),
    ];
    let acls = settings.auth_method.is_some();
    match proxy.service {
        Some(service) => {
            if acls {
                args.push(format!("-service-account-name={service}"));
            }
            args.push(format!("-service-name={service}"));
            args.push("-multiport=true".to_owned());
            args.push(format!("-proxy-id-file={}", proxy.id_file()));
        }
        None if acls => {
            let name = injection.options.services.names.first();
            args.push(format!("-service-account-name={}", injection.service_account));
            args.push(format!("-service-name={}", name.map(ServiceName::as_str).unwrap_or_default()));
        }
        None => (),
    }
    args
}

fn env(injection: &Injection<'_>, proxy: &Proxy<'_>) -> Vec<EnvVar> {
    let settings = injection.settings;
    let servers = &settings.servers;
    let mut env = vec![
        field("POD_NAME", "metadata.name"),
        field("POD_NAMESPACE", "metadata.namespace"),
        field("NODE_NAME", "spec.nodeName"),
        literal("CONSUL_ADDRESSES", &servers.address),
        literal("CONSUL_GRPC_PORT", &servers.grpc_port.to_string()),
        literal("CONSUL_HTTP_PORT", &servers.http_port.to_string()),
        literal("CONSUL_API_TIMEOUT", &servers.api_timeout),
        expanded("CONSUL_NODE_NAME", "$(NODE_NAME)-virtual"),
        literal("CONSUL_DUAL_STACK", &settings.addresses.dual_stack.to_string()),
    ];
    if let Some(tls) = &settings.tls {
        env.push(literal("CONSUL_USE_TLS", "true"));
        env.push(literal("CONSUL_CACERT_PEM", &tls.ca_cert));
        env.push(literal("CONSUL_TLS_SERVER_NAME", tls.server_name.as_deref().unwrap_or_default()));
    }
    if let (Some(method), Some(token)) = (&settings.auth_method, &proxy.token) {
        env.push(literal("CONSUL_LOGIN_AUTH_METHOD", method));
        env.push(literal("CONSUL_LOGIN_BEARER_TOKEN_FILE", &token.file()));
        env.push(expanded("CONSUL_LOGIN_META", "pod=$(POD_NAMESPACE)/$(POD_NAME)"));
        env.extend(injection.namespace.map(|namespace| literal("CONSUL_LOGIN_NAMESPACE", &namespace.login)));
        env.extend(settings.partition.as_ref().map(|partition| literal("CONSUL_LOGIN_PARTITION", partition)));
    }
    env.extend(injection.namespace.map(|namespace| literal("CONSUL_NAMESPACE", &namespace.name)));
    env.extend(settings.partition.as_ref().map(|partition| literal("CONSUL_PARTITION", partition)));
    let redirection = injection.redirection.as_ref().filter(|_| !settings.cni);
    env.extend(redirection.map(|config| literal("CONSUL_REDIRECT_TRAFFIC_CONFIG", config)));
    env
}
