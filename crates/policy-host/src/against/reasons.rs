//! The intended differences from the chart's webhook.

use serde_json::{Value, json};

use super::{Difference, says};

/// Why the policy's pod differs from the webhook's.
pub struct Reason {
    /// One sentence, of [`says`].
    pub says: &'static str,
    covers: fn(&Difference) -> bool,
}

impl Reason {
    /// Whether this reason covers the difference.
    #[must_use]
    pub fn covers(&self, difference: &Difference) -> bool {
        (self.covers)(difference)
    }
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
    Reason {
        says: says::NATIVE_SIDECAR,
        covers: |it| {
            let parts = ["].is", "].startupProbe.", "].env[DP_ENVOY_ADMIN_BIND_PORT]"];
            is_order(it) || (of_proxy(it) && parts.iter().any(|part| it.path.contains(part)))
        },
    },
    Reason { says: says::NO_SHELL, covers: |it| of_init(it) && it.path.ends_with("].command") },
    Reason {
        says: says::NO_CPU_LIMIT,
        covers: |it| of_init(it) && it.path.ends_with("].resources.limits.cpu") && it.ours.is_none(),
    },
    Reason {
        says: says::NUMERIC_USER,
        covers: |it| of_init(it) && it.path.contains("].securityContext.runAs") && it.theirs.is_none(),
    },
    Reason {
        says: says::OPENSHIFT_USERS,
        covers: |it| injected(it) && it.path.contains("].securityContext.runAs") && it.ours.is_none(),
    },
    Reason {
        says: says::OWN_TOKEN,
        covers: |it| {
            let parts = ["].volumeMounts[/var/run/secrets/", "].env[CONSUL_LOGIN_BEARER_TOKEN_FILE]"];
            it.path.starts_with("volumes[consul-connect-inject-token")
                || (injected(it) && parts.iter().any(|part| it.path.contains(part)))
        },
    },
    Reason {
        says: says::REDUCED_ORIGINAL,
        covers: |it| it.path == "annotations[consul.hashicorp.com/original-pod]",
    },
    Reason {
        says: says::RESOLVED_ANNOTATIONS,
        covers: |it| {
            let resolved = it.theirs.as_ref().is_none_or(|own| own == "");
            let named = |name: &&str| it.path == format!("annotations[consul.hashicorp.com/{name}]");
            it.path.ends_with("-k8s-version]") || (resolved && RESOLVED.iter().any(named))
        },
    },
    Reason {
        says: says::DEFAULT_CONTAINER,
        covers: |it| it.path == "annotations[kubectl.kubernetes.io/default-container]" && it.theirs.is_none(),
    },
    Reason {
        says: says::NAMES_OF_VARIABLES,
        covers: |it| is_variable(it) && (it.theirs.is_none() || it.ours.is_none()),
    },
    Reason { says: says::VALUES_OF_VARIABLES, covers: is_variable },
    Reason {
        says: says::ARGUMENTS_THAT_WORK,
        covers: |it| {
            of_proxy(it)
                && (it.path.ends_with("].args[--]") || it.path.contains("].args[-telemetry-prom-ca-certs-"))
        },
    },
    Reason { says: says::SPACES_IN_LISTS, covers: is_trimmed },
    Reason {
        says: says::JOBS_END,
        covers: |it| {
            let grace =
                it.path.ends_with("].args[-shutdown-grace-period-seconds]") && it.ours == Some(json!("0"));
            of_proxy(it) && (grace || (it.path.contains("].livenessProbe.") && it.ours.is_none()))
        },
    },
    Reason {
        says: says::NOBODY_IS_ASKED,
        covers: |it| {
            let log = it.path.contains("consul-sidecar-access-log-")
                || it.path.starts_with("volumes[envoy-access-logs]")
                || it.theirs == Some(json!("envoy-access-logs"));
            let secret =
                it.path.starts_with("volumes[") && it.path.ends_with("-service-account].secret.secretName");
            (log && it.ours.is_none()) || secret
        },
    },
    Reason {
        says: says::CLUSTER_DOMAIN,
        covers: |it| it.path == "dnsConfig.searches" && it.theirs.is_some() && it.ours.is_some(),
    },
    Reason {
        says: says::DEFAULT_ACCOUNT,
        covers: |it| {
            of_init(it) && it.path.ends_with("].args[-service-account-name]") && it.theirs == Some(json!(""))
        },
    },
    Reason {
        says: says::CNI_PROGRESS,
        covers: |it| {
            it.path == "annotations[consul.hashicorp.com/transparent-proxy-status]"
                && it.ours == Some(json!("enabled"))
        },
    },
];

/// The annotations that the chart's controllers read, after which come the chart's defaults.
const RESOLVED: [&str; 6] = [
    "enable-metrics",
    "enable-sidecar-proxy-lifecycle",
    "prometheus-scrape-port",
    "sidecar-proxy-lifecycle-shutdown-grace-period-seconds",
    "transparent-proxy",
    "transparent-proxy-overwrite-probes",
];

fn of_init(difference: &Difference) -> bool {
    difference.path.starts_with("containers[consul-connect-inject-init")
}

fn of_proxy(difference: &Difference) -> bool {
    difference.path.starts_with("containers[consul-dataplane")
}

fn injected(difference: &Difference) -> bool {
    of_init(difference) || of_proxy(difference)
}

/// The variable of an upstream.
fn is_variable(difference: &Difference) -> bool {
    let variable = difference.path.split_once("].env[").map(|(_, variable)| variable);
    !injected(difference) && variable.is_some_and(|variable| variable.contains("_CONNECT_SERVICE_"))
}

/// The lists in which the webhook keeps spaces: those for traffic redirection, and names of containers.
fn is_trimmed(difference: &Difference) -> bool {
    let mounted = difference.path.ends_with("].volumeMounts[/consul/connect-inject].name");
    let redirection = ["redirect-traffic-config]", "].env[CONSUL_REDIRECT_TRAFFIC_CONFIG].value"];
    let (Some(theirs), Some(ours)) = (&difference.theirs, &difference.ours) else {
        return mounted && difference.theirs.is_none();
    };
    let mut theirs = theirs.clone();
    for list in theirs.as_object_mut().into_iter().flat_map(serde_json::Map::values_mut) {
        if let Some(items) = list.as_array_mut() {
            for item in items.iter_mut() {
                *item = json!(item.as_str().unwrap_or_default().trim());
            }
            items.retain(|item| item != "");
            if items.is_empty() {
                *list = Value::Null;
            }
        }
    }
    redirection.iter().any(|path| difference.path.ends_with(path)) && theirs == *ours
}

/// The injected containers are in a different position; the app's own keep their order.
fn is_order(difference: &Difference) -> bool {
    let own = |list: &Option<Value>| -> Vec<Value> {
        let names = list.iter().filter_map(Value::as_array).flatten();
        let injected = |name: &Value| {
            name.as_str().is_some_and(|name| {
                name.starts_with("consul-connect-inject-init") || name.starts_with("consul-dataplane")
            })
        };
        names.filter(|name| !injected(name)).cloned().collect()
    };
    difference.path.ends_with(" in order") && own(&difference.theirs) == own(&difference.ours)
}
