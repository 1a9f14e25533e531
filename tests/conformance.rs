//! The original injector, case by case.
//!
//! `test_data/conformance/original-injector.jsonl` holds what consul-k8s 0.25.0
//! did with 344 pods. The policy does the same, or the difference is one of
//! [`REASONS`]: few and general. A difference without a reason fails, and so does
//! a reason that no case needs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use support::{
    Answer, ENVOY, PREFIX, ask_in, container, containers, environment, envoy_arguments, registration,
};

const CASES: &str = include_str!("../test_data/conformance/original-injector.jsonl");

#[derive(Deserialize)]
struct Case {
    name: String,
    settings: Value,
    namespace: String,
    pod: Value,
    original: Value,
}

/// One place where the two do not do the same.
struct Difference<'c> {
    case: &'c Case,
    /// `outcome`, or what of the injected pod.
    what: String,
    theirs: Value,
    /// Of a rejection, one of its problems.
    ours: Value,
}

impl Case {
    fn annotation(&self, name: &str) -> Option<&str> {
        self.pod["metadata"]["annotations"].get(format!("{PREFIX}{name}"))?.as_str()
    }

    /// The upstreams that the pod names, each as its parts.
    fn upstreams(&self) -> Vec<Vec<&str>> {
        let list = self.annotation("connect-service-upstreams").unwrap_or_default();
        list.split(',').map(|upstream| upstream.split(':').map(str::trim).collect()).collect()
    }
}

impl Difference<'_> {
    /// The original injects, and the policy names a problem of that annotation.
    fn rejected(&self, annotation: &str, why: &[&str]) -> bool {
        let problem = self.ours.as_str().unwrap_or_default();
        self.what == "outcome"
            && self.theirs != "crash"
            && problem.starts_with(&format!("- annotation {PREFIX}{annotation}: "))
            && why.iter().any(|why| problem.contains(why))
    }

    /// The variable that is not the same.
    fn variable(&self) -> Option<&str> {
        self.what.strip_prefix("upstream_environment.")?.split('/').nth(1)
    }
}

/// A kind of difference that is meant.
struct Reason {
    says: &'static str,
    explains: fn(&Difference) -> bool,
}

const REASONS: &[Reason] = &[
    Reason {
        says: "where the original crashes, the policy rejects",
        explains: |it| it.theirs == "crash" && it.ours.is_string(),
    },
    Reason {
        says: "what the original registers cannot be parsed",
        explains: |it| {
            it.case.original["registration_broken"] == true && it.what.starts_with("registration.")
        },
    },
    Reason {
        says: "an upstream that cannot be understood is rejected, not dropped or cut",
        explains: |it| {
            let whys = ["has a port", "has no port", "has no name", "has too many parts"];
            it.rejected("connect-service-upstreams", &whys)
        },
    },
    Reason {
        says: "two upstreams on one local port are rejected",
        explains: |it| it.rejected("connect-service-upstreams", &["has the same local port as"]),
    },
    Reason {
        says: "a service port that is none is rejected, not registered as 0",
        explains: |it| it.rejected("connect-service-port", &["is not a number from 1 to 65535"]),
    },
    Reason {
        says: "an empty service name is rejected, not skipped in silence",
        explains: |it| it.theirs == "skipped" && it.rejected("connect-service", &["\"\" is empty"]),
    },
    Reason {
        says: "metadata that Consul refuses is rejected",
        explains: |it| it.rejected("service-meta-", &["has no key"]),
    },
    Reason { says: "a negative quantity is rejected", explains: negative },
    Reason {
        says: "a request over its limit is rejected",
        explains: |it| {
            ["cpu", "memory"].iter().any(|resource| {
                it.rejected(&format!("sidecar-proxy-{resource}-request"), &["is over the limit"])
            })
        },
    },
    Reason {
        says: "prepared queries get variables",
        explains: |it| {
            let queries = it.case.upstreams().into_iter().filter(|parts| parts[0] == "prepared_query");
            let mut names = queries.map(|parts| variable_name(parts[1]));
            it.theirs.is_null() && it.variable().is_some_and(|own| names.any(|name| own.starts_with(&name)))
        },
    },
    Reason {
        says: "a dot becomes _ in a variable's name",
        explains: |it| {
            let Some(variable) = it.variable() else { return false };
            let dotted = it.case.upstreams().into_iter().filter(|parts| parts[0].contains('.'));
            let mut names = dotted.map(|parts| (parts[0].to_uppercase(), variable_name(parts[0])));
            names.any(|(theirs, ours)| {
                (it.ours.is_null() && variable.starts_with(&theirs))
                    || (it.theirs.is_null() && variable.starts_with(&ours))
            })
        },
    },
    Reason {
        says: "of two upstreams with one name the first has the variables, not the last",
        explains: |it| {
            let name = it.variable().and_then(|variable| variable.strip_suffix("_CONNECT_SERVICE_PORT"));
            let upstreams = it.case.upstreams();
            let mut same = upstreams.iter().filter(|parts| Some(variable_name(parts[0])).as_deref() == name);
            same.next().is_some_and(|first| it.ours == first[1])
                && same.next_back().is_some_and(|last| it.theirs == last[1])
        },
    },
    Reason {
        says: "the names of upstreams and the tags are trimmed, and empty tags left out",
        explains: |it| match it.what.as_str() {
            "registration.tags" => {
                let tags = it.theirs.as_array().into_iter().flatten().map(|tag| tag.as_str().unwrap().trim());
                let tags: Vec<&str> = tags.filter(|tag| !tag.is_empty()).collect();
                json!(tags) == *it.ours.as_array().map_or(&json!([]), |_| &it.ours)
            }
            "registration.upstreams" => {
                let mut upstreams = it.theirs.clone();
                for upstream in upstreams.as_array_mut().into_iter().flatten() {
                    upstream["destination_name"] =
                        json!(upstream["destination_name"].as_str().unwrap().trim());
                }
                upstreams == it.ours
            }
            _ => false,
        },
    },
    Reason {
        says: "any container's TCP port counts for the default, not only the first container's",
        explains: |it| {
            let first = &it.case.pod["spec"]["containers"][0];
            it.case.annotation("connect-service-port").is_none()
                && first.get("ports").is_none()
                && it.what.contains("port")
                && (it.theirs.is_null() || it.theirs == 0)
        },
    },
];

fn negative(it: &Difference) -> bool {
    let amounts = ["cpu-limit", "cpu-request", "memory-limit", "memory-request"];
    amounts.iter().any(|amount| it.rejected(&format!("sidecar-proxy-{amount}"), &["is negative"]))
}

fn variable_name(upstream: &str) -> String {
    upstream.to_uppercase().replace(['.', '-'], "_")
}

fn cases() -> Vec<Case> {
    CASES.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What the policy does, in the terms of the recorded cases.
fn observed(case: &Case, answer: &Answer) -> Value {
    if !answer.accepted {
        return json!({ "outcome": "rejected" });
    }
    if answer.mutated_object.is_none() {
        return json!({ "outcome": "skipped" });
    }
    let pod = answer.pod();
    json!({
        "outcome": "injected",
        "annotations_written": annotations_written(&case.pod, &pod),
        "upstream_environment": upstream_environment(&case.pod, &pod),
        "registration": registered(&pod),
    })
}

fn annotations_written(before: &Value, after: &Value) -> Value {
    let all = after["metadata"]["annotations"].as_object().unwrap().clone();
    let old = &before["metadata"]["annotations"];
    all.into_iter().filter(|(key, value)| old.get(key) != Some(value)).collect::<Map<_, _>>().into()
}

/// The variables of every container of the user's, `<container>/<variable>`.
fn upstream_environment(before: &Value, after: &Value) -> Value {
    let mut all = Map::new();
    for user in containers(before) {
        let name = user["name"].as_str().unwrap();
        for (variable, value) in environment(container(after, name)) {
            if variable.contains("_CONNECT_SERVICE_") {
                all.insert(format!("{name}/{variable}"), value.into());
            }
        }
    }
    all.into()
}

/// The recorded variables in the same form.
fn flat(environment: &Value) -> Value {
    let mut all = Map::new();
    for (container, variables) in environment.as_object().into_iter().flatten() {
        for (variable, value) in variables.as_object().unwrap() {
            all.insert(format!("{container}/{variable}"), value.clone());
        }
    }
    all.into()
}

fn registered(pod: &Value) -> Value {
    let (service, proxy) = registration(pod);
    for key in ["namespace", "tags", "meta"] {
        assert_eq!(service.get(key), proxy.get(key), "{key} is on both");
    }
    let mut out = json!({
        "service": service["name"],
        "port": service.get("port").unwrap_or(&json!(0)),
        "proxy_service": proxy["name"],
    });
    let optional = |from: &Value, key: &str| from.get(key).cloned();
    let mut add = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            out[name] = value;
        }
    };
    add("local_service_port", optional(&proxy["proxy"], "local_service_port"));
    add("namespace", optional(&service, "namespace"));
    add("tags", optional(&service, "tags"));
    let mut meta = service["meta"].as_object().unwrap().clone();
    assert!(meta.remove("pod-name").is_some() && meta.remove("k8s-namespace").is_some());
    add("meta", Some(meta).filter(|meta| !meta.is_empty()).map(Value::from));
    let mut upstreams = optional(&proxy["proxy"], "upstreams").unwrap_or_else(|| json!([]));
    for upstream in upstreams.as_array_mut().unwrap() {
        assert_eq!(upstream.as_object_mut().unwrap().remove("local_bind_address"), Some(json!("127.0.0.1")));
    }
    add("upstreams", Some(upstreams));
    out
}

/// Where the two differ: in the outcome, for every problem that the policy tells,
/// or in single annotations, variables and parts of the registration.
fn differences(case: &Case) -> Vec<Difference<'_>> {
    let answer = ask_in(&case.namespace, &case.pod, &case.settings);
    let (mut theirs, ours) = (case.original.clone(), observed(case, &answer));
    theirs["upstream_environment"] = flat(&theirs["upstream_environment"]);
    if theirs["outcome"] != ours["outcome"] {
        let problems = answer.message.as_deref().unwrap_or("accepted").lines();
        let problems = problems.skip(usize::from(!answer.accepted));
        let outcome = |problem: &str| Difference {
            case,
            what: "outcome".into(),
            theirs: theirs["outcome"].clone(),
            ours: problem.into(),
        };
        return problems.map(outcome).collect();
    }
    let mut found = Vec::new();
    for part in ["annotations_written", "upstream_environment", "registration"] {
        let members = |all: &Value| all[part].as_object().cloned().unwrap_or_default();
        let (theirs, ours) = (members(&theirs), members(&ours));
        let keys: BTreeSet<&String> = theirs.keys().chain(ours.keys()).collect();
        for key in keys {
            let of = |all: &Map<String, Value>| all.get(key).cloned().unwrap_or_default();
            if of(&theirs) != of(&ours) {
                let what = format!("{part}.{key}");
                found.push(Difference { case, what, theirs: of(&theirs), ours: of(&ours) });
            }
        }
    }
    found
}

#[test]
fn every_difference_from_the_original_has_a_reason_and_every_reason_a_difference() {
    let mut needed = vec![0_usize; REASONS.len()];
    let mut unexplained = String::new();
    for case in &cases() {
        for difference in differences(case) {
            match REASONS.iter().position(|reason| (reason.explains)(&difference)) {
                Some(reason) => needed[reason] += 1,
                None => {
                    let Difference { what, theirs, ours, .. } = &difference;
                    let _ = writeln!(
                        unexplained,
                        "{}: {what}: the original {theirs}, the policy {ours}",
                        case.name
                    );
                }
            }
        }
    }
    assert!(unexplained.is_empty(), "differences without a reason:\n{unexplained}");
    for (reason, count) in REASONS.iter().zip(&needed) {
        println!("{count:4} {}", reason.says);
        assert!(*count > 0, "no case needs the reason: {}", reason.says);
    }
}

/// The recorded cases do not hold what the original does here, so the rule itself
/// is the test: an annotation is over the setting.
#[test]
fn envoys_resources_and_arguments_are_the_annotations_over_the_settings() {
    let (mut amounts, mut arguments) = (0, 0);
    for case in &cases() {
        let answer = ask_in(&case.namespace, &case.pod, &case.settings);
        if answer.mutated_object.is_none() {
            continue;
        }
        let pod = answer.pod();
        for (resource, kind) in
            [("cpu", "limit"), ("cpu", "request"), ("memory", "limit"), ("memory", "request")]
        {
            let setting = &case.settings["sidecarProxy"]["resources"][format!("{kind}s")][resource];
            let wanted = case.annotation(&format!("sidecar-proxy-{resource}-{kind}")).or(setting.as_str());
            if let Some(wanted) = wanted {
                let written = &container(&pod, ENVOY)["resources"][format!("{kind}s")][resource];
                assert_eq!(written, wanted, "{}: {resource} {kind}", case.name);
                amounts += 1;
            }
        }
        let arguments_wanted =
            case.annotation("envoy-extra-args").or(case.settings["envoyExtraArgs"].as_str());
        let wanted: Vec<String> =
            arguments_wanted.unwrap_or_default().split_whitespace().map(str::to_owned).collect();
        let written = envoy_arguments(&pod);
        assert!(written.ends_with(&wanted), "{}: {written:?} does not end with {wanted:?}", case.name);
        arguments += usize::from(!wanted.is_empty());
    }
    assert!(amounts > 40 && arguments > 2, "{amounts} amounts, {arguments} lists of arguments");
}
