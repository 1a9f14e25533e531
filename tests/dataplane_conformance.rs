//! Compares the policy with the chart's webhook, case by case.
//!
//! `test_data/dataplane/webhook-2.0.3.jsonl` contains what the pod webhook of consul-k8s 2.0.3
//! did with several hundred pods. The policy does the same, or the difference has a reason: one of
//! the [`OUTCOMES`], or for a pod that both inject, one of those of `policy-host run --against`. A
//! difference without a reason fails, and so does a reason without a case.

mod support;

use std::fmt;

use policy_host::against::{self, says};
use serde_json::{Value, json};
use support::reasons::{Reason, assert_explained, explanation};
use support::webhook::{CASES, Case};
use support::{Answer, PREFIX};

/// The two end differently.
struct Outcome<'c> {
    case: &'c Case,
    theirs: &'c str,
    /// `injected`, the reason for a skipped pod, or one of the problems of a rejection.
    ours: String,
}

impl fmt::Display for Outcome<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: outcome\n    theirs: {}\n    ours:   {}", self.case.id, self.theirs, self.ours)
    }
}

const OUTCOMES: &[Reason<Outcome>] = &[
    Reason { says: "an answer where the webhook crashes", explains: |it| it.theirs == "panic" },
    Reason {
        says: says::CHECKED_VALUES,
        explains: |it| {
            UNCHECKED.iter().any(|name| it.rejects(name))
                || it.rejection().is_some_and(|problem| problem.contains("/service-meta-"))
        },
    },
    Reason {
        says: "upstreams that the controller cannot register, and two upstreams on the same port, are rejected",
        explains: |it| it.rejects("connect-service-upstreams"),
    },
    Reason {
        says: says::CHECKED_SERVICE,
        explains: |it| {
            let names = [
                "connect-service",
                "connect-service-port",
                "connect-service-default-port",
                "kubernetes-service",
            ];
            let account = |problem: &str| problem.starts_with("spec.serviceAccountName: ");
            names.iter().any(|name| it.rejects(name))
                || (it.case.acls() && it.rejection().is_some_and(account))
        },
    },
    Reason {
        says: "negative amounts and requests that exceed their limits are rejected; other amounts are kept as written",
        explains: |it| {
            let whys = ["must not be negative", "must not exceed the ", "must not be less than the "];
            it.rejection().is_some_and(|problem| {
                problem.contains("sidecar-proxy-") && whys.iter().any(|why| problem.contains(why))
            })
        },
    },
    Reason {
        says: "settings that cannot work, such as invalid names of namespaces, are rejected",
        explains: |it| it.rejection().is_some_and(|problem| problem.starts_with("setting ")),
    },
    Reason {
        says: "pods with hostNetwork, for Windows, without containers, or with a container or volume that has an injected name are rejected; mirrors of static pods are skipped",
        explains: |it| {
            let whys = [
                "spec.hostNetwork: ",
                "not be windows",
                "the name of an injected",
                "spec.containers: ",
                "mirror-pod",
            ];
            it.case.raw.is_some() || (it.theirs == "injected" && whys.iter().any(|why| it.ours.contains(why)))
        },
    },
    Reason {
        says: says::OWN_TOKEN,
        explains: |it| it.is_injected_where("unable to find service account token volumeMount"),
    },
    Reason {
        says: says::NOBODY_IS_ASKED,
        explains: |it| {
            let messages = ["error getting namespace metadata", "secrets ", "serviceaccounts "];
            let label = |label: &String| label.parse::<bool>().is_err();
            messages.iter().any(|message| it.is_injected_where(message))
                || (it.is_injected_where("")
                    && (it.case.namespace.labels.values().any(label) || !it.case.consul.is_null()))
        },
    },
    Reason { says: says::OPENSHIFT_USERS, explains: |it| it.case.is_on("global.openshift.enabled") },
    Reason {
        says: "pods in namespaces that the chart's controllers ignore are skipped",
        explains: |it| it.case.namespace.name == "local-path-storage" && it.ours == "system-namespace",
    },
    Reason {
        says: "spaces around a port or a service's name are removed",
        explains: |it| {
            let port = it.case.annotation("connect-service-port");
            it.is_injected_where("is not a valid port") && port.is_some_and(|port| port.contains(' '))
        },
    },
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

impl Outcome<'_> {
    /// The policy reports a problem, and the webhook injects.
    fn rejection(&self) -> Option<&str> {
        self.ours.strip_prefix("- ").filter(|_| self.theirs != "panic")
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
}

/// What a reason for a difference between pods requires of the case. The pods do not tell it.
fn applies(says: &str, it: &against::Difference, case: &Case) -> bool {
    match says {
        says::RESOLVED_ANNOTATIONS => is_resolved(it, case),
        says::OPENSHIFT_USERS => case.is_on("global.openshift.enabled"),
        says::CLUSTER_DOMAIN => case.resolv_conf.is_some(),
        // The settings have the path of the access log.
        says::NOBODY_IS_ASKED => it.path.ends_with(".secret.secretName"),
        // The chart passes the times to the webhook only where all proxies are native sidecars. In
        // dual stack Envoy does not listen where the command asks.
        says::NATIVE_SIDECAR if it.path.contains(".startupProbe.") => {
            let times = |path: &String| path.contains(".dataplaneAsSidecarInitContainer.");
            case.is_on("global.dualStack.enabled") || case.values.keys().any(times)
        }
        _ => true,
    }
}

/// An annotation that a pod gets from the settings.
fn is_resolved(it: &against::Difference, case: &Case) -> bool {
    let settings = case.settings();
    let ours = it.ours.as_ref().and_then(Value::as_str);
    let resolved = RESOLVED.iter().any(|(name, setting, default)| {
        let value = settings.pointer(setting).map(|value| value.to_string().replace('"', ""));
        it.path == format!("annotations[{PREFIX}{name}]") && ours == Some(value.as_deref().unwrap_or(default))
    });
    resolved || (it.path.ends_with("-k8s-version]") && it.theirs == Some(json!("v2.0.3")))
}

/// With the settings' defaults.
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

/// The differences with what explains each of them: in the outcome, one for each problem that the
/// policy reports, or in the injected pod.
fn differences(case: &'static Case) -> Vec<(String, Option<&'static str>)> {
    let answer = case.ask();
    let (ours, told) = outcome(&answer);
    match case.outcome.kind.as_str() {
        "injected" if ours == "injected" => in_pods(case, &answer.pod()),
        theirs if theirs == ours => Vec::new(),
        theirs => {
            let outcomes = told.into_iter().map(|ours| Outcome { case, theirs, ours });
            outcomes.map(|it| (it.to_string(), explanation(&it, OUTCOMES))).collect()
        }
    }
}

/// The kind of the outcome, and the texts of [`Outcome::ours`].
fn outcome(answer: &Answer) -> (&'static str, Vec<String>) {
    if answer.mutated_object.is_some() {
        return ("injected", vec!["injected".to_owned()]);
    }
    match answer.message.as_deref() {
        None => ("skipped", vec![answer.reason().to_owned()]),
        Some(message) => {
            let problems = message.lines().skip(usize::from(message.contains('\n')));
            ("rejected", problems.map(str::to_owned).collect())
        }
    }
}

fn in_pods(case: &Case, ours: &Value) -> Vec<(String, Option<&'static str>)> {
    let explained = against::compare_injected(&case.outcome.pod, ours).into_iter().map(|it| {
        let says = it.reason.map(|reason| reason.says).filter(|says| applies(says, &it, case));
        let shown = |value: &Option<Value>| value.clone().unwrap_or_default();
        let (path, theirs, ours) = (&it.path, shown(&it.theirs), shown(&it.ours));
        (format!("{}: {path}\n    theirs: {theirs}\n    ours:   {ours}", case.id), says)
    });
    explained.collect()
}

#[test]
fn every_difference_from_the_webhook_has_a_reason() {
    let outcomes = OUTCOMES.iter().map(|reason| reason.says);
    let pods = against::REASONS.iter().map(|reason| reason.says);
    assert_explained(CASES.iter().flat_map(differences), outcomes.chain(pods));
}
