//! Properties of the built `policy.wasm` for any pod: everything that the policy does not own
//! comes back unchanged and in the same order, an injected pod is not changed again, the same
//! input gives the same bytes, and the patch applies.

mod support;

use consul_connect_injector::admission;
use policy_host::{AdmissionResponse, PolicyAnswer};
use proptest::collection::{hash_map, vec};
use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};
use serde_json::{Value, json};
use soak::{pointers, sample};
use support::kept::{AGENT, DATAPLANE, Own};
use support::{Answer, Asked as _, PREFIX, policy};

/// Any Unicode.
fn text() -> impl Strategy<Value = String> {
    vec(any::<char>(), 0..8).prop_map(String::from_iter)
}

/// Any value that the policy server can represent.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        select(vec![json!(null), json!(true), json!(false), json!([]), json!({}), json!("")]),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        // Pods have no fractions; serde_json may change the last of 17 digits.
        any::<i32>().prop_map(|quarters| Value::from(f64::from(quarters) / 4.0)),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            hash_map(text(), inner, 0..4).prop_map(|members| members.into_iter().collect()),
        ]
    })
}

/// Optional lists and maps of a pod.
const OPTIONAL: &[&str] = &[
    "/metadata",
    "/metadata/labels",
    "/metadata/annotations",
    "/spec/volumes",
    "/spec/initContainers",
    "/spec/initContainers/1/env",
    "/spec/containers/0/env",
    "/spec/containers/0/ports",
    "/spec/containers/0/readinessProbe",
];

/// A change to one of them.
#[derive(Clone, Debug)]
enum Optional {
    Kept,
    Missing,
    Null,
    Empty,
}

fn optional() -> impl Strategy<Value = Optional> {
    use Optional::{Empty, Kept, Missing, Null};
    prop_oneof![9 => Just(Kept), 1 => Just(Missing), 1 => Just(Null), 1 => Just(Empty)]
}

fn set(pod: &mut Value, pointer: &str, optional: Optional) {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let Some(parent) = pod.pointer_mut(parent).and_then(Value::as_object_mut) else { return };
    match optional {
        Optional::Kept => (),
        Optional::Missing => drop(parent.remove(key)),
        Optional::Null => parent[key] = Value::Null,
        Optional::Empty => parent[key] = if parent[key].is_array() { json!([]) } else { json!({}) },
    }
}

/// A pod with some of these annotations, which is injected when the setting `default` is on.
fn pod(annotations: &'static [(&'static str, &'static str)]) -> impl Strategy<Value = Value> {
    let annotations = subsequence(annotations, 0..=annotations.len());
    let optional = vec(optional(), OPTIONAL.len());
    let names = vec("c[a-z]{1,6}", 0..4);
    let fields = vec((any::<Index>(), "[a-z]{0,3}", any_json()), 0..8);
    let entries = hash_map("[a-z]{1,3}", text(), 0..4);
    (annotations, optional, names, fields, entries).prop_map(
        |(annotations, optional, names, fields, entries)| {
            let mut pod = sample::pod(&annotations);
            // Innermost first.
            for (pointer, optional) in OPTIONAL.iter().zip(optional).rev() {
                set(&mut pod, pointer, optional);
            }
            let more = names.iter().enumerate();
            let more = more.map(|(index, name)| json!({ "name": format!("{name}-{index}") }));
            pod["spec"]["containers"].as_array_mut().unwrap().extend(more);
            for map in ["/metadata/labels", "/metadata/annotations"] {
                let map = pod.pointer_mut(map).and_then(Value::as_object_mut);
                let entries = entries.iter().map(|(key, value)| (format!("example.com/{key}"), json!(value)));
                map.into_iter().for_each(|map| map.extend(entries.clone()));
            }
            // The values of labels and annotations are strings.
            let mut objects = pointers(&pod);
            objects.retain(|place| pod.pointer(place).is_some_and(Value::is_object));
            objects.retain(|place| !place.ends_with("/labels") && !place.ends_with("/annotations"));
            for (place, key, value) in fields {
                pod.pointer_mut(place.get::<String>(&objects)).unwrap()[format!("unknown{key}")] = value;
            }
            pod
        },
    )
}

fn settings(mode: &'static str) -> impl Strategy<Value = Value> {
    (any::<bool>(), any::<bool>()).prop_map(move |(native, namespaces)| {
        json!({ "mode": mode, "default": true, "nativeSidecars": native, "enableConsulNamespaces": namespaces })
    })
}

fn bytes(pod: &Value, settings: &Value) -> Vec<u8> {
    sample::payload(&sample::creation(pod), settings).to_string().into()
}

fn check_injection(own: &Own, pod: &Value, settings: &Value) -> Result<(), TestCaseError> {
    let request = bytes(pod, settings);
    let injected = Answer::to(&request).pod();
    own.is_kept("", pod, &injected).map_err(TestCaseError::fail)?;

    let again = policy().call("validate", &request).unwrap();
    prop_assert!(
        again == policy().call("validate", &request).unwrap(),
        "the same input gives the same bytes"
    );
    let library = serde_json::to_vec(&admission::validate(&request).response).unwrap();
    prop_assert!(again == library, "the module answers as the library does");

    let answer: PolicyAnswer = serde_json::from_slice(&again).unwrap();
    let response = AdmissionResponse::from_answer("u", Some(pod), answer);
    prop_assert!(response.patched(pod).unwrap() == injected, "the patch makes the injected pod");

    let second = Answer::to(&bytes(&injected, settings));
    prop_assert_eq!(second.reason(), "already-injected");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn in_agent_mode_a_pod_comes_back_equal_and_is_injected_once(
        pod in pod(sample::ANNOTATIONS), settings in settings("agent")
    ) {
        let answer = Answer::to(&bytes(&pod, &settings));
        prop_assume!(answer.reason() != "opted-out");
        prop_assert_eq!(answer.reason(), "injected", "{:?} {:?}", answer.message, answer.warnings);
        check_injection(&AGENT, &pod, &settings)?;
    }

    #[test]
    fn in_dataplane_mode_a_pod_comes_back_equal_and_is_injected_once(
        pod in pod(sample::DATAPLANE_ANNOTATIONS), mut settings in settings("dataplane")
    ) {
        settings["dns"] = json!({ "nameservers": ["10.96.0.10"] });
        // A pod that lost its volumes or ports cannot have all annotations.
        prop_assume!(Answer::to(&bytes(&pod, &settings)).reason() == "injected");
        check_injection(&DATAPLANE, &pod, &settings)?;
    }

    #[test]
    fn a_pod_that_asks_for_nothing_gets_no_object(mut pod in pod(sample::ANNOTATIONS)) {
        let annotations = pod.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut);
        annotations.map(|annotations| annotations.remove(&format!("{PREFIX}connect-inject")));
        // Only an injection returns an object; this is checked for all answers.
        let answer = Answer::to(&bytes(&pod, &json!({})));
        prop_assert_eq!(answer.reason(), "not-requested");
        let answer = Answer::to(&bytes(&pod, &json!({ "default": true, "k8sDenyNamespaces": ["shop"] })));
        prop_assert_eq!(answer.reason(), "namespace-denied");
    }
}

#[test]
fn a_lost_a_changed_and_an_added_field_are_seen() {
    let pod = json!({ "spec": { "a": 1.5, "b": [], "containers": [{ "name": "x" }, { "name": "y" }] } });
    let changed = |pointer: &str, value: Value| {
        let mut pod = pod.clone();
        *pod.pointer_mut(pointer).unwrap() = value;
        pod
    };
    let [x, y] = [json!({ "name": "x" }), json!({ "name": "y" })];
    for (after, seen) in [
        (json!({ "spec": {} }), "/spec: a is gone"),
        (changed("/spec/a", json!(1)), "/spec/a: 1.5 became 1"),
        (changed("/spec/b", json!(null)), "/spec/b: [] became null"),
        (changed("/spec/containers", json!([x])), "/spec/containers: {\"name\":\"y\"} is gone"),
        (changed("/spec/containers", json!([y, x])), "/spec/containers//name: \"x\" became \"y\""),
        (changed("/spec/containers", json!([x, y, { "name": "z" }])), "was added"),
        (changed("/spec/containers/0", json!({ "name": "x", "env": [] })), "env: null became []"),
        (changed("/spec/containers/0", json!({ "name": "x", "tty": true })), "tty was added"),
    ] {
        let lost = AGENT.is_kept("", &pod, &after).unwrap_err();
        assert!(lost.contains(seen), "{seen}: {lost}");
    }
    let own = json!({ "name": "consul-connect-x" });
    let fine = changed(
        "/spec/containers",
        json!([own, x, { "name": "y", "env": [{ "name": "A_CONNECT_SERVICE_PORT" }] }, own]),
    );
    assert_eq!(AGENT.is_kept("", &pod, &fine), Ok(()));
}
