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

use support::tree::Tree;

mod any_pod {
    use policy_host::{AdmissionResponse, PolicyAnswer};
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::Tree;
    use super::support::{Answer, PREFIX, payload, policy};

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

    /// Any text, as JSON writes it or with every character escaped.
    fn text() -> impl Strategy<Value = Tree> {
        (".{0,12}", prop::bool::weighted(0.2)).prop_map(|(text, escape)| {
            if escape {
                let units = text.encode_utf16().map(|unit| format!("\\u{unit:04x}"));
                Tree::Token(format!("\"{}\"", units.collect::<String>()))
            } else {
                Tree::text(&text)
            }
        })
    }

    fn json(numbers: Numbers) -> BoxedStrategy<Tree> {
        let leaf = prop_oneof![
            prop::sample::select(vec!["null", "true", "false", "[]", "{}", "\"\""])
                .prop_map(|token| Tree::Token(token.to_owned())),
            number(numbers),
            text(),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                vec(inner.clone(), 0..4).prop_map(Tree::List),
                vec(inner, 0..4).prop_map(|values| Tree::Object(
                    values
                        .into_iter()
                        .enumerate()
                        .map(|(index, value)| (format!("k{index}"), value))
                        .collect()
                )),
            ]
        })
        .boxed()
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
        vec(one, 0..6).prop_map(|chosen| {
            let mut entries: Vec<(String, Tree)> = Vec::new();
            for (name, value) in chosen {
                let key = format!("{PREFIX}{name}");
                if entries.iter().all(|(known, _)| *known != key) {
                    entries.push((key, Tree::text(value)));
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
        (option::weighted(0.9, metadata), spec, future(numbers), any::<bool>()).prop_map(
            |(metadata, spec, future, first)| {
                let known = vec![
                    ("apiVersion", Some(Tree::text("v1"))),
                    ("kind", Some(Tree::text("Pod"))),
                    ("metadata", metadata),
                    ("spec", Some(spec)),
                ];
                object(known, future, first)
            },
        )
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
            prop_assert_eq!(again, once, "the same input gives the same bytes");
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
            prop_assume!(!text.contains("connect-inject\":\"true\""));
            let answer = Answer::to(payload("shop", &text, "{}").as_bytes());
            prop_assert_eq!(answer.reason(), "not-requested");
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

    use super::support::tree::{Place, Tree};
    use super::support::{Answer, payload, policy, web};

    const MIB: u64 = 1024 * 1024;

    /// A generator that gives the same numbers on every machine.
    struct Dice(u64);

    impl Dice {
        /// <https://prng.di.unimi.it/splitmix64.c>
        fn next(&mut self) -> u64 {
            self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            z ^ (z >> 31)
        }

        fn below(&mut self, bound: usize) -> usize {
            usize::try_from(self.next() % bound.max(1) as u64).unwrap()
        }

        fn one_in(&mut self, bound: usize) -> bool {
            self.below(bound) == 0
        }

        fn pick<'t, T>(&mut self, all: &'t [T]) -> &'t T {
            &all[self.below(all.len())]
        }
    }

    /// Requests with something in every place that the policy reads.
    fn requests() -> Vec<Tree> {
        let full = {
            let mut pod = web(&[
                ("connect-service", "orders"),
                ("connect-service-port", "http"),
                ("connect-service-upstreams", "db:2000,cache.far:2001:dc2,prepared_query:geo:2002"),
                ("connect-service-protocol", "http"),
                ("connect-service-tags", "old"),
                ("service-tags", "a,b"),
                ("service-meta-x", "$POD_NAME"),
                ("envoy-extra-args", "--log-level 'debug' \"x\""),
                ("sidecar-proxy-cpu-limit", "1"),
                ("sidecar-proxy-memory-request", "64Mi"),
                ("connect-sync-period", "1m30s"),
                ("transparent-proxy", "true"),
            ]);
            let spec = &mut pod["spec"];
            spec["initContainers"] = json!([
                { "name": "own", "restartPolicy": "Always", "ports": [{ "containerPort": 1 }] },
                { "name": "migrate", "env": [{ "name": "A", "value": "$(B)" }] },
            ]);
            spec["volumes"] = json!([{ "name": "data", "emptyDir": {} }]);
            spec["os"] = json!({ "name": "linux" });
            spec["hostNetwork"] = json!(false);
            spec["terminationGracePeriodSeconds"] = json!(30);
            spec["restartPolicy"] = json!("Always");
            spec["containers"][0]["env"] = json!([{ "name": "DB_CONNECT_SERVICE_PORT", "value": "1" }]);
            spec["containers"][0]["readinessProbe"] = json!({
                "httpGet": { "path": "/r?a#b", "port": "http", "scheme": "HTTPS",
                    "httpHeaders": [{ "name": "Host", "value": "x" }] },
                "periodSeconds": 10, "timeoutSeconds": 1, "failureThreshold": 3, "successThreshold": 1,
            });
            pod["metadata"]["labels"] = json!({ "app": "web" });
            pod["metadata"]["ownerReferences"] = json!([{ "kind": "Job", "name": "j" }]);
            pod
        };
        let mut grpc = web(&[]);
        grpc["spec"]["containers"][0]["readinessProbe"] = json!({ "grpc": { "port": 9090, "service": "s" } });
        let settings = settings();
        let about = |kind: Value, operation: &str, object: &Value, old: Option<&Value>, settings: &Value| {
            json!({
                "request": {
                    "uid": "u", "kind": kind, "operation": operation, "namespace": "shop", "name": "web-0",
                    "subResource": "", "object": object, "oldObject": old,
                },
                "settings": settings,
            })
        };
        let pod_kind = || json!({ "group": "", "version": "v1", "kind": "Pod" });
        let template = json!({ "metadata": full["metadata"], "spec": full["spec"] });
        let deployment = json!({
            "kind": "Deployment",
            "metadata": { "name": "web", "annotations": full["metadata"]["annotations"] },
            "spec": { "template": template },
        });
        let cron_job = json!({
            "kind": "CronJob", "metadata": { "generateName": "web-" },
            "spec": { "jobTemplate": { "spec": { "template": template } } },
        });
        let kind = |group: &str, kind: &str| json!({ "group": group, "version": "v1", "kind": kind });
        let plain = json!({});
        [
            about(pod_kind(), "CREATE", &full, None, &plain),
            about(pod_kind(), "CREATE", &full, None, &settings),
            about(pod_kind(), "CREATE", &grpc, None, &json!({ "nativeSidecars": false })),
            about(kind("apps", "Deployment"), "UPDATE", &deployment, Some(&deployment), &plain),
            about(kind("batch", "CronJob"), "CREATE", &cron_job, None, &settings),
        ]
        .iter()
        .map(Tree::from)
        .collect()
    }

    fn settings() -> Value {
        json!({
            "enabled": true, "default": true, "k8sAllowNamespaces": ["*"], "k8sDenyNamespaces": ["billing"],
            "imageConsul": "docker.io/hashicorp/consul:1.22.7", "imageEnvoy": "envoy@sha256:x",
            "imagePullPolicy": "IfNotPresent",
            "centralConfig": { "enabled": true, "defaultProtocol": "http" }, "envoyExtraArgs": "-l info",
            "sidecarProxy": { "resources": { "limits": { "cpu": "1" }, "requests": { "cpu": "10m" } }, "concurrency": 2 },
            "initContainer": { "resources": { "limits": { "memory": "150Mi" } } },
            "lifecycleSidecar": { "resources": {} },
            "enableConsulNamespaces": true,
            "consulNamespaces": { "consulDestinationNamespace": "apps", "mirroringK8S": true, "mirroringK8SPrefix": "k8s-" },
            "crossNamespaceACLPolicy": "cross", "acls": { "enabled": true, "authMethod": "m" },
            "tls": { "enabled": false, "caCert": "", "serverName": "server.dc1.consul" },
            "agent": { "httpPort": 8500, "httpsPort": 8501, "grpcPort": 8502 },
            "healthChecks": { "enabled": true }, "nativeSidecars": true, "openshift": false, "syncPeriod": "10s",
        })
    }

    /// What stands where something else should.
    const VALUES: &[&str] = &[
        "null",
        "true",
        "false",
        "0",
        "-1",
        "1e400",
        "-0.0",
        "65536",
        "99999999999999999999999",
        "\"\"",
        "\" \"",
        "[]",
        "{}",
        "[null]",
        "[[]]",
        "[{}]",
        "{\"\":null}",
        "{\"name\":7}",
        "[7]",
        "\"true\"",
        "\"\\u0000\"",
        "\"\\ud800\"",
        "\"\\ud83d\\ude00\"",
        "\"\u{202e}\u{feff}\u{7f}\"",
        "\"$(POD_IP)\"",
        "\"$$\"",
        "\"`id`\"",
        "\"'\"",
        "\"\\\"\"",
        "\"\\n\\r\\t\"",
        "\",\"",
        "\":\"",
        "\"a:b:c:d\"",
        "\"prepared_query\"",
        "\"db:1,db:1\"",
        "\"../../x\"",
        "\"9223372036854775808s\"",
        "\"1e999999999\"",
        "\"-----BEGIN CERTIFICATE-----\"",
        "\"kube-system\"",
        "\"Always\"",
        "\"windows\"",
        "\"UDP\"",
        "\"DELETE\"",
    ];

    const KEYS: &[&str] = &[
        "",
        "name",
        "spec",
        "metadata",
        "annotations",
        "labels",
        "containers",
        "initContainers",
        "volumes",
        "env",
        "ports",
        "containerPort",
        "readinessProbe",
        "kind",
        "object",
        "settings",
        "template",
        "restartPolicy",
        "consul.hashicorp.com/",
        "consul.hashicorp.com/connect-inject",
        "consul.hashicorp.com/service-meta-",
        "consul.hashicorp.com/service-meta-\u{e9}",
        "consul.hashicorp.com/connect-inject-status",
        "\u{0}",
        "\u{202e}",
    ];

    fn value(dice: &mut Dice) -> Tree {
        match dice.below(300) {
            0 => Tree::text(&"x".repeat(dice.below(300_000))),
            1 => Tree::text(&"\u{1f600}\\\"".repeat(dice.below(20_000))),
            2 => {
                let depth = *dice.pick(&[100, 126, 127, 128, 129, 1_000, 20_000]);
                Tree::Token(format!("{}{}", "[".repeat(depth), "]".repeat(depth)))
            }
            3 => {
                let depth = *dice.pick(&[126, 128, 5_000]);
                Tree::Token(format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth)))
            }
            4 => Tree::Token("9".repeat(dice.below(5_000) + 1)),
            5 => Tree::text(&"a:1,".repeat(dice.below(3_000))),
            _ => Tree::Token((*dice.pick(VALUES)).to_owned()),
        }
    }

    /// Changes one thing somewhere.
    fn mutate(tree: &mut Tree, dice: &mut Dice) {
        let place = dice.below(tree.size());
        let donor = tree.at(dice.below(tree.size())).clone();
        match tree.place(place) {
            Place::Object(members) if !dice.one_in(4) => {
                let index = dice.below(members.len());
                match dice.below(6) {
                    0 => drop((!members.is_empty()).then(|| members.remove(index))),
                    1 => members.push(((*dice.pick(KEYS)).to_owned(), value(dice))),
                    2 if !members.is_empty() => {
                        // A key twice, the second time with something else.
                        let key = members[index].0.clone();
                        members.push((key, value(dice)));
                    }
                    3 if !members.is_empty() => members[index].0 = (*dice.pick(KEYS)).to_owned(),
                    4 if dice.one_in(40) => {
                        let count = *dice.pick(&[100, 1_000, 20_000]);
                        let own = |index| format!("consul.hashicorp.com/service-meta-{index}");
                        members.extend((0..count).map(|index| (own(index), Tree::text("x"))));
                    }
                    _ => members.push(("x".to_owned(), donor)),
                }
            }
            Place::List(elements) if !dice.one_in(4) => {
                let index = dice.below(elements.len());
                match dice.below(4) {
                    0 => drop((!elements.is_empty()).then(|| elements.remove(index))),
                    1 => elements.insert(index, value(dice)),
                    2 if !elements.is_empty() => {
                        let count = if dice.one_in(60) { 2_000 } else { dice.below(20) };
                        let element = elements[index].clone();
                        elements.extend((0..count).map(|_| element.clone()));
                    }
                    _ => elements.push(donor),
                }
            }
            place => place.replace(if dice.one_in(5) { donor } else { value(dice) }),
        }
    }

    /// Changes the text itself, so that it may be no JSON and no text any more.
    fn spoil(bytes: &mut Vec<u8>, dice: &mut Dice) {
        for _ in 0..=dice.below(4) {
            let at = dice.below(bytes.len());
            match dice.below(4) {
                0 => bytes.truncate(at),
                1 => bytes.insert(at, *dice.pick(b"\xff\x00\"\\{}[],:e-\xed\xa0\x80")),
                2 if at < bytes.len() => drop(bytes.remove(at)),
                _ if at < bytes.len() => bytes[at] ^= 1 << dice.below(8),
                _ => (),
            }
        }
    }

    fn input(bases: &[Tree], dice: &mut Dice) -> Vec<u8> {
        let mut tree = dice.pick(bases).clone();
        for _ in 0..=dice.below(3) {
            mutate(&mut tree, dice);
        }
        let mut bytes = tree.to_string().into_bytes();
        if dice.one_in(8) {
            spoil(&mut bytes, dice);
        }
        bytes
    }

    fn from_environment(name: &str, default: u64) -> u64 {
        env::var(name)
            .map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
    }

    /// The linear memory of a call at its greatest.
    fn memory(operation: &str, input: &[u8]) -> u64 {
        policy().measure(operation, input).unwrap().peak_memory
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
        let bases = requests();
        let all_settings = [Tree::from(&settings())];
        let mut tally = Tally::default();
        for index in (first..count).step_by(step) {
            let mut dice = Dice(seed.wrapping_mul(1 << 40).wrapping_add(index));
            if index % 8 == 7 {
                let input = input(&all_settings, &mut dice);
                let answer = policy().call("validate_settings", &input);
                let answer = answer.unwrap_or_else(|error| panic!("seed {seed}, input {index}: {error}"));
                let answer: policy_host::SettingsAnswer = serde_json::from_slice(&answer).unwrap();
                assert_eq!(answer.valid, answer.message.is_none(), "seed {seed}, input {index}");
                continue;
            }
            let input = input(&bases, &mut dice);
            let answer = std::panic::catch_unwind(|| Answer::to(&input));
            let answer = answer.unwrap_or_else(|_| panic!("that was seed {seed}, input {index}"));
            tally.rejected += u64::from(!answer.accepted);
            tally.injected += u64::from(answer.mutated_object.is_some());
            // Measuring takes two more calls: the large ones are what counts.
            if input.len() > 250_000 || index % 1_000 == 0 {
                let peak = memory("validate", &input);
                assert!(peak < 64 * MIB, "{peak} bytes for seed {seed}, input {index} of {}", input.len());
                tally.most_memory = tally.most_memory.max(peak);
            }
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

    /// The policy server's 2 s are the limit of every call here.
    fn fits(what: &str, pod: &Value) {
        let input = payload("shop", &pod.to_string(), "{}");
        let began = Instant::now();
        Answer::to(input.as_bytes());
        let took = began.elapsed();
        let peak = memory("validate", input.as_bytes());
        println!("{what}: {} bytes, {took:?}, {} MiB", input.len(), peak / MIB);
        assert!(peak < 64 * MIB, "{what}: {} MiB", peak / MIB);
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
        fits("10,000 containers with 500 upstreams", &with_containers(10_000, &upstreams(500)));
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
