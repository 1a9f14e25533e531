//! The differences from the chart's webhook that are meant.

use serde_json::{Value, json};

use super::Difference;

/// Why the policy's pod differs from the webhook's.
pub struct Reason {
    /// One sentence.
    pub says: &'static str,
    covers: fn(&Difference) -> bool,
}

impl Reason {
    /// Whether the difference is one of these.
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

/// The first that covers a difference is its reason.
pub const REASONS: &[Reason] = &[
    Reason {
        says: "the proxy is a native sidecar, which starts before the app's init containers and ends after the app (nativeSidecars)",
        covers: |it| {
            is_order(it)
                || (of_proxy(it) && (it.path.ends_with("].is") || it.path.contains("].startupProbe.")))
        },
    },
    Reason {
        says: "the init container runs its program without a shell",
        covers: |it| of_init(it) && it.path.ends_with("].command"),
    },
    Reason {
        says: "the init container has no CPU limit unless initContainer.resources.limits has one",
        covers: |it| of_init(it) && it.path.ends_with("].resources.limits.cpu") && it.ours.is_none(),
    },
    Reason {
        says: "the init container has a user of its own where it does not redirect traffic",
        covers: |it| of_init(it) && it.path.contains("].securityContext.") && it.theirs.is_none(),
    },
    Reason {
        says: "the injected containers have a token of their own, which automountServiceAccountToken: false does not take away",
        covers: |it| {
            it.path.starts_with("volumes[consul-connect-inject-token")
                || ((of_init(it) || of_proxy(it)) && it.path.contains("].volumeMounts[/var/run/secrets/"))
        },
    },
    Reason {
        says: "original-pod has only the probes that were overwritten, which is what the chart's controllers read of it",
        covers: |it| it.path == "annotations[consul.hashicorp.com/original-pod]",
    },
    Reason {
        says: "the chart's controllers read these annotations: the policy writes what it decided, so that both go by the same",
        covers: |it| {
            it.theirs.as_ref().is_none_or(|own| own == "")
                && RESOLVED.iter().any(|name| it.path == format!("annotations[consul.hashicorp.com/{name}]"))
        },
    },
    Reason {
        says: "each proxy of a pod with several services checks itself, not the first of them",
        covers: |it| of_proxy(it) && it.path.ends_with("].env[DP_ENVOY_ADMIN_BIND_PORT].value"),
    },
    Reason {
        says: "an upstream's variables have _ for every character but letters and digits; prepared queries have them, too; of two upstreams with one name the first has it",
        covers: |it| it.path.contains("].env[") && it.path.contains("_CONNECT_SERVICE_"),
    },
    Reason {
        says: "envoy-extra-args is split as a shell would do it",
        covers: |it| of_proxy(it) && it.path.ends_with("].args[--]"),
    },
    Reason {
        says: "lists in annotations may have spaces",
        covers: |it| it.theirs.is_none() && it.path.ends_with("].volumeMounts[/consul/connect-inject].name"),
    },
    Reason {
        says: "the proxy of a Job ends at once, unless an annotation gives it a grace period",
        covers: |it| {
            of_proxy(it)
                && ((it.path.ends_with("].args[-shutdown-grace-period-seconds]")
                    && it.ours == Some(json!("0")))
                    || it.path.contains("].livenessProbe."))
        },
    },
    Reason {
        says: "the policy does not read Consul's proxy-defaults: accessLogs.path, or an annotation of the pod, says where the access log is",
        covers: |it| {
            it.ours.is_none()
                && (it.path.contains("consul-sidecar-access-log-")
                    || it.path == "volumes[envoy-access-logs]"
                    || it.theirs == Some(json!("envoy-access-logs")))
        },
    },
    Reason {
        says: "the policy looks up no service account: the Secret with its token has its name",
        covers: |it| {
            it.path.starts_with("volumes[") && it.path.ends_with("-service-account].secret.secretName")
        },
    },
    Reason {
        says: "a pod that names no service account has the account default",
        covers: |it| {
            of_init(it) && it.path.ends_with("].args[-service-account-name]") && it.theirs == Some(json!(""))
        },
    },
    Reason {
        says: "the CNI plugin writes into this annotation how far it is",
        covers: |it| {
            it.path == "annotations[consul.hashicorp.com/transparent-proxy-status]"
                && it.ours == Some(json!("enabled"))
        },
    },
    Reason {
        says: "kubectl logs and kubectl exec take the app's container",
        covers: |it| it.path == "annotations[kubectl.kubernetes.io/default-container]" && it.theirs.is_none(),
    },
];

/// The annotations that the chart's controllers read, with the chart's defaults behind them.
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

/// The injected containers stand elsewhere, and the app's own in their order.
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
