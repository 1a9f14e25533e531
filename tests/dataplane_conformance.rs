//! Compares the policy with the chart's webhook and controller, case by case.
//!
//! `test_data/dataplane/webhook-2.0.3.jsonl` contains what the pod webhook of consul-k8s 2.0.3
//! did with several hundred pods, and `registrations-2.0.3.jsonl` what its endpoints
//! controller registered for them. The policy does the same, or the difference has one of the
//! [`REASONS`]. A difference without a reason fails, and so does a reason without a case.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use serde_json::{Value, json};
use support::PREFIX;
use support::reasons::{Reason, assert_explained};
use support::webhook::{CASES, Case, Difference};

const REASONS: &[Reason<Difference>] = &[
    Reason {
        name: "crashes",
        says: "an answer where the webhook crashes",
        explains: |it| it.theirs == "panic",
    },
    Reason {
        name: "checked_values",
        says: "values that cannot work are rejected; the webhook accepts them, and a container fails later or ignores them. Spaces in lists are removed",
        explains: |it| {
            UNCHECKED.iter().any(|name| it.rejects(name))
                || it.rejection().is_some_and(|it| it.contains("/service-meta-"))
                || trimmed(it)
        },
    },
    Reason {
        name: "checked_upstreams",
        says: "upstreams that the controller cannot register, and two upstreams on the same port, are rejected",
        explains: |it| it.rejects("connect-service-upstreams"),
    },
    Reason {
        name: "checked_service",
        says: "the service's name, its ports and, with ACLs, its service account are checked; the default ports do not include UDP ports, which the controller cannot register",
        explains: |it| {
            let names = [
                "connect-service",
                "connect-service-port",
                "connect-service-default-port",
                "kubernetes-service",
            ];
            let account = |problem: &str| problem.starts_with("spec.serviceAccountName: ");
            let first = &it.case.pod["spec"]["containers"][0]["ports"];
            names.iter().any(|name| it.rejects(name))
                || (it.case.acls() && it.rejection().is_some_and(account))
                || (it.place == format!("annotations/{PREFIX}connect-service-port")
                    && first.to_string().contains("UDP"))
        },
    },
    Reason {
        name: "checked_resources",
        says: "negative amounts and requests that exceed their limits are rejected; other amounts are kept as written",
        explains: |it| {
            let whys = ["must not be negative", "must not exceed the ", "must not be less than the "];
            let rejected = it.rejection().is_some_and(|problem| {
                problem.contains("sidecar-proxy-") && whys.iter().any(|why| problem.contains(why))
            });
            rejected || as_written(it)
        },
    },
    Reason {
        name: "checked_settings",
        says: "settings that cannot work, such as invalid names of namespaces, are rejected",
        explains: |it| it.rejection().is_some_and(|problem| problem.starts_with("setting ")),
    },
    Reason {
        name: "what_no_pod_has",
        says: "pods with hostNetwork, for Windows, without containers, or with a container or volume that has an injected name are rejected; mirrors of static pods are skipped",
        explains: |it| {
            let whys = [
                "spec.hostNetwork: ",
                "not be windows",
                "the name of an injected",
                "spec.containers: ",
                "mirror-pod",
            ];
            let because = |ours: &str| whys.iter().any(|why| ours.contains(why));
            it.place == "outcome"
                && (it.case.raw.is_some()
                    || (it.theirs == "injected" && it.ours.as_str().is_some_and(because)))
        },
    },
    Reason {
        name: "own_token",
        says: "with ACLs, the policy mounts a projected token of its own instead of copying the app's mount",
        explains: own_token,
    },
    Reason {
        name: "nobody_is_asked",
        says: "admission reads nothing from Kubernetes or Consul: the access log and the defaults for namespaces are settings, and with several services, each Secret has the service's name",
        explains: |it| {
            let messages = ["error getting namespace metadata", "secrets ", "serviceaccounts "];
            let label = |label: &String| label.parse::<bool>().is_err();
            messages.iter().any(|message| it.is_injected_where(message))
                || (it.is_injected_where("")
                    && (it.case.namespace.labels.values().any(label) || !it.case.consul.is_null()))
                || it.place.starts_with(&format!("annotations/{PREFIX}consul-sidecar-access-log-"))
                || (it.place.starts_with("volumes/") && it.place.ends_with("-service-account"))
        },
    },
    Reason {
        name: "openshift_users",
        says: "OpenShift sets the users and the seccomp profile of the containers; transparent proxy, which must know the proxy's user, is not supported there",
        explains: |it| {
            let fields = ["/securityContext/runAs", "/securityContext/seccompProfile"];
            let users = fields.iter().any(|field| it.place.contains(field));
            it.case.is_on("global.openshift.enabled") && (it.place == "outcome" || users)
        },
    },
    Reason {
        name: "ignored_namespace",
        says: "pods in namespaces that the chart's controllers ignore are skipped",
        explains: |it| it.case.namespace.name == "local-path-storage" && it.ours == "system-namespace",
    },
    Reason {
        name: "no_shell",
        says: "the init container runs its program directly instead of in a shell",
        explains: |it| {
            it.init() && it.place.ends_with("/args/form") && it.theirs == "shell" && it.ours == "exec"
        },
    },
    Reason {
        name: "no_cpu_limit",
        says: "the init container has no CPU limit unless a setting has one",
        explains: |it| {
            it.init()
                && it.place.ends_with("/resources/limits")
                && it.theirs == json!({ "cpu": "50m", "memory": "150Mi" })
                && it.ours == json!({ "memory": "150Mi" })
        },
    },
    Reason {
        name: "numeric_user",
        says: "an init container that does not redirect traffic runs as a fixed non-root user, even if the pod runs as root",
        explains: |it| {
            let fields = ["/securityContext/runAsUser", "/securityContext/runAsGroup"];
            it.init()
                && fields.iter().any(|field| it.place.ends_with(field))
                && it.theirs.is_null()
                && it.ours == 5996
        },
    },
    Reason {
        name: "resolved_annotations",
        says: "values that the controllers would resolve from the chart's defaults and the namespace's labels are set as annotations of the pod; the version is that of the image",
        explains: |it| {
            let settings = it.case.settings();
            let resolved = RESOLVED.iter().any(|(name, setting, default)| {
                let value = settings.pointer(setting).map(|value| value.to_string().replace('"', ""));
                it.place == format!("annotations/{PREFIX}{name}")
                    && it.ours == value.as_deref().unwrap_or(default)
            });
            let version = it.place.ends_with("-k8s-version") && it.theirs == "v2.0.3";
            version || (resolved && it.theirs.as_str().is_none_or(str::is_empty))
        },
    },
    Reason {
        name: "default_container",
        says: "kubectl logs and exec select the app's container instead of the sidecar",
        explains: |it| {
            it.place == "annotations/kubectl.kubernetes.io/default-container" && it.theirs.is_null()
        },
    },
    Reason {
        name: "reduced_original",
        says: "the annotation original-pod contains what the controllers read instead of the whole pod",
        explains: |it| it.place == format!("annotations/{PREFIX}original-pod"),
    },
    Reason {
        name: "native_sidecar",
        says: "the injected init container and native sidecar run before the app's init containers, which can use the mesh; the startup probe checks its own Envoy, with the times of the settings",
        explains: |it| {
            let order = it.place == "initContainers/order"
                && sorted(&it.theirs) == sorted(&it.ours)
                && it.case.pod["spec"]["initContainers"].is_array();
            order || it.place.ends_with("/env/DP_ENVOY_ADMIN_BIND_PORT") || native_probe(it)
        },
    },
    Reason {
        name: "jobs_end",
        says: "the proxy of a Job's pod exits with the app",
        explains: |it| {
            let job = it.case.pod["metadata"]["ownerReferences"].to_string().contains("\"Job\"");
            job && ["-shutdown-grace-period-seconds", "/livenessProbe"]
                .iter()
                .any(|place| it.place.ends_with(place))
        },
    },
    Reason {
        name: "arguments_that_work",
        says: "Envoy's arguments are split like a shell command, and flags that consul-dataplane sets itself are rejected; the Prometheus CA is passed in the flag that consul-dataplane has",
        explains: |it| it.place.ends_with("/args/--") || it.place.contains("/args/-telemetry-prom-ca-certs-"),
    },
    Reason {
        name: "names_of_variables",
        says: "names of upstream variables are valid in a shell and include another datacenter; prepared queries get variables too",
        explains: names_of_variables,
    },
    Reason {
        name: "values_of_variables",
        says: "values of upstream variables are the address on which the upstream listens; the container's own variables are kept, and the first of two upstreams with one name sets them",
        explains: values_of_variables,
    },
    Reason {
        name: "cluster_domain",
        says: "DNS search domains are those of the pod's namespace, whatever the cluster's domain is",
        explains: |it| it.place == "spec/dnsConfig" && it.theirs["nameservers"] == it.ours["nameservers"],
    },
    Reason {
        name: "spaces",
        says: "spaces around a port or a service's name are removed",
        explains: |it| {
            let spaced = |name: &str| it.case.annotation(name).is_some_and(|written| written.contains(' '));
            (it.is_injected_where("is not a valid port") && spaced("connect-service-port"))
                || (spaced("connect-service") && text(&it.theirs).trim() == text(&it.ours))
                || (spaced("connect-service")
                    && it.case.annotation("connect-service").is_some_and(|list| list.contains(',')))
        },
    },
    Reason {
        name: "fields_of_volumes",
        says: "unknown fields of volumes in annotations are kept, and the API server drops them",
        explains: |it| {
            let (Some(theirs), Some(ours)) = (it.theirs.as_object(), it.ours.as_object()) else {
                return false;
            };
            let has = |(field, value)| ours.get(field) == Some(value);
            it.place.starts_with("volumes/") && !theirs.is_empty() && theirs.iter().all(has)
        },
    },
    Reason {
        name: "default_account",
        says: "a pod without a service account gets the account `default`",
        explains: |it| {
            it.place.ends_with("/args/-service-account-name") && it.theirs == "" && it.ours == "default"
        },
    },
];

/// Annotations that a pod gets from these settings, with their defaults.
const RESOLVED: &[(&str, &str, &str)] = &[
    ("transparent-proxy", "/transparentProxy/defaultEnabled", "true"),
    ("transparent-proxy-overwrite-probes", "/transparentProxy/defaultOverwriteProbes", "true"),
    ("enable-metrics", "/metrics/defaultEnabled", "false"),
    ("prometheus-scrape-port", "/metrics/defaultPrometheusScrapePort", "20200"),
    ("enable-sidecar-proxy-lifecycle", "/sidecarProxy/lifecycle/defaultEnabled", "true"),
    (
        "sidecar-proxy-lifecycle-shutdown-grace-period-seconds",
        "/sidecarProxy/lifecycle/defaultShutdownGracePeriodSeconds",
        "30",
    ),
];

/// The annotations whose values the webhook takes as they are, or as good as absent.
const UNCHECKED: &[&str] = &[
    "transparent-proxy-exclude-inbound-ports",
    "transparent-proxy-exclude-outbound-ports",
    "transparent-proxy-exclude-outbound-cidrs",
    "transparent-proxy-exclude-uids",
    "consul-dns",
    "connect-inject-mount-volume",
    "consul-envoy-proxy-concurrency",
    "use-proxy-health-check",
    "sidecar-proxy-startup-failure-seconds",
    "sidecar-proxy-liveness-failure-seconds",
    "sidecar-proxy-lifecycle-shutdown-grace-period-seconds",
    "sidecar-proxy-lifecycle-startup-grace-period-seconds",
    "sidecar-proxy-lifecycle-graceful-shutdown-path",
    "sidecar-proxy-lifecycle-graceful-startup-path",
    "enable-sidecar-proxy-lifecycle-shutdown-drain-listeners",
    "sidecar-initial-probe-check-delay-seconds",
    "sidecar-probe-period-seconds",
    "sidecar-probe-failure-threshold",
    "sidecar-probe-check-timeout-seconds",
    "sidecar-proxy-lifecycle-graceful-port",
    "prometheus-scrape-port",
    "prometheus-scrape-path",
    "merged-metrics-port",
    "service-metrics-port",
    "service-metrics-path",
    "prometheus-ca-file",
    "prometheus-ca-path",
    "prometheus-cert-file",
    "prometheus-key-file",
    "consul-sidecar-user-volume",
    "consul-sidecar-user-volume-mount",
    "consul-sidecar-access-log-enabled",
    "consul-sidecar-access-log-path",
    "envoy-extra-args",
    "proxy-config-map",
];

impl Difference<'_> {
    /// The policy reports a problem, and the webhook injects.
    fn rejection(&self) -> Option<&str> {
        let problem = self.ours.as_str().filter(|_| self.place == "outcome" && self.theirs != "panic")?;
        problem.strip_prefix("- ")
    }

    /// The policy reports a problem of that annotation.
    fn rejects(&self, annotation: &str) -> bool {
        self.rejection()
            .is_some_and(|problem| problem.starts_with(&format!("annotation {PREFIX}{annotation}: ")))
    }

    /// The webhook rejects with a message that contains this text, and the policy injects.
    fn is_injected_where(&self, word: &str) -> bool {
        self.theirs == "rejected" && self.ours == "injected" && self.case.outcome.message.contains(word)
    }

    /// Whether the difference is in the init container.
    fn init(&self) -> bool {
        self.place.starts_with("initContainers/consul-connect-inject-init")
    }

    /// The variable of an upstream in one of the user's containers.
    fn variable(&self) -> Option<&str> {
        let (container, name) = self.place.split_once("/env/")?;
        (!container.contains("/consul-") && name.contains("_CONNECT_SERVICE_")).then_some(name)
    }
}

fn own_token(it: &Difference) -> bool {
    let token = "consul-connect-inject-token";
    it.is_injected_where("unable to find service account token volumeMount")
        || it.place == format!("volumes/{token}")
        || (it.place.ends_with("/mounts/var/run/secrets/kubernetes.io/serviceaccount")
            && it.ours["name"] == token)
        || it.place.ends_with("/env/CONSUL_LOGIN_BEARER_TOKEN_FILE")
}

/// A container that a list with spaces names, or lists of the redirection without spaces and
/// with the numbers of named ports.
fn trimmed(it: &Difference) -> bool {
    let list = it.case.annotation("connect-inject-mount-volume").unwrap_or_default();
    let mounted =
        it.theirs.is_null() && it.place.ends_with("/mounts/consul/connect-inject") && list.contains(' ');
    let redirection = ["redirect-traffic-config", "CONSUL_REDIRECT_TRAFFIC_CONFIG"];
    if mounted || !redirection.iter().any(|name| it.place.ends_with(name)) {
        return mounted;
    }
    let mut theirs = it.theirs.clone();
    for list in ["ExcludeInboundPorts", "ExcludeOutboundPorts", "ExcludeOutboundCIDRs", "ExcludeUIDs"] {
        let items = theirs[list].as_array().into_iter().flatten().map(|item| text(item).trim().to_owned());
        let items: Vec<String> =
            items.filter(|item| !item.is_empty()).map(|item| port_number(&it.case.pod, item)).collect();
        theirs[list] = if items.is_empty() { Value::Null } else { json!(items) };
    }
    theirs == it.ours
}

fn port_number(pod: &Value, written: String) -> String {
    let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
    let mut ports = containers.flat_map(|container| container["ports"].as_array().into_iter().flatten());
    let named = ports.find(|port| port["name"] == written.as_str());
    named.map_or(written, |port| port["containerPort"].to_string())
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The Go types write an amount in its canonical form.
fn as_written(it: &Difference) -> bool {
    let amounts = |list: &Value| list.as_object().cloned().unwrap_or_default();
    let changed = amounts(&it.ours).into_iter().filter(|(name, amount)| it.theirs.get(name) != Some(amount));
    let written =
        |amount: &Value| it.case.pod["metadata"]["annotations"].to_string().contains(&amount.to_string());
    it.place.contains("/resources/")
        && amounts(&it.ours).keys().eq(amounts(&it.theirs).keys())
        && changed.into_iter().all(|(_, amount)| written(&amount))
}

/// The chart passes the times to the webhook only where all proxies are native sidecars. In dual
/// stack Envoy does not listen where the command asks.
fn native_probe(it: &Difference) -> bool {
    let times = it.case.values.keys().any(|path| path.contains(".dataplaneAsSidecarInitContainer."));
    it.place.ends_with("/startupProbe") && (it.case.is_on("global.dualStack.enabled") || times)
}

/// The upstreams of the pod, split into their parts.
fn upstreams<'c>(it: &Difference<'c>) -> Vec<Vec<&'c str>> {
    let list = it.case.annotation("connect-service-upstreams").unwrap_or_default();
    list.split(',').map(|upstream| upstream.split(':').map(str::trim).collect()).collect()
}

fn readable(name: &str) -> String {
    let name = name.to_uppercase().replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("_{name}") } else { name }
}

fn names_of_variables(it: &Difference) -> bool {
    let Some(name) =
        it.variable().and_then(|name| name.split_once("_CONNECT_SERVICE_")).map(|(name, _)| name)
    else {
        return false;
    };
    upstreams(it).iter().any(|parts| match parts.as_slice() {
        ["prepared_query", query, ..] => it.theirs.is_null() && readable(query) == name,
        [upstream, _, rest @ ..] => {
            let theirs = upstream.to_uppercase().replace('-', "_");
            let datacenter =
                rest.first().map(|datacenter| format!("{}_{}", readable(upstream), readable(datacenter)));
            let renamed = readable(upstream) != theirs
                && ((it.ours.is_null() && name == theirs)
                    || (it.theirs.is_null() && name == readable(upstream)));
            renamed || (it.theirs.is_null() && datacenter.as_deref() == Some(name))
        }
        _ => false,
    })
}

fn values_of_variables(it: &Difference) -> bool {
    let (Some(variable), false) = (it.variable(), it.theirs.is_null() || it.ours.is_null()) else {
        return false;
    };
    let own = |container: &Value| {
        container["env"].as_array().into_iter().flatten().any(|own| own["name"] == variable)
    };
    let mut containers = it.case.pod["spec"]["containers"].as_array().into_iter().flatten();
    let name = variable.split("_CONNECT_SERVICE_").next();
    let named = |parts: &Vec<&str>| parts.first().map(|upstream| readable(upstream)).as_deref() == name;
    let several = upstreams(it).iter().filter(|parts| named(parts)).count() > 1;
    let bound = it
        .case
        .annotation("connect-service-upstreams")
        .is_some_and(|list| list.contains("local_bind_address"));
    containers.any(own) || several || bound
}

fn sorted(list: &Value) -> Vec<String> {
    let mut items: Vec<String> = list.as_array().into_iter().flatten().map(Value::to_string).collect();
    items.sort();
    items
}

#[test]
fn every_difference_from_the_webhook_has_a_reason() {
    assert_explained(CASES.iter().flat_map(Case::differences), REASONS);
}
