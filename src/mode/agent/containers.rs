//! The injected containers and volumes. `tests/policy.rs` reads what is written
//! here back with Kubernetes' own types.

use json_text::{List, Object};

use super::{DATA_VOLUME, EMPTY_VOLUME, ENVOY, INIT, LIFECYCLE, TOKEN_VOLUME, scripts};
use crate::consul::registration::service_defaults;
use crate::decision::Injection;
use crate::env_text::EnvText;
use crate::settings::{Amounts, Resources};

/// Where the shared volume is mounted.
const DATA_PATH: &str = "/consul/connect-inject";
const BOOTSTRAP_FILE: &str = "/consul/connect-inject/envoy-bootstrap.json";
/// Where Kubernetes mounts service-account tokens.
const TOKEN_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// What the Pod Security Standard `restricted` asks for, and more; the user and group
/// are those of the original injector's containers.
const RESTRICTED: &str = r#"{"allowPrivilegeEscalation":false,"capabilities":{"drop":["ALL"]},"privileged":false,"readOnlyRootFilesystem":true,"runAsGroup":5995,"runAsNonRoot":true,"runAsUser":5995,"seccompProfile":{"type":"RuntimeDefault"}}"#;
/// Without the ids, which `OpenShift` chooses.
const OPENSHIFT: &str = r#"{"allowPrivilegeEscalation":false,"capabilities":{"drop":["ALL"]},"privileged":false,"readOnlyRootFilesystem":true,"runAsNonRoot":true,"seccompProfile":{"type":"RuntimeDefault"}}"#;
/// Variables that the kubelet fills in from the pod.
///
/// <https://kubernetes.io/docs/concepts/workloads/pods/downward-api/>
const POD_NAME: &str = r#"{"name":"POD_NAME","valueFrom":{"fieldRef":{"fieldPath":"metadata.name"}}}"#;
const POD_NAMESPACE: &str =
    r#"{"name":"POD_NAMESPACE","valueFrom":{"fieldRef":{"fieldPath":"metadata.namespace"}}}"#;
const POD_IP: &str = r#"{"name":"POD_IP","valueFrom":{"fieldRef":{"fieldPath":"status.podIP"}}}"#;
const HOST_IP: &str = r#"{"name":"HOST_IP","valueFrom":{"fieldRef":{"fieldPath":"status.hostIP"}}}"#;

pub fn init(container: &mut Object<'_>, injection: &Injection<'_>) {
    let settings = &injection.settings;
    container.constant("name", INIT);
    container.string("image", &settings.image_consul);
    let defaults = service_defaults(&injection.wanted, injection.namespace.as_ref());
    shell(container, &scripts::init(injection), &scripts::common(settings));
    container.list("env", |env| {
        // The registration has them all.
        env.encoded(POD_NAMESPACE);
        env.encoded(POD_IP);
        agent_env(env, injection);
        bootstrap_env(env, injection);
        env.object(|variable| {
            variable.constant("name", "CONNECT_INJECT_REGISTRATION");
            variable.object_in_string("value", |document| {
                injection.registration.write(document, &injection.wanted, injection.namespace.as_ref());
            });
        });
        // The lifecycle sidecar finds it in the shared volume.
        if let Some(tls) = &settings.tls {
            literal(env, "CONNECT_INJECT_TLS_CA", &tls.ca_cert);
        }
        if let Some(entry) = &defaults {
            variable(env, "CONNECT_INJECT_SERVICE_DEFAULTS", entry);
        }
        if let Some(namespace) = &injection.namespace {
            literal(env, "CONNECT_INJECT_NAMESPACE_DOCUMENT", &namespace.document());
        }
    });
    common(container, injection, &settings.init_resources, true);
}

pub fn envoy(container: &mut Object<'_>, injection: &Injection<'_>) {
    let settings = &injection.settings;
    let extra = injection.wanted.envoy_args.as_ref().unwrap_or(&settings.envoy_extra_args);
    container.constant("name", ENVOY);
    container.string("image", &settings.image_envoy);
    container.list("command", |command| command.constant("envoy"));
    container.list("args", |args| {
        args.constant("--config-path");
        args.constant(BOOTSTRAP_FILE);
        if !extra.has("--disable-hot-restart") {
            args.constant("--disable-hot-restart");
        }
        if settings.envoy_concurrency > 0 && !extra.has("--concurrency") {
            args.constant("--concurrency");
            args.string(&settings.envoy_concurrency.to_string());
        }
        extra.iter().for_each(|word| args.string(EnvText::literal(word).as_str()));
    });
    if !settings.native_sidecars {
        container.list("env", |env| linger_env(env, injection));
        pre_stop(container, &[scripts::ENVOY_PRE_STOP]);
    }
    // The containers after Envoy start when its public listener answers.
    container.object("startupProbe", |probe| {
        probe.object("tcpSocket", |socket| socket.number("port", injection.ports.public.into()));
        probe.number("periodSeconds", 1);
        probe.number("timeoutSeconds", 5);
        probe.number("failureThreshold", 120);
    });
    sidecar(container, injection);
    common(container, injection, &injection.wanted.envoy_resources, false);
}

pub fn lifecycle(container: &mut Object<'_>, injection: &Injection<'_>) {
    let settings = &injection.settings;
    container.constant("name", LIFECYCLE);
    container.string("image", &settings.image_consul);
    shell(container, &scripts::lifecycle(injection), &[]);
    container.list("env", |env| {
        agent_env(env, injection);
        // It may log in again, by the pod's whole name, and with a new token Envoy's
        // bootstrap is another.
        if settings.acl_auth_method.is_some() {
            env.encoded(POD_NAMESPACE);
            bootstrap_env(env, injection);
        }
        literal(env, "CONNECT_INJECT_SYNC_PERIOD", &injection.wanted.sync_period.as_seconds());
        if let Some(port) = injection.listener() {
            number(env, "CONNECT_INJECT_LISTENER_PORT", port.number.into());
        }
        if !settings.native_sidecars {
            linger_env(env, injection);
        }
    });
    if settings.native_sidecars {
        pre_stop(container, &[scripts::LIFECYCLE_PRE_STOP]);
    } else {
        pre_stop(container, &[scripts::LIFECYCLE_PRE_STOP, scripts::ENVOY_PRE_STOP]);
    }
    sidecar(container, injection);
    common(container, injection, &settings.lifecycle_resources, true);
}

fn sidecar(container: &mut Object<'_>, injection: &Injection<'_>) {
    if injection.settings.native_sidecars {
        container.constant("restartPolicy", "Always");
    }
}

/// `writes`: whether the container writes to the shared volume, which Envoy only reads.
/// Those that do are also given the pod's token.
fn common(container: &mut Object<'_>, injection: &Injection<'_>, resources: &Resources, writes: bool) {
    let settings = &injection.settings;
    if let Some(policy) = settings.image_pull_policy {
        container.constant("imagePullPolicy", policy);
    }
    container.object("resources", |out| {
        amounts(out, "limits", &resources.limits);
        amounts(out, "requests", &resources.requests);
    });
    container.encoded("securityContext", if settings.openshift { OPENSHIFT } else { RESTRICTED });
    container.list("volumeMounts", |mounts| {
        mounts.object(|mount| {
            mount.constant("name", DATA_VOLUME);
            mount.constant("mountPath", DATA_PATH);
            if !writes {
                mount.bool("readOnly", true);
            }
        });
        mounts.object(|mount| {
            let token = writes && settings.acl_auth_method.is_some();
            mount.constant("name", if token { TOKEN_VOLUME } else { EMPTY_VOLUME });
            mount.constant("mountPath", TOKEN_PATH);
            mount.bool("readOnly", true);
        });
    });
}

fn amounts(resources: &mut Object<'_>, key: &'static str, amounts: &Amounts) {
    if !amounts.is_empty() {
        resources.object(key, |out| {
            amounts.iter().for_each(|(name, amount)| out.entry(name, amount.quantity.as_str()));
        });
    }
}

/// A command that runs a script, with an argument unless that has no parts: the parts
/// of either follow each other.
fn shell(place: &mut Object<'_>, script: &[&str], argument: &[&str]) {
    place.list("command", |command| {
        command.constant("/bin/sh");
        command.constant("-c");
        command.escaped(script);
        if !argument.is_empty() {
            command.constant("sh");
            command.escaped(argument);
        }
    });
}

fn pre_stop(container: &mut Object<'_>, script: &[&str]) {
    container.object("lifecycle", |lifecycle| {
        lifecycle.object("preStop", |hook| hook.object("exec", |exec| shell(exec, script, &[])));
    });
}

/// A variable with a value of the policy's own making.
fn variable(env: &mut List<'_>, name: &'static str, value: &EnvText<'_>) {
    env.object(|variable| {
        variable.constant("name", name);
        variable.string("value", value.as_str());
    });
}

fn literal(env: &mut List<'_>, name: &'static str, text: &str) {
    variable(env, name, &EnvText::literal(text));
}

fn number(env: &mut List<'_>, name: &'static str, number: u64) {
    env.object(|variable| {
        variable.constant("name", name);
        variable.digits("value", number);
    });
}

/// What Envoy's bootstrap is written from.
fn bootstrap_env(env: &mut List<'_>, injection: &Injection<'_>) {
    number(env, "CONNECT_INJECT_GRPC_PORT", injection.settings.grpc_port.into());
    number(env, "CONNECT_INJECT_ENVOY_ADMIN", injection.ports.admin.into());
}

/// How both scripts reach the agent, and what they register and keep.
fn agent_env(env: &mut List<'_>, injection: &Injection<'_>) {
    let settings = &injection.settings;
    env.encoded(POD_NAME);
    env.encoded(HOST_IP);
    literal(env, "CONNECT_INJECT_AGENT_SCHEME", if settings.tls.is_some() { "https" } else { "http" });
    number(env, "CONNECT_INJECT_AGENT_PORT", settings.http_port.into());
    variable(env, "CONNECT_INJECT_SERVICE_ID", &injection.registration.service_id);
    if let Some(name) = settings.tls.as_ref().and_then(|tls| tls.server_name.as_ref()) {
        literal(env, "CONNECT_INJECT_TLS_SERVER_NAME", name);
    }
    if let Some(method) = &settings.acl_auth_method {
        literal(env, "CONNECT_INJECT_AUTH_METHOD", method);
        if settings.envoy_watches_token {
            literal(env, "CONNECT_INJECT_ENVOY_TOKEN_FILE", "1");
        }
    }
    if let Some(namespace) = &injection.namespace {
        literal(env, "CONNECT_INJECT_NAMESPACE", &namespace.name);
        if settings.acl_auth_method.is_some() {
            literal(env, "CONNECT_INJECT_LOGIN_NAMESPACE", &namespace.login);
        }
    }
}

/// For ordinary sidecars, which are told to end together with the app: how long
/// they wait for it, and by which listener they see that it has ended.
fn linger_env(env: &mut List<'_>, injection: &Injection<'_>) {
    let grace = injection.spec.termination_grace_seconds;
    // Nobody can see when an app without a port has ended: it gets a part of the time.
    let known = injection.wanted.port.is_some();
    let linger = if known { grace.saturating_sub(5) } else { 0 }.max(grace / 3).max(1).min(grace);
    number(env, "CONNECT_INJECT_LINGER", linger);
    if let Some(port) = &injection.wanted.port {
        number(env, "CONNECT_INJECT_LINGER_PORT", port.number.into());
    }
}

pub fn volumes(volumes: &mut List<'_>, injection: &Injection<'_>) {
    volumes.object(|volume| {
        volume.constant("name", DATA_VOLUME);
        volume.object("emptyDir", |directory| directory.constant("medium", "Memory"));
    });
    volumes.object(|volume| {
        volume.constant("name", EMPTY_VOLUME);
        volume.object("emptyDir", |_| ());
    });
    if injection.settings.acl_auth_method.is_some() {
        volumes.object(|volume| {
            volume.constant("name", TOKEN_VOLUME);
            volume.object("projected", |projected| {
                projected.number("defaultMode", 0o444);
                projected.list("sources", |sources| {
                    sources.object(|source| {
                        source.object("serviceAccountToken", |token| {
                            token.constant("path", "token");
                            token.number("expirationSeconds", 3600);
                        });
                    });
                });
            });
        });
    }
}
