//! Compares the policy with the original injector, case by case.
//!
//! `test_data/conformance/original-injector.jsonl` contains what consul-k8s 0.25.0
//! did with 344 pods. The policy does the same, or the difference has one of the
//! [`REASONS`]. A difference without a reason fails, and so does a reason without a
//! case.
//!
//! A model of the original that reproduces the recorded cases ([`original()`]) extends them by
//! some thousand similar pods ([`derived()`]).

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::{Map, Value, json};
use support::kept::AGENT;
use support::original::derived::derived;
use support::original::model::original;
use support::original::{CASES, Case};
use support::reasons::{Reason, assert_explained, explanation};
use support::{
    Answer, ENVOY, PREFIX, ask_in, container, containers, environment, envoy_arguments, registration,
};

/// One place where the two do not do the same.
struct Difference<'c> {
    case: &'c Case,
    /// `outcome`, or a place in what was [`observed`] of the injected pod.
    what: String,
    theirs: Value,
    /// One of the problems of a rejection, otherwise the name of the reason.
    ours: Value,
}

impl fmt::Display for Difference<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Difference { case, what, theirs, ours } = self;
        write!(f, "{}: {what}: the original {theirs}, the policy {ours}", case.name)
    }
}

impl Difference<'_> {
    /// The original injects, and the policy reports a problem of that annotation.
    fn rejected(&self, annotation: &str, why: &[&str]) -> bool {
        let problem = self.ours.as_str().unwrap_or_default();
        self.what == "outcome"
            && self.theirs != "crash"
            && problem.starts_with(&format!("- annotation {PREFIX}{annotation}: "))
            && why.iter().any(|why| problem.contains(why))
    }
}

const REASONS: &[Reason<Difference>] = &[
    Reason {
        says: "rejected where the original crashes",
        explains: |it| it.theirs == "crash" && it.ours.as_str().is_some_and(|ours| ours.starts_with("- ")),
    },
    Reason {
        says: "rejected where the original writes a registration that Consul cannot parse",
        explains: |it| {
            it.case.original["registration_broken"] == true && it.what.starts_with("registration/")
        },
    },
    Reason {
        says: "an invalid upstream is rejected; the original drops or truncates it",
        explains: |it| {
            let whys = [
                "separated by commas",
                "local port \"",
                "a local port is required",
                "service name ",
                "must not be empty",
                "has too many parts",
                "Consul namespace ",
                "datacenter ",
            ];
            it.rejected("connect-service-upstreams", &whys)
        },
    },
    Reason {
        says: "two upstreams on the same local port are rejected",
        explains: |it| it.rejected("connect-service-upstreams", &["its local port is already used by"]),
    },
    Reason {
        says: "a service port that is not a plain number from 1 to 65535 is rejected",
        explains: |it| {
            let whys = ["must be a port number", "must be a TCP port", "is a port of an init container"];
            it.rejected("connect-service-port", &whys)
        },
    },
    Reason {
        says: "spaces around the service port are removed",
        explains: |it| {
            let port = it.case.annotation("connect-service-port").unwrap_or_default();
            port != port.trim() && it.theirs == "rejected" && it.ours == "injected"
        },
    },
    Reason {
        says: "an empty service name is rejected; the original silently skips the pod",
        explains: |it| it.theirs == "skipped" && it.rejected("connect-service", &["\"\": must not be empty"]),
    },
    Reason {
        says: "a name that is invalid for a service in Consul is rejected",
        explains: |it| {
            let whys = ["must consist of ", "must be a single service"];
            it.rejected("connect-service", &whys)
        },
    },
    Reason {
        says: "with ACLs, the policy mounts a projected token of its own instead of copying the app's mount",
        explains: |it| {
            it.theirs == "rejected"
                && it.ours == "injected"
                && it.case.settings["acls"]["enabled"] == true
                && !it.case.pod["spec"].to_string().contains("secrets/kubernetes.io/serviceaccount\"")
        },
    },
    Reason {
        says: "a pod without `connect-inject` is never rejected because of the setting `default`",
        explains: |it| {
            it.theirs == "rejected"
                && it.ours == "not-injectable"
                && !it.case.pod["metadata"].to_string().contains(PREFIX)
        },
    },
    Reason {
        says: "metadata that Consul would refuse is rejected",
        explains: |it| {
            ["", "a.b", "consul-x", "pod-name"]
                .iter()
                .any(|key| it.rejected(&format!("service-meta-{key}"), &["metadata key"]))
        },
    },
    Reason {
        says: "`$POD_NAME` is replaced by the policy; no shell evaluates the value",
        explains: |it| it.what.contains("/meta/") && it.theirs == "${POD_NAME}" && it.ours == "web-0",
    },
    Reason { says: "a negative quantity is rejected", explains: negative },
    Reason {
        says: "a request that exceeds its limit is rejected",
        explains: |it| {
            let all = [("cpu", "request"), ("cpu", "limit"), ("memory", "request"), ("memory", "limit")];
            all.iter().any(|(resource, kind)| {
                it.rejected(
                    &format!("sidecar-proxy-{resource}-{kind}"),
                    &["must not exceed the ", "must not be less than the "],
                )
            })
        },
    },
    Reason {
        says: "a flag with which Envoy would not start or not join the mesh, such as a repeated flag, is rejected",
        explains: |it| {
            let whys = ["is not allowed: ", "Envoy does not start", "requires a value", "the value "];
            it.rejected("envoy-extra-args", &whys)
        },
    },
    Reason {
        says: "names of upstream variables are valid in a shell; prepared queries get variables too; of two upstreams with the same name, the first sets the variables, and a later one those with its datacenter",
        explains: |it| {
            let variables: BTreeMap<String, String> = variables(it.case).into_iter().collect();
            let variable =
                it.what.strip_prefix("upstream_environment/").and_then(|place| place.split_once('/'));
            variable.is_some_and(|(_, variable)| it.ours == json!(variables.get(variable)))
        },
    },
    Reason {
        says: "names of upstreams and tags are trimmed, and empty tags are removed",
        explains: |it| {
            let ours = if it.ours.is_null() { &json!([]) } else { &it.ours };
            ["/tags", "/upstreams"].iter().any(|place| it.what.ends_with(place))
                && trimmed(&it.theirs) == *ours
        },
    },
    Reason {
        says: "the default port is the first TCP port of any container, not only of the first container",
        explains: |it| {
            let tcp = |port: &&Value| port["protocol"].as_str().is_none_or(|protocol| protocol == "TCP");
            let port = ports(&it.case.pod).find(tcp);
            let number = port.map(|port| port["containerPort"].clone()).unwrap_or_default();
            let name = port.map(|port| port["name"].as_str().map_or(number.to_string(), str::to_owned));
            let ours = match it.what.rsplit('/').next().unwrap() {
                "connect-service-port" => json!(name),
                "port" | "local_service_port" => number,
                "local_service_address" => json!(port.map(|_| "127.0.0.1")),
                _ => return false,
            };
            it.case.annotation("connect-service-port").is_none() && it.ours == ours
        },
    },
];

/// Trims the strings in a value, and removes empty strings from lists.
fn trimmed(value: &Value) -> Value {
    match value {
        Value::String(text) => json!(text.trim()),
        Value::Array(items) => items.iter().map(trimmed).filter(|item| item != "").collect(),
        Value::Object(members) => {
            members.iter().map(|(name, member)| (name.clone(), trimmed(member))).collect()
        }
        other => other.clone(),
    }
}

fn negative(it: &Difference) -> bool {
    let amounts = ["cpu-limit", "cpu-request", "memory-limit", "memory-request"];
    amounts.iter().any(|amount| it.rejected(&format!("sidecar-proxy-{amount}"), &["must not be negative"]))
}

/// What the policy does, in the format of the recorded cases. The user's pod and the order of the
/// variables, which the original keeps, are only recorded where they change.
fn observed(case: &Case, answer: &Answer) -> Value {
    if !answer.accepted {
        return json!({ "outcome": "rejected" });
    }
    if answer.mutated_object.is_none() {
        return json!({ "outcome": "skipped" });
    }
    let pod = answer.pod();
    let (mut service, mut proxy) = registration(&pod);
    for document in [&mut service, &mut proxy] {
        // The checks are the policy's own, and other tests cover them.
        document.as_object_mut().unwrap().remove("checks");
    }
    json!({
        "outcome": "injected",
        "annotations_written": annotations_written(&case.pod, &pod),
        "upstream_environment": upstream_environment(&case.pod, &pod),
        "registration": { "service": service, "proxy": proxy },
        "lost": AGENT.is_kept("", &case.pod, &pod).err(),
        "in_another_order": in_another_order(case, &pod),
    })
}

fn annotations_written(before: &Value, after: &Value) -> Value {
    let all = after["metadata"]["annotations"].as_object().unwrap().clone();
    let old = &before["metadata"]["annotations"];
    all.into_iter().filter(|(key, value)| old.get(key) != Some(value)).collect::<Map<_, _>>().into()
}

/// The variables of all the user's containers.
fn upstream_environment(before: &Value, after: &Value) -> Value {
    let environment = |user: &Value| {
        let name = user["name"].as_str().unwrap();
        (name.to_owned(), json!(environment(container(after, name))))
    };
    containers(before).map(environment).collect::<Map<_, _>>().into()
}

/// The containers whose variables are not in the order of the upstreams.
fn in_another_order<'c>(case: &'c Case, pod: &Value) -> Vec<&'c str> {
    let names: Vec<String> = variables(case).into_iter().map(|(name, _)| name).collect();
    let is_another = |container: &&str| {
        let listed = support::container(pod, container)["env"].as_array().into_iter().flatten();
        !listed.map(|variable| &variable["name"]).eq(&names)
    };
    containers(&case.pod).map(|user| user["name"].as_str().unwrap()).filter(is_another).collect()
}

/// The variables of the upstreams in order: names that are valid in a shell, and values. Of two
/// upstreams with the same name, the first one's variables have it, and a later one's also have the
/// datacenter.
fn variables(case: &Case) -> Vec<(String, String)> {
    let list = case.annotation("connect-service-upstreams").unwrap_or_default();
    let mut variables: Vec<(String, String)> = Vec::new();
    for upstream in list.split(',') {
        let parts: Vec<&str> = upstream.split(':').map(str::trim).collect();
        let (name, port, datacenter) = match parts[..] {
            ["prepared_query", query, port] => (variable_name(query), port, None),
            [service, port, datacenter] => (variable_name(service), port, Some(datacenter)),
            [service, port] => (variable_name(service), port, None),
            _ => continue,
        };
        let taken = |name: &str| {
            let host = format!("{name}_CONNECT_SERVICE_HOST");
            variables.iter().any(|(variable, _)| *variable == host)
        };
        let name = match datacenter {
            Some(datacenter) if taken(&name) => format!("{name}_{}", variable_name(datacenter)),
            _ => name,
        };
        if !taken(&name) {
            let named = ports(&case.pod).find(|own| own["name"] == port);
            let port = named.map_or_else(|| port.to_owned(), |named| named["containerPort"].to_string());
            variables.push((format!("{name}_CONNECT_SERVICE_HOST"), "127.0.0.1".to_owned()));
            variables.push((format!("{name}_CONNECT_SERVICE_PORT"), port));
        }
    }
    variables
}

fn variable_name(upstream: &str) -> String {
    let name = upstream.to_uppercase().replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("_{name}") } else { name }
}

fn ports(pod: &Value) -> impl Iterator<Item = &Value> {
    containers(pod).flat_map(|container| container["ports"].as_array().into_iter().flatten())
}

/// The recorded registration in the form of the policy's documents: with IDs, metadata and all
/// addresses.
fn documents(recorded: &Value) -> Value {
    let mut meta = json!({ "pod-name": "web-0", "k8s-namespace": "shop" });
    meta.as_object_mut().unwrap().extend(recorded["meta"].as_object().cloned().unwrap_or_default());
    let mut upstreams = recorded["upstreams"].clone();
    for upstream in upstreams.as_array_mut().into_iter().flatten() {
        upstream["local_bind_address"] = json!("127.0.0.1");
    }
    let id = format!("web-0-{}", recorded["service"].as_str().unwrap());
    let local_port = &recorded["local_service_port"];
    json!({
        "service": {
            "name": recorded["service"], "id": id, "address": "198.18.0.7", "meta": meta,
            "port": recorded["port"].as_u64().filter(|port| *port > 0),
            "namespace": recorded["namespace"], "tags": recorded["tags"],
        },
        "proxy": {
            "kind": "connect-proxy", "name": recorded["proxy_service"], "id": format!("{id}-sidecar-proxy"),
            "address": "198.18.0.7", "meta": meta, "port": 20000,
            "namespace": recorded["namespace"], "tags": recorded["tags"],
            "proxy": {
                "destination_service_name": recorded["service"], "destination_service_id": id,
                "local_service_address": local_port.is_number().then_some("127.0.0.1"),
                "local_service_port": local_port, "upstreams": upstreams,
            },
        },
    })
}

/// A value as a map of paths to leaves. A list is a leaf; `null` is omitted.
fn places(place: &str, value: &Value, all: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                places(&format!("{place}/{name}"), member, all);
            }
        }
        Value::Null => (),
        Value::Array(items) if items.is_empty() => (),
        _ => drop(all.insert(place.trim_start_matches('/').to_owned(), value.clone())),
    }
}

/// The differences: in the outcome, one for each problem that the policy reports, or in
/// single annotations, variables and parts of the registration.
fn differences(case: &Case) -> Vec<Difference<'_>> {
    let answer = ask_in(&case.namespace, &case.pod, &case.settings);
    let (mut theirs, ours) = (case.original.clone(), observed(case, &answer));
    if theirs["outcome"] != ours["outcome"] {
        let problems = answer.message.as_deref().unwrap_or(answer.reason()).lines();
        let problems = problems.skip(usize::from(!answer.accepted));
        let outcome = |problem: &str| Difference {
            case,
            what: "outcome".into(),
            theirs: theirs["outcome"].clone(),
            ours: problem.into(),
        };
        return problems.map(outcome).collect();
    }
    if let Some(recorded) = theirs.get("registration") {
        theirs["registration"] = documents(recorded);
    }
    theirs.as_object_mut().unwrap().remove("registration_broken");
    let placed = |observed: &Value| {
        let mut all = BTreeMap::new();
        places("", observed, &mut all);
        all
    };
    let (theirs, ours) = (placed(&theirs), placed(&ours));
    let all: BTreeSet<&String> = theirs.keys().chain(ours.keys()).collect();
    let of = |side: &BTreeMap<String, Value>, what: &String| side.get(what).cloned().unwrap_or_default();
    let differ = all.into_iter().filter(|what| theirs.get(*what) != ours.get(*what));
    differ
        .map(|what| Difference { case, what: what.clone(), theirs: of(&theirs, what), ours: of(&ours, what) })
        .collect()
}

#[test]
fn every_difference_from_the_original_has_a_reason() {
    let derived: &[_] = derived().leak();
    let differences = CASES.iter().chain(derived).flat_map(differences);
    let explained = differences.map(|it| (it.to_string(), explanation(&it, REASONS)));
    assert_explained(explained, REASONS.iter().map(|reason| reason.says));
}

/// The model of the original is no guess: it does what was recorded.
#[test]
fn the_model_of_the_original_does_what_was_recorded() {
    for case in CASES.iter() {
        let modelled = original(&case.settings, &case.namespace, &case.pod);
        assert_eq!(modelled, case.original, "{}", case.name);
    }
}

/// No recorded case covers this, so the test is the rule itself: an annotation overrides
/// the setting.
#[test]
fn envoys_resources_and_arguments_are_the_annotations_over_the_settings() {
    let (mut amounts, mut arguments) = (0, 0);
    for case in CASES.iter() {
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
