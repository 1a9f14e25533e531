//! What holds for any input, on the built `policy.wasm`.
//!
//! * For any pod: what the policy does not own comes back token for token, what
//!   was injected is left alone, the same input gives the same bytes, and the
//!   patch applies.
//! * For anything at all: no trap, an answer with a message, a bounded memory.
//!
//! `HOSTILE_INPUTS` and `HOSTILE_SEED` choose how many inputs of the second kind
//! are made, and which.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use soak::tree::Tree;

mod any_pod {
    use consul_connect_injector::admission;
    use policy_host::{AdmissionResponse, PolicyAnswer};
    use proptest::collection::vec;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::Tree;
    use super::support::{Answer, Asked as _, PREFIX, payload, policy};

    /// How odd the numbers may be: some do not fit into any type of this host.
    #[derive(Clone, Copy)]
    enum Numbers {
        Any,
        OfThisHost,
    }

    fn number(numbers: Numbers) -> BoxedStrategy<Tree> {
        let plain = prop_oneof![
            any::<i64>().prop_map(|n| n.to_string()),
            (0..99_999_u32).prop_map(|n| format!("{n}.5"))
        ];
        let odd = prop::sample::select(vec![
            "1e400",
            "-0",
            "1.0",
            "1E+2",
            "123456789012345678901234567890",
            "0.1e-7",
        ]);
        match numbers {
            Numbers::Any => prop_oneof![plain, odd.prop_map(str::to_owned)].prop_map(Tree::Token).boxed(),
            Numbers::OfThisHost => plain.prop_map(Tree::Token).boxed(),
        }
    }

    /// A text as JSON writes it, or with every character escaped.
    fn spelled(text: &str, escaped: bool) -> Tree {
        if escaped {
            let units = text.encode_utf16().map(|unit| format!("\\u{unit:04x}"));
            Tree::Token(format!("\"{}\"", units.collect::<String>()))
        } else {
            Tree::text(text)
        }
    }

    fn text() -> impl Strategy<Value = Tree> {
        (".{0,12}", prop::bool::weighted(0.2)).prop_map(|(text, escaped)| spelled(&text, escaped))
    }

    fn json(numbers: Numbers) -> BoxedStrategy<Tree> {
        let leaf = prop_oneof![
            prop::sample::select(vec!["null", "true", "false", "[]", "{}", "\"\""])
                .prop_map(|token| Tree::Token(token.to_owned())),
            number(numbers),
            text(),
        ];
        let tree = leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                vec(inner.clone(), 0..4).prop_map(Tree::List),
                vec((inner, ".{0,4}"), 0..4).prop_map(|values| Tree::Object(
                    values
                        .into_iter()
                        .enumerate()
                        .map(|(index, (value, key))| (format!("{index}{key}"), value))
                        .collect()
                )),
            ]
        });
        match numbers {
            // Deeper than this host's parser goes.
            Numbers::Any => prop_oneof![19 => tree, 1 => deep()].boxed(),
            Numbers::OfThisHost => tree.boxed(),
        }
    }

    fn deep() -> impl Strategy<Value = Tree> {
        (100..400_usize, any::<bool>()).prop_map(|(depth, list)| {
            let (open, close) = if list { ("[", "]") } else { ("{\"a\":", "}") };
            Tree::Token(format!("{}1{}", open.repeat(depth), close.repeat(depth)))
        })
    }

    /// Members that no Kubernetes knows, to be put among the known ones.
    fn future(numbers: Numbers) -> impl Strategy<Value = Vec<(String, Tree)>> {
        vec(json(numbers), 0..3).prop_map(|values| {
            values.into_iter().enumerate().map(|(index, value)| (format!("x-future{index}"), value)).collect()
        })
    }

    /// A list that is missing, `null`, or there.
    fn optional_list(items: impl Strategy<Value = Vec<Tree>>) -> impl Strategy<Value = Option<Tree>> {
        prop_oneof![
            Just(None),
            Just(Some(Tree::Token("null".into()))),
            items.prop_map(|items| Some(Tree::List(items))),
        ]
    }

    fn object(known: Vec<(&str, Option<Tree>)>, future: Vec<(String, Tree)>, future_first: bool) -> Tree {
        let known = known.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
        let members = if future_first {
            future.into_iter().chain(known).collect()
        } else {
            known.chain(future).collect()
        };
        Tree::Object(members)
    }

    fn container(
        prefix: &'static str,
        numbers: Numbers,
    ) -> impl Strategy<Value = (bool, Vec<u16>, Option<Tree>, Vec<(String, Tree)>, bool, &'static str)> {
        let variable = (0..4_u8, ".{0,8}").prop_map(|(index, value)| {
            object(
                vec![
                    ("name", Some(Tree::text(&format!("OWN_{index}")))),
                    ("value", Some(Tree::text(&value))),
                ],
                vec![],
                false,
            )
        });
        (
            any::<bool>(),
            vec(1..=u16::MAX, 0..3),
            optional_list(vec(variable, 0..3)),
            future(numbers),
            any::<bool>(),
            Just(prefix),
        )
    }

    fn containers(
        prefix: &'static str,
        count: std::ops::Range<usize>,
        numbers: Numbers,
    ) -> impl Strategy<Value = Vec<Tree>> {
        vec(container(prefix, numbers), count).prop_map(|all| {
            let made =
                all.into_iter().enumerate().map(|(index, (udp, ports, env, future, first, prefix))| {
                    let ports = ports.into_iter().map(|port| {
                        let protocol = udp.then(|| Tree::text("UDP"));
                        object(
                            vec![
                                ("containerPort", Some(Tree::Token(port.to_string()))),
                                ("protocol", protocol),
                            ],
                            vec![],
                            false,
                        )
                    });
                    let name = Tree::text(&format!("{prefix}{index}"));
                    object(
                        vec![
                            ("name", Some(name)),
                            ("ports", Some(Tree::List(ports.collect()))),
                            ("env", env),
                        ],
                        future,
                        first,
                    )
                });
            made.collect()
        })
    }

    fn map() -> impl Strategy<Value = Option<Tree>> {
        prop_oneof![
            Just(None),
            Just(Some(Tree::Token("null".into()))),
            vec((0..9_u8, text()), 0..4).prop_map(|entries| Some(Tree::Object(
                entries
                    .into_iter()
                    .enumerate()
                    .map(|(index, (key, value))| (format!("example.com/{index}{key}"), value))
                    .collect()
            ))),
        ]
    }

    fn injector_annotations() -> impl Strategy<Value = Vec<(String, Tree)>> {
        let one = prop::sample::select(vec![
            ("connect-inject", "true"),
            ("connect-service", "orders"),
            ("connect-service-port", "1234"),
            ("connect-service-port", ""),
            ("connect-service-upstreams", "db:2000, cache:2001:dc2,prepared_query:geo.x:2002"),
            ("connect-service-protocol", "grpc"),
            ("service-tags", "a,$(POD_IP), b"),
            ("service-meta-x", "$POD_NAME"),
            ("sidecar-proxy-cpu-limit", "1"),
            ("envoy-extra-args", "--log-level 'debug'"),
            ("connect-inject-status", ""),
        ]);
        vec((one, prop::bool::weighted(0.2)), 0..6).prop_map(|chosen| {
            let mut entries: Vec<(String, Tree)> = Vec::new();
            for ((name, value), escaped) in chosen {
                let key = format!("{PREFIX}{name}");
                if entries.iter().all(|(known, _)| *known != key) {
                    entries.push((key, spelled(value, escaped)));
                }
            }
            entries
        })
    }

    /// A pod that is injected when the setting `default` is on.
    fn pod(numbers: Numbers) -> impl Strategy<Value = Tree> {
        let metadata = (map(), map(), injector_annotations(), future(numbers), any::<bool>()).prop_map(
            |(labels, annotations, own, future, first)| {
                let annotations = match annotations {
                    Some(Tree::Object(mut members)) => {
                        members.extend(own);
                        Some(Tree::Object(members))
                    }
                    other if own.is_empty() => other,
                    _ => Some(Tree::Object(own)),
                };
                object(
                    vec![
                        ("name", Some(Tree::text("web-0"))),
                        ("labels", labels),
                        ("annotations", annotations),
                    ],
                    future,
                    first,
                )
            },
        );
        let volume =
            future(numbers).prop_map(|future| object(vec![("name", Some(Tree::text("data")))], future, true));
        let spec = (
            containers("c", 1..4, numbers),
            optional_list(containers("i", 0..3, numbers)),
            optional_list(vec(volume, 0..3)),
            future(numbers),
            any::<bool>(),
        )
            .prop_map(|(containers, init, volumes, future, first)| {
                object(
                    vec![
                        ("volumes", volumes),
                        ("containers", Some(Tree::List(containers))),
                        ("initContainers", init),
                    ],
                    future,
                    first,
                )
            });
        let metadata = prop_oneof![
            18 => metadata.prop_map(Some),
            1 => Just(None),
            1 => Just(Some(Tree::Token("null".into()))),
        ];
        (metadata, spec, future(numbers), any::<bool>()).prop_map(|(metadata, spec, future, first)| {
            let known = vec![
                ("apiVersion", Some(Tree::text("v1"))),
                ("kind", Some(Tree::text("Pod"))),
                ("metadata", metadata),
                ("spec", Some(spec)),
            ];
            object(known, future, first)
        })
    }

    fn settings() -> impl Strategy<Value = Value> {
        (any::<bool>(), any::<bool>()).prop_map(|(native, namespaces)| {
            json!({ "default": true, "nativeSidecars": native, "enableConsulNamespaces": namespaces })
        })
    }

    fn config() -> ProptestConfig {
        ProptestConfig { failure_persistence: None, cases: 256, ..ProptestConfig::default() }
    }

    proptest! {
        #![proptest_config(config())]

        #[test]
        fn comes_back_token_for_token_and_only_once(pod in pod(Numbers::Any), settings in settings()) {
            let (text, settings) = (pod.to_string(), settings.to_string());
            let request = payload("shop", &text, &settings);
            let answer = Answer::to(request.as_bytes());
            prop_assert_eq!(answer.reason(), "injected", "{:?}", answer);
            let out: Tree = answer.text().parse().unwrap();
            super::owned::is_kept(&pod, &out).map_err(|lost| TestCaseError::fail(format!("{lost}\nof {text}\nin {out}")))?;

            let again = policy().call("validate", request.as_bytes()).unwrap();
            let once = policy().call("validate", request.as_bytes()).unwrap();
            prop_assert_eq!(&again, &once, "the same input gives the same bytes");
            let library = serde_json::to_vec(&admission::validate(request.as_bytes()).response).unwrap();
            prop_assert_eq!(again, library, "the library's own");
            let second = Answer::to(payload("shop", answer.text(), &settings).as_bytes());
            prop_assert_eq!(second.reason(), "already-injected");
        }

        #[test]
        fn gets_a_patch_that_applies(pod in pod(Numbers::OfThisHost), settings in settings()) {
            let request = payload("shop", &pod.to_string(), &settings.to_string());
            let answer: PolicyAnswer =
                serde_json::from_slice(&policy().call("validate", request.as_bytes()).unwrap()).unwrap();
            let before: Value = serde_json::from_str(&pod.to_string()).unwrap();
            let after = answer.mutated_object.clone().unwrap();
            let response = AdmissionResponse::from_answer("u", Some(&before), answer);
            prop_assert_eq!(response.patched(&before).unwrap(), after);
        }

        #[test]
        fn that_asks_for_nothing_gets_no_object(pod in pod(Numbers::Any)) {
            let text = pod.to_string();
            prop_assume!(!text.contains("connect-inject\":"));
            // The form of all answers has it that only an injection has an object.
            let answer = Answer::to(payload("shop", &text, "{}").as_bytes());
            prop_assert_eq!(answer.reason(), "not-requested");
            let denied = payload("shop", &text, r#"{"default":true,"k8sDenyNamespaces":["shop"]}"#);
            let answer = Answer::to(denied.as_bytes());
            prop_assert_eq!(answer.reason(), "namespace-denied");
        }
    }
}

/// Which parts of an injected pod are the policy's own. Everything else must be
/// what it was, token for token and in its order.
mod owned {
    use super::Tree;
    use super::support::PREFIX;

    /// Walks both, and says where something of `before` is not in `after`.
    pub fn is_kept(before: &Tree, after: &Tree) -> Result<(), String> {
        kept("", before, after)
    }

    /// The members that the policy may add to the object at `path`.
    fn may_add(path: &str, key: &str) -> bool {
        match path {
            "" => key == "metadata",
            "/metadata" => ["annotations", "labels"].contains(&key),
            "/metadata/labels" => key == format!("{PREFIX}connect-inject-status"),
            "/metadata/annotations" => {
                let own =
                    ["connect-inject-status", "connect-service", "connect-service-port", "consul-namespace"];
                own.iter().any(|own| key == format!("{PREFIX}{own}"))
            }
            "/spec" => ["initContainers", "volumes"].contains(&key),
            "/spec/containers/" | "/spec/initContainers/" => key == "env",
            _ => false,
        }
    }

    /// The elements that the policy may add to the list at `path`.
    fn may_insert(path: &str, element: &Tree) -> bool {
        let name = element.name().unwrap_or_default();
        match path {
            "/spec/containers" | "/spec/initContainers" | "/spec/volumes" => {
                name.starts_with("consul-connect-")
            }
            "/spec/containers//env" | "/spec/initContainers//env" => name.contains("_CONNECT_SERVICE_"),
            _ => false,
        }
    }

    fn kept(path: &str, before: &Tree, after: &Tree) -> Result<(), String> {
        let changed = || Err(format!("{path}: {before} became {after}"));
        match (before, after) {
            (Tree::Object(old), Tree::Object(new)) => {
                let mut new = new.iter().peekable();
                for (key, value) in old {
                    while new.peek().is_some_and(|(next, _)| next != key && may_add(path, next)) {
                        new.next();
                    }
                    match new.next() {
                        Some((next, kept_value)) if next == key => {
                            let status =
                                path == "/metadata/annotations" && key.ends_with("/connect-inject-status");
                            if !status {
                                kept(&format!("{path}/{key}"), value, kept_value)?;
                            }
                        }
                        Some((next, _)) => return Err(format!("{path}: {next} stands where {key} was")),
                        None => return Err(format!("{path}: {key} is gone")),
                    }
                }
                match new.find(|(key, _)| !may_add(path, key)) {
                    Some((key, _)) => Err(format!("{path}: {key} was added")),
                    None => Ok(()),
                }
            }
            (Tree::List(old), Tree::List(new)) => {
                let mut new = new.iter().peekable();
                for value in old {
                    while new.peek().is_some_and(|next| may_insert(path, next)) {
                        new.next();
                    }
                    match new.next() {
                        Some(kept_value) => kept(&format!("{path}/"), value, kept_value)?,
                        None => return Err(format!("{path}: {value} is gone")),
                    }
                }
                match new.find(|element| !may_insert(path, element)) {
                    Some(element) => Err(format!("{path}: {element} was added")),
                    None => Ok(()),
                }
            }
            (Tree::Token(null), Tree::Object(new)) if null == "null" => {
                if new.iter().all(|(key, _)| may_add(path, key)) { Ok(()) } else { changed() }
            }
            (Tree::Token(null), Tree::List(new)) if null == "null" => {
                if new.iter().all(|element| may_insert(path, element)) { Ok(()) } else { changed() }
            }
            (Tree::Token(old), Tree::Token(new)) if old == new => Ok(()),
            // An empty list or object may be written as one token.
            (Tree::Token(old), _) if after.to_string() == *old => Ok(()),
            _ => changed(),
        }
    }

    #[test]
    fn a_lost_a_changed_and_an_added_field_are_seen() {
        let tree = |text: &str| text.parse::<Tree>().unwrap();
        let pod = tree(r#"{"spec":{"a":1.0,"containers":[{"name":"x"}]}}"#);
        for (after, seen) in [
            (r#"{"spec":{"containers":[{"name":"x"}]}}"#, "containers stands where a was"),
            (r#"{"spec":{"a":1,"containers":[{"name":"x"}]}}"#, "1.0 became 1"),
            (r#"{"spec":{"a":1.0,"b":2,"containers":[{"name":"x"}]}}"#, "b stands where containers was"),
            (r#"{"spec":{"a":1.0,"containers":[{"name":"x"}],"b":2}}"#, "b was added"),
            (r#"{"spec":{"a":1.0}}"#, "containers is gone"),
            (r#"{"spec":{"a":1.0,"containers":[]}}"#, "is gone"),
            (r#"{"spec":{"containers":[{"name":"x"}],"a":1.0}}"#, "containers stands where a was"),
        ] {
            let lost = is_kept(&pod, &tree(after)).unwrap_err();
            assert!(lost.contains(seen), "{seen}: {lost}");
        }
        let fine = r#"{"spec":{"volumes":[],"a":1.0,"containers":[{"env":[],"name":"x"},{"name":"consul-connect-y"}]}}"#;
        assert_eq!(is_kept(&pod, &tree(fine)), Ok(()));
    }
}

mod hostile {
    use std::env;
    use std::time::Instant;

    use serde_json::{Value, json};
    use soak::{Generator, Input, Outcome, Trial};

    use super::support::{Answer, Asked as _, payload, policy, web};

    const MIB: u64 = 1024 * 1024;

    fn from_environment(name: &str, default: u64) -> u64 {
        env::var(name)
            .map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
    }

    /// What became of some inputs.
    #[derive(Default)]
    struct Tally {
        rejected: u64,
        injected: u64,
        most_memory: u64,
    }

    /// Asks about every so many-th input of a seed.
    fn try_inputs(seed: u64, first: u64, count: u64, step: usize) -> Tally {
        let generator = Generator::new(seed);
        let mut tally = Tally::default();
        for index in (first..count).step_by(step) {
            let trial = Trial::of(policy(), &generator.input(index))
                .unwrap_or_else(|broken| panic!("{broken}\nAgain: make soak SEED={seed} INPUT={index}"));
            tally.rejected += u64::from(trial.outcome == Outcome::Rejected);
            tally.injected += u64::from(trial.outcome == Outcome::Injected);
            tally.most_memory = tally.most_memory.max(trial.memory);
        }
        tally
    }

    #[test]
    fn inputs_get_an_answer_with_a_message() {
        let (count, seed) = (from_environment("HOSTILE_INPUTS", 20_000), from_environment("HOSTILE_SEED", 7));
        let began = Instant::now();
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        let tallies: Vec<Tally> = std::thread::scope(|scope| {
            let run = |first| scope.spawn(move || try_inputs(seed, first as u64, count, workers));
            let running: Vec<_> = (0..workers).map(run).collect();
            running.into_iter().map(|worker| worker.join().expect("the failure is told above")).collect()
        });
        let sum = |of: fn(&Tally) -> u64| tallies.iter().map(of).sum::<u64>();
        let (rejected, injected) = (sum(|tally| tally.rejected), sum(|tally| tally.injected));
        let most = tallies.iter().map(|tally| tally.most_memory).max().unwrap_or_default();
        println!(
            "{count} inputs in {:?}: {rejected} rejected, {injected} injected, at most {} MiB",
            began.elapsed(),
            most / MIB
        );
        // A generator that only makes rubbish would prove nothing.
        assert!(rejected > count / 10 && injected > count / 20, "{rejected} rejected, {injected} injected");
    }

    fn with_annotations(count: usize, prefix: &str) -> Value {
        let mut pod = web(&[]);
        let own = pod["metadata"]["annotations"].as_object_mut().unwrap();
        own.extend((0..count).map(|index| (format!("{prefix}{index}"), json!("v"))));
        pod
    }

    fn with_containers(count: usize, upstreams: &str) -> Value {
        let mut pod = web(&[("connect-service-upstreams", upstreams)]);
        let list = pod["spec"]["containers"].as_array_mut().unwrap();
        list.extend((0..count).map(|index| json!({ "name": format!("c{index}"), "image": "i" })));
        pod
    }

    fn upstreams(count: usize) -> String {
        (1025..1025 + count).map(|port| format!("a{port}:{port}")).collect::<Vec<_>>().join(",")
    }

    /// The policy server's 2 s are the limit of every call here, and 64 MiB.
    fn fits(what: &str, pod: &Value) {
        let input = Input { operation: "validate", payload: payload("shop", &pod.to_string(), "{}").into() };
        let trial = Trial::of(policy(), &input).unwrap_or_else(|broken| panic!("{what}: {broken}"));
        println!("{what}: {} bytes, {:?}, {} MiB", input.payload.len(), trial.time, trial.memory / MIB);
    }

    #[test]
    fn great_pods_fit_into_the_memory_and_the_time() {
        fits("100,000 annotations", &with_annotations(100_000, "example.com/"));
        fits("10,000 containers", &with_containers(10_000, "db:2000"));
        fits("a long service name", &web(&[("connect-service", &"x".repeat(1_000_000))]));
    }

    #[test]
    fn great_annotations_fit_into_the_memory_and_the_time() {
        fits("50,000 unknown annotations", &with_annotations(50_000, "consul.hashicorp.com/x"));
        fits("40,000 pairs of metadata", &with_annotations(40_000, "consul.hashicorp.com/service-meta-x"));
        fits("60,000 upstreams", &web(&[("connect-service-upstreams", &upstreams(60_000))]));
        fits("400,000 broken upstreams", &web(&[("connect-service-upstreams", &"x,".repeat(400_000))]));
        fits("400,000 times one port", &web(&[("connect-service-upstreams", &"a:1,".repeat(400_000))]));
        let flags: String = (0..50_000).map(|index| format!(" --f{index}")).collect();
        fits("50,000 flags of Envoy", &web(&[("envoy-extra-args", &flags)]));
        let mut pod = web(&[]);
        let headers: Vec<_> = (0..40_000).map(|index| json!({ "name": format!("X-{index}") })).collect();
        pod["spec"]["containers"][0]["readinessProbe"] =
            json!({ "httpGet": { "port": 8080, "httpHeaders": headers } });
        fits("40,000 headers of a probe", &pod);
        pod["spec"]["containers"][0]["env"] = json!(headers);
        pod["metadata"]["annotations"]["consul.hashicorp.com/connect-service-upstreams"] =
            json!(upstreams(500));
        fits("40,000 variables and 500 upstreams", &pod);
        fits("10,000 containers with 500 upstreams", &with_containers(10_000, &upstreams(500)));
    }

    #[test]
    fn great_settings_fit_into_the_memory_and_the_time() {
        let many =
            |count: usize| Value::Object((0..count).map(|index| (format!("x{index}"), json!(0))).collect());
        let mut top = many(150_000);
        top["agent"] = many(20_000);
        let nested = json!({ "initContainer": { "resources": { "limits": many(100_000), "requests": many(60_000) } } });
        let namespaces: Vec<_> = (0..150_000).map(|index| format!("-{index}")).collect();
        for (what, settings) in [
            ("unknown keys", top),
            ("resources", nested),
            ("names of namespaces", json!({ "k8sAllowNamespaces": namespaces })),
        ] {
            let input = Input { operation: "validate_settings", payload: settings.to_string().into() };
            let trial = Trial::of(policy(), &input).unwrap_or_else(|broken| panic!("{what}: {broken}"));
            println!("{what}: {} bytes, {:?}, {} MiB", input.payload.len(), trial.time, trial.memory / MIB);
            assert_eq!(trial.outcome, Outcome::Rejected, "{what}");
        }
    }

    /// Workloads have annotations of their own, and an old object to compare with.
    #[test]
    fn great_workloads_fit_into_the_memory_and_the_time() {
        let deployment = |own: Value, template: &Value| json!({ "metadata": { "annotations": own }, "spec": { "template": template } });
        let none = web(&[]);
        let unknown = with_annotations(20_000, "consul.hashicorp.com/x");
        let broken = with_annotations(8_000, "consul.hashicorp.com/service-meta-\u{e9}");
        for (what, own, template) in [
            ("20,000 misplaced annotations", &unknown, &none),
            ("20,000 annotations in both places", &unknown, &unknown),
            ("8,000 broken annotations, old and new", &none, &broken),
        ] {
            let object = deployment(own["metadata"]["annotations"].clone(), template);
            let request = json!({
                "kind": { "group": "apps", "version": "v1", "kind": "Deployment" },
                "operation": "UPDATE", "object": object, "oldObject": object,
            });
            let payload = json!({ "request": request }).to_string().into();
            let trial = Trial::of(policy(), &Input { operation: "validate", payload });
            let trial = trial.unwrap_or_else(|broken| panic!("{what}: {broken}"));
            println!("{what}: {:?}, {} MiB", trial.time, trial.memory / MIB);
        }
    }

    #[test]
    fn nesting_is_no_way_to_the_end_of_the_stack() {
        for depth in [127, 128, 129, 10_000, 100_000] {
            for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
                let inner = if open == "[" { "" } else { "1" };
                let deep = format!("{}{inner}{}", open.repeat(depth), close.repeat(depth));
                Answer::to(deep.as_bytes());
                Answer::to(payload("shop", &deep, "{}").as_bytes());
                Answer::to(payload("shop", &web(&[]).to_string(), &deep).as_bytes());
                let mut pod = web(&[]).to_string();
                pod.insert_str(1, &format!("\"status\":{deep},"));
                let answer = Answer::to(payload("shop", &pod, "{}").as_bytes());
                assert_eq!(answer.reason(), "injected", "{depth} deep in a field that is nobody's");
                policy().call("validate_settings", deep.as_bytes()).unwrap();
            }
        }
    }
}
