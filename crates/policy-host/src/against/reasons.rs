//! The intended differences from the chart's webhook.

use serde_json::{Value, json};

use super::{
    Difference, says,
    webhooks_pod::{WebhooksPod, is_injected},
};

/// Why the policy's pod differs from the webhook's.
pub struct Reason {
    /// One sentence, of [`says`].
    pub says: &'static str,
    pub(super) covers: fn(&Difference, &WebhooksPod<'_>) -> bool,
}

impl std::fmt::Debug for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.says)
    }
}

impl PartialEq for Reason {
    fn eq(&self, other: &Self) -> bool {
        self.says == other.says
    }
}

/// The first reason that covers a difference applies.
pub const REASONS: &[Reason] = &[
    Reason { says: says::CHECKED_VALUES, covers: is_trimmed },
    Reason {
        says: says::CHECKED_SERVICE,
        covers: |it, pod| {
            let first = pod.apps_containers().next();
            it.path == "annotations[consul.hashicorp.com/connect-service-port]"
                && first.is_some_and(|container| container["ports"].to_string().contains("UDP"))
        },
    },
    Reason {
        says: says::OWN_TOKEN,
        covers: |it, _| {
            let mount = ".volumeMounts[/var/run/secrets/kubernetes.io/serviceaccount].";
            it.path.starts_with("volumes[consul-connect-inject-token]")
                || (of_injected(it)
                    && ((it.path.contains(mount)
                        && (it.path.ends_with(".readOnly")
                            || is(it.ours.as_ref(), "consul-connect-inject-token")))
                        || it.path.contains("].env[CONSUL_LOGIN_BEARER_TOKEN_FILE]")))
        },
    },
    Reason {
        says: says::NOBODY_IS_ASKED,
        covers: |it, _| {
            let log = it.path.starts_with("annotations[consul.hashicorp.com/consul-sidecar-access-log-")
                || it.path.starts_with("volumes[envoy-access-logs]")
                || is(it.theirs.as_ref(), "envoy-access-logs");
            let secret = it.path.strip_prefix("volumes[");
            let service = secret.and_then(|path| path.strip_suffix("-service-account].secret.secretName"));
            (log && it.ours.is_none()) || service.is_some_and(|service| is(it.ours.as_ref(), service))
        },
    },
    Reason {
        says: says::OPENSHIFT_USERS,
        covers: |it, _| {
            let fields = ["].securityContext.runAs", "].securityContext.seccompProfile."];
            of_injected(it) && fields.iter().any(|field| it.path.contains(field)) && it.ours.is_none()
        },
    },
    Reason {
        says: says::NO_SHELL,
        covers: |it, _| {
            of_init(it)
                && it.path.ends_with("].command")
                && it.theirs == Some(json!(["/bin/sh", "-ec"]))
                && it.ours == Some(json!(["consul-k8s-control-plane"]))
        },
    },
    Reason {
        says: says::NO_CPU_LIMIT,
        covers: |it, _| {
            of_init(it)
                && it.path.ends_with("].resources.limits.cpu")
                && is(it.theirs.as_ref(), "50m")
                && it.ours.is_none()
        },
    },
    Reason {
        says: says::NUMERIC_USER,
        covers: |it, _| {
            let fields = ["].securityContext.runAsUser", "].securityContext.runAsGroup"];
            of_init(it)
                && fields.iter().any(|field| it.path.ends_with(field))
                && it.theirs.is_none()
                && it.ours == Some(json!(5996))
        },
    },
    // Before the next one: the annotation is the same.
    Reason {
        says: says::JOBS_END,
        covers: |it, pod| {
            let grace = ["].args[-shutdown-grace-period-seconds]", GRACE_PERIOD];
            pod.is_job()
                && ((grace.iter().any(|end| it.path.ends_with(end)) && is(it.ours.as_ref(), "0"))
                    || (of_proxy(it) && it.path.contains("].livenessProbe.") && it.ours.is_none()))
        },
    },
    Reason {
        says: says::RESOLVED_ANNOTATIONS,
        covers: |it, _| {
            let version = it.path.ends_with("-k8s-version]") && it.theirs.is_some() && it.ours.is_some();
            version
                || (RESOLVED.contains(&it.path.as_str()) && it.theirs.as_ref().is_none_or(|own| own == ""))
        },
    },
    Reason {
        says: says::DEFAULT_CONTAINER,
        covers: |it, pod| {
            it.path == "annotations[kubectl.kubernetes.io/default-container]"
                && it.theirs.is_none()
                && pod.apps_containers().any(|container| it.ours.as_ref() == Some(&container["name"]))
        },
    },
    Reason {
        says: says::REDUCED_ORIGINAL,
        covers: |it, _| it.path == "annotations[consul.hashicorp.com/original-pod]",
    },
    Reason {
        says: says::NATIVE_SIDECAR,
        covers: |it, _| {
            let moved = it.path.ends_with("].is")
                && is(it.theirs.as_ref(), "container")
                && is(it.ours.as_ref(), "native sidecar");
            let parts = ["].startupProbe.", "].env[DP_ENVOY_ADMIN_BIND_PORT]"];
            let health = it.ours.is_some() && parts.iter().any(|part| it.path.contains(part));
            is_order(it) || (of_proxy(it) && (moved || health))
        },
    },
    Reason {
        says: says::ARGUMENTS_THAT_WORK,
        covers: |it, _| {
            of_proxy(it)
                && (it.path.ends_with("].args[--]") || it.path.contains("].args[-telemetry-prom-ca-certs-"))
        },
    },
    Reason { says: says::NAMES_OF_VARIABLES, covers: is_name_of_variable },
    Reason { says: says::VALUES_OF_VARIABLES, covers: is_value_of_variable },
    Reason {
        says: says::CLUSTER_DOMAIN,
        covers: |it, _| it.path == "dnsConfig.searches" && it.ours.is_some(),
    },
    Reason {
        says: says::FIELDS_OF_VOLUMES,
        covers: |it, pod| {
            let volume = it.path.strip_prefix("volumes[").and_then(|path| path.split(']').next());
            let own = |name| pod.annotation("consul-sidecar-user-volume").contains(&json!(name).to_string());
            it.theirs.is_none() && volume.is_some_and(|name| pod.has_volume(name) && own(name))
        },
    },
    Reason {
        says: says::DEFAULT_ACCOUNT,
        covers: |it, _| {
            of_init(it)
                && it.path.ends_with("].args[-service-account-name]")
                && is(it.theirs.as_ref(), "")
                && is(it.ours.as_ref(), "default")
        },
    },
];

const GRACE_PERIOD: &str =
    "annotations[consul.hashicorp.com/sidecar-proxy-lifecycle-shutdown-grace-period-seconds]";

/// The annotations that the chart's controllers read, after which come the chart's defaults.
const RESOLVED: [&str; 6] = [
    "annotations[consul.hashicorp.com/enable-metrics]",
    "annotations[consul.hashicorp.com/enable-sidecar-proxy-lifecycle]",
    "annotations[consul.hashicorp.com/prometheus-scrape-port]",
    GRACE_PERIOD,
    "annotations[consul.hashicorp.com/transparent-proxy]",
    "annotations[consul.hashicorp.com/transparent-proxy-overwrite-probes]",
];

fn is(value: Option<&Value>, text: &str) -> bool {
    value.is_some_and(|value| value == text)
}

fn of_init(it: &Difference) -> bool {
    it.path.starts_with("containers[consul-connect-inject-init")
}

fn of_proxy(it: &Difference) -> bool {
    it.path.starts_with("containers[consul-dataplane")
}

fn of_injected(it: &Difference) -> bool {
    of_init(it) || of_proxy(it)
}

/// A list without what only the other pod has, for which there are other differences. Among the init
/// containers, the injected ones have another position; they and the app's own keep their order.
fn is_order(it: &Difference) -> bool {
    let names = |list: &Option<Value>| list.as_ref().and_then(Value::as_array).cloned().unwrap_or_default();
    let (mut theirs, ours) = (names(&it.theirs), names(&it.ours));
    theirs.retain(|name| ours.contains(name));
    let ours: Vec<Value> = ours.into_iter().filter(|name| theirs.contains(name)).collect();
    let part = |list: &[Value], injected: bool| -> Vec<Value> {
        let belongs = |name: &&Value| name.as_str().is_some_and(is_injected) == injected;
        list.iter().filter(belongs).cloned().collect()
    };
    let same = |injected: bool| part(&theirs, injected) == part(&ours, injected);
    it.path.ends_with(" in order")
        && (theirs == ours || (it.path.starts_with("initContainers") && same(true) && same(false)))
}

/// A container that a list with spaces names, or lists of the redirection without spaces and
/// with the numbers of named ports.
fn is_trimmed(it: &Difference, pod: &WebhooksPod<'_>) -> bool {
    let redirection = ["redirect-traffic-config]", "].env[CONSUL_REDIRECT_TRAFFIC_CONFIG].value"];
    if !redirection.iter().any(|end| it.path.ends_with(end)) {
        let mount = it.path.ends_with("].volumeMounts[/consul/connect-inject].name");
        return mount && it.theirs.is_none() && pod.annotation("connect-inject-mount-volume").contains(' ');
    }
    let mut config = it.theirs.clone().unwrap_or_default();
    for list in ["ExcludeInboundPorts", "ExcludeOutboundPorts", "ExcludeOutboundCIDRs", "ExcludeUIDs"] {
        let Some(items) = config.get_mut(list) else { return false };
        let trimmed = items.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::trim);
        let trimmed = trimmed.filter(|item| !item.is_empty());
        let trimmed: Vec<String> = trimmed.map(|item| pod.port_number(item)).collect();
        *items = if trimmed.is_empty() { Value::Null } else { json!(trimmed) };
    }
    it.ours.as_ref() == Some(&config)
}

/// The variable of an upstream in one of the app's containers.
fn variable(it: &Difference) -> Option<&str> {
    let (_, variable) = it.path.split_once("].env[").filter(|_| !of_injected(it))?;
    let (name, _) = variable.split_once(']')?;
    name.contains("_CONNECT_SERVICE_").then_some(name)
}

/// A name of which a shell can read the variable.
fn readable(name: &str) -> String {
    let name = name.to_uppercase().replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("_{name}") } else { name }
}

fn is_name_of_variable(it: &Difference, pod: &WebhooksPod<'_>) -> bool {
    let Some((name, _)) = variable(it).and_then(|name| name.split_once("_CONNECT_SERVICE_")) else {
        return false;
    };
    let (added, removed) = (it.theirs.is_none(), it.ours.is_none());
    pod.upstreams().iter().any(|parts| match parts.as_slice() {
        ["prepared_query", query, ..] => added && readable(query) == name,
        [upstream, _, rest @ ..] => {
            let theirs = upstream.to_uppercase().replace('-', "_");
            let renamed = readable(upstream) != theirs
                && ((removed && name == theirs) || (added && name == readable(upstream)));
            let datacenter = rest.first().map(|datacenter| readable(upstream) + "_" + &readable(datacenter));
            renamed || (added && datacenter.as_deref() == Some(name))
        }
        _ => false,
    })
}

fn is_value_of_variable(it: &Difference, pod: &WebhooksPod<'_>) -> bool {
    let (Some(variable), false) = (variable(it), it.theirs.is_none() || it.ours.is_none()) else {
        return false;
    };
    let name = variable.split("_CONNECT_SERVICE_").next();
    let is_named = |parts: &&Vec<&str>| parts.first().map(|upstream| readable(upstream)).as_deref() == name;
    pod.has_own_variable(variable)
        || pod.upstreams().iter().filter(is_named).count() > 1
        || pod.annotation("connect-service-upstreams").contains("local_bind_address")
}
