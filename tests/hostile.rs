//! User input is never executed or expanded: tests each hostile value of
//! `test_data/hostile-values.json` in each input of the built `policy.wasm`. A value is
//! rejected with a message, or arrives byte for byte: what the injected containers'
//! processes see, after the kubelet's expansion, differs from that of a harmless word
//! only by the value.
//!
//! `e2e/scenarios/hostile.bats` does the same on a real cluster.

mod support;

use serde_json::{Map, Value, json};
use soak::catalogue::HOSTILE;
use support::*;

/// The harmless word that a hostile value replaces.
const WORD: &str = "harmless-word";

/// The parts of a request with one value in one input.
#[derive(Clone)]
struct Asked {
    namespace: String,
    pod: Value,
    settings: Value,
}

impl Asked {
    fn new() -> Self {
        // An upstream and a probe, so that all optional parts exist.
        let mut pod = web(&[("connect-service-upstreams", "db:2000"), ("service-tags", "a")]);
        pod["metadata"]["labels"] = json!({ "app": "web" });
        pod["spec"]["containers"][0]["readinessProbe"] = json!({ "httpGet": { "path": "/", "port": 8080 } });
        Asked { namespace: "shop".into(), pod, settings: json!({}) }
    }

    fn annotation(&mut self, name: &str, value: &str) {
        self.pod["metadata"]["annotations"][format!("{PREFIX}{name}")] = json!(value);
    }

    fn container(&mut self) -> &mut Value {
        &mut self.pod["spec"]["containers"][0]
    }

    fn probe(&mut self) -> &mut Value {
        &mut self.container()["readinessProbe"]["httpGet"]
    }

    fn answer(&self) -> Answer {
        ask_in(&self.namespace, &self.pod, &self.settings)
    }
}

/// An input, and the part of its value that has to arrive.
struct Place {
    name: &'static str,
    put: fn(&mut Asked, &str),
    arrives: fn(&str) -> String,
}

fn as_written(value: &str) -> String {
    value.to_owned()
}

fn trimmed(value: &str) -> String {
    value.trim().to_owned()
}

/// Inputs whose values must reach the injected containers, unless they are rejected.
const ARRIVING: &[Place] = &[
    Place {
        name: "annotation consul.hashicorp.com/connect-service",
        put: |asked, value| asked.annotation("connect-service", value),
        arrives: as_written,
    },
    Place {
        name: "spec.containers[0].name",
        put: |asked, value| asked.container()["name"] = json!(value),
        arrives: as_written,
    },
    Place {
        name: "annotation consul.hashicorp.com/connect-service-upstreams",
        put: |asked, value| asked.annotation("connect-service-upstreams", &format!("{value}:2000")),
        arrives: trimmed,
    },
    Place {
        name: "annotation consul.hashicorp.com/connect-service-upstreams",
        put: |asked, value| asked.annotation("connect-service-upstreams", &format!("db:2000:{value}")),
        arrives: trimmed,
    },
    Place {
        name: "annotation consul.hashicorp.com/connect-service-upstreams",
        put: |asked, value| {
            asked.annotation("connect-service-upstreams", &format!("prepared_query:{value}:2000"));
        },
        arrives: trimmed,
    },
    // Commas separate tags; empty ones are dropped.
    Place {
        name: "annotation consul.hashicorp.com/service-tags",
        put: |asked, value| asked.annotation("service-tags", &format!("x{},a", value.replace(',', ";"))),
        arrives: |value| value.replace(',', ";").trim_end().to_owned(),
    },
    Place {
        name: "annotation consul.hashicorp.com/connect-service-tags",
        put: |asked, value| {
            asked.annotation("connect-service-tags", &format!("{}x", value.replace(',', ";")))
        },
        arrives: |value| value.replace(',', ";").trim_start().to_owned(),
    },
    Place {
        name: "annotation consul.hashicorp.com/service-meta-x",
        put: |asked, value| asked.annotation("service-meta-x", value),
        arrives: as_written,
    },
    Place {
        name: "annotation",
        put: |asked, value| asked.annotation(&format!("service-meta-{value}"), "y"),
        arrives: as_written,
    },
    Place {
        name: "annotation consul.hashicorp.com/envoy-extra-args",
        put: |asked, value| {
            asked.annotation("envoy-extra-args", &format!("'{}'", value.replace('\'', "'\\''")));
        },
        arrives: as_written,
    },
    Place {
        name: "a header's value",
        put: |asked, value| asked.probe()["httpHeaders"] = json!([{ "name": "X", "value": value }]),
        arrives: as_written,
    },
    Place {
        name: "a header's name",
        // A header's name is canonicalized.
        put: |asked, value| {
            asked.probe()["httpHeaders"] = json!([{ "name": format!("{value} x"), "value": "y" }]);
        },
        arrives: as_written,
    },
    Place {
        name: "the gRPC probe's service",
        put: |asked, value| {
            asked.container()["readinessProbe"] =
                json!({ "grpc": { "port": 8080, "service": format!("x{value}") } });
        },
        arrives: as_written,
    },
    Place {
        name: "envoyExtraArgs",
        put: |asked, value| {
            asked.settings["envoyExtraArgs"] = json!(format!("'{}'", value.replace('\'', "'\\''")))
        },
        arrives: as_written,
    },
    Place {
        name: "acls.authMethod",
        put: |asked, value| {
            asked.settings["acls"] = json!({ "enabled": true, "authMethod": format!("x{value}") });
        },
        arrives: as_written,
    },
    Place {
        name: "tls.serverName",
        put: |asked, value| {
            asked.settings["tls"] =
                json!({ "enabled": true, "caCert": CERTIFICATE, "serverName": format!("x{value}") });
        },
        arrives: as_written,
    },
    Place {
        name: "tls.caCert",
        put: |asked, value| {
            asked.settings["tls"] = json!({ "enabled": true, "caCert": format!("# {value}\n{CERTIFICATE}") });
        },
        arrives: as_written,
    },
    Place {
        name: "crossNamespaceACLPolicy",
        put: |asked, value| {
            asked.settings["enableConsulNamespaces"] = json!(true);
            asked.settings["crossNamespaceACLPolicy"] = json!(format!("x{value}"));
        },
        arrives: as_written,
    },
    Place {
        name: "consulNamespaces.consulDestinationNamespace",
        put: |asked, value| {
            asked.settings["enableConsulNamespaces"] = json!(true);
            asked.settings["consulNamespaces"] = json!({ "consulDestinationNamespace": format!("x{value}") });
        },
        arrives: as_written,
    },
    Place {
        name: "consulNamespaces.mirroringK8SPrefix",
        put: |asked, value| {
            asked.settings["enableConsulNamespaces"] = json!(true);
            asked.settings["consulNamespaces"] =
                json!({ "mirroringK8S": true, "mirroringK8SPrefix": format!("x{value}") });
        },
        arrives: as_written,
    },
];

/// SEQUENCE { INTEGER 1 }: the smallest structure that passes as a certificate.
const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n";

/// Inputs that must not reach the injected containers: rejected or without effect.
const UNSEEN: &[(&str, fn(&mut Asked, &str))] = &[
    ("pod name", |asked, value| asked.pod["metadata"]["name"] = json!(value)),
    ("namespace", |asked, value| asked.namespace = format!("x{value}")),
    ("label", |asked, value| asked.pod["metadata"]["labels"]["app"] = json!(value)),
    ("label's key", |asked, value| asked.pod["metadata"]["labels"][value] = json!("x")),
    ("foreign annotation", |asked, value| {
        asked.pod["metadata"]["annotations"]["example.com/x"] = json!(value)
    }),
    ("foreign annotation's key", |asked, value| {
        asked.pod["metadata"]["annotations"][format!("example.com/{value}")] = json!("x");
    }),
    ("unknown annotation", |asked, value| asked.annotation("quite-unknown", value)),
    ("unknown annotation's key", |asked, value| asked.annotation(&format!("quite-unknown{value}"), "x")),
    ("annotation of another mode", |asked, value| asked.annotation("transparent-proxy", value)),
    ("consul-namespace", |asked, value| asked.annotation("consul-namespace", value)),
    ("service account", |asked, value| asked.pod["spec"]["serviceAccountName"] = json!(value)),
    ("image", |asked, value| asked.container()["image"] = json!(value)),
    ("command", |asked, value| asked.container()["command"] = json!([value])),
    ("working directory", |asked, value| asked.container()["workingDir"] = json!(value)),
    ("variable", |asked, value| asked.container()["env"] = json!([{ "name": "X", "value": value }])),
    ("variable's name", |asked, value| asked.container()["env"] = json!([{ "name": value, "value": "x" }])),
    ("volume", |asked, value| asked.pod["spec"]["volumes"] = json!([{ "name": value }])),
    ("second container", |asked, value| {
        asked.pod["spec"]["containers"].as_array_mut().unwrap().push(json!({ "name": value }));
    }),
    ("init container", |asked, value| asked.pod["spec"]["initContainers"] = json!([{ "name": value }])),
    ("port's name", |asked, value| asked.container()["ports"][1]["name"] = json!(value)),
    ("probe's scheme", |asked, value| asked.probe()["scheme"] = json!(format!("x{value}"))),
    ("restart policy", |asked, value| asked.pod["spec"]["restartPolicy"] = json!(value)),
    ("operating system", |asked, value| asked.pod["spec"]["os"] = json!({ "name": value })),
    ("owner", |asked, value| asked.pod["metadata"]["ownerReferences"] = json!([{ "kind": value }])),
    ("unknown field", |asked, value| asked.pod["spec"][format!("x{value}")] = json!(value)),
    ("k8sDenyNamespaces", |asked, value| {
        asked.settings["k8sDenyNamespaces"] = json!([format!("x{value}")]);
    }),
];

/// Inputs with a fixed set of values: the whole catalogue is rejected.
const FEW: &[(&str, fn(&mut Asked, &str))] = &[
    ("connect-service-port", |asked, value| asked.annotation("connect-service-port", &format!("x{value}"))),
    ("connect-service-protocol", |asked, value| asked.annotation("connect-service-protocol", value)),
    ("connect-sync-period", |asked, value| asked.annotation("connect-sync-period", value)),
    ("connect-inject", |asked, value| asked.annotation("connect-inject", &format!("x{value}"))),
    ("sidecar-proxy-cpu-limit", |asked, value| {
        asked.annotation("sidecar-proxy-cpu-limit", &format!("x{value}"));
    }),
    ("sidecar-proxy-cpu-request", |asked, value| {
        asked.annotation("sidecar-proxy-cpu-request", &format!("x{value}"));
    }),
    ("sidecar-proxy-memory-limit", |asked, value| {
        asked.annotation("sidecar-proxy-memory-limit", &format!("x{value}"));
    }),
    ("sidecar-proxy-memory-request", |asked, value| {
        asked.annotation("sidecar-proxy-memory-request", &format!("x{value}"));
    }),
    ("upstreams", |asked, value| {
        asked.annotation("connect-service-upstreams", &format!("db:x{value}"));
    }),
    ("imageConsul", |asked, value| asked.settings["imageConsul"] = json!(format!("x:{value}:"))),
    ("imageEnvoy", |asked, value| asked.settings["imageEnvoy"] = json!(format!("{value}/"))),
    ("imagePullPolicy", |asked, value| asked.settings["imagePullPolicy"] = json!(format!("x{value}"))),
    ("defaultProtocol", |asked, value| {
        asked.settings["centralConfig"] = json!({ "defaultProtocol": format!("x{value}") });
    }),
    ("syncPeriod", |asked, value| asked.settings["syncPeriod"] = json!(format!("x{value}"))),
    ("unknown setting", |asked, value| asked.settings[format!("x{value}")] = json!(1)),
];

/// Everything that the injected containers' processes see, and its origin: variables and
/// arguments after the kubelet's expansion, with JSON documents parsed.
fn seen(pod: &Value) -> Value {
    let mut all = Map::new();
    for name in INJECTED {
        let mut container = container(pod, name).clone();
        let variables = environment(&container);
        for (variable, value) in &variables {
            assert!(!value.contains('\0'), "{name}: no process can have that in {variable}: {value:?}");
        }
        for list in ["command", "args"] {
            for argument in container[list].as_array_mut().into_iter().flatten() {
                let expanded = expand(argument.as_str().unwrap(), &variables);
                assert!(!expanded.contains('\0'), "{name}: no process can have that argument: {expanded:?}");
                *argument = json!(expanded);
            }
        }
        let read = |value: String| match serde_json::from_str(&value) {
            Ok(document @ Value::Object(_)) => document,
            _ => json!(value),
        };
        container["env"] = variables.into_iter().map(|(name, value)| (name, read(value))).collect();
        all.insert(name.to_owned(), container);
    }
    let own =
        |volume: &&Value| volume["name"].as_str().is_some_and(|name| name.starts_with("consul-connect-"));
    let volumes = pod["spec"]["volumes"].as_array().unwrap();
    all.insert("volumes".into(), volumes.iter().filter(own).cloned().collect());
    Value::Object(all)
}

/// The value with the harmless word replaced.
fn with(value: &Value, text: &str) -> Value {
    match value {
        Value::String(old) => json!(old.replace(WORD, text)),
        Value::Array(old) => old.iter().map(|value| with(value, text)).collect(),
        Value::Object(old) => {
            old.iter().map(|(key, value)| (key.replace(WORD, text), with(value, text))).collect()
        }
        other => other.clone(),
    }
}

fn put(place: fn(&mut Asked, &str), value: &str) -> Asked {
    let mut asked = Asked::new();
    place(&mut asked, value);
    asked
}

/// A rejection names the input. Its format is checked for all answers.
fn refused(answer: &Answer, place: &str) -> bool {
    if !answer.accepted {
        assert!(answer.message().contains(place), "{place}: {}", answer.message());
    }
    !answer.accepted
}

#[test]
fn a_value_is_refused_or_arrives_byte_for_byte() {
    let (mut arrived, mut refusals) = (0, 0);
    for native in [true, false] {
        for place in ARRIVING {
            let ask = |value: &str| {
                let mut asked = put(place.put, value);
                asked.settings["nativeSidecars"] = json!(native);
                asked.answer()
            };
            let harmless = ask(WORD);
            assert!(harmless.accepted, "{}: {harmless:?}", place.name);
            let harmless = seen(&harmless.pod());
            assert_ne!(with(&harmless, ""), harmless, "{}: the word is seen", place.name);
            for hostile in HOSTILE.iter() {
                let answer = ask(&hostile.value);
                if refused(&answer, place.name) {
                    refusals += 1;
                    continue;
                }
                // Nothing is left of a removed value: no argument, no name.
                if answer.mutated_object.is_none() || hostile.value.is_empty() {
                    continue;
                }
                arrived += 1;
                let expected = with(&harmless, &(place.arrives)(&hostile.value));
                assert_eq!(seen(&answer.pod()), expected, "{}: {}", place.name, hostile.name);
            }
        }
    }
    // Some values are rejected and some are not.
    assert!(arrived > 300 && refusals > 300, "{arrived} arrived, {refusals} were refused");
}

#[test]
fn what_the_sidecars_do_not_use_they_do_not_see() {
    for (place, set) in UNSEEN {
        let harmless = put(*set, WORD).answer();
        let harmless = seen(&harmless.pod());
        assert_eq!(with(&harmless, ""), harmless, "{place}: the word is not seen");
        for hostile in HOSTILE.iter() {
            let answer = put(*set, &hostile.value).answer();
            if answer.accepted && answer.mutated_object.is_some() {
                assert_eq!(seen(&answer.pod()), harmless, "{place}: {}", hostile.name);
            }
        }
    }
}

#[test]
fn enumerations_accept_no_other_value() {
    for (place, set) in FEW {
        for hostile in HOSTILE.iter().filter(|hostile| !hostile.value.is_empty()) {
            let answer = put(*set, &hostile.value).answer();
            assert!(!answer.accepted, "{place} takes {}", hostile.name);
            assert!(answer.message().lines().count() > 1, "{place}: {}", answer.message());
        }
    }
}

/// A path reaches Consul in a URL: it is escaped, and cannot change the host or the port or
/// start a new line.
#[test]
fn a_probes_path_stays_a_path() {
    for hostile in HOSTILE.iter() {
        let asked = put(|asked, value| asked.probe()["path"] = json!(value), &hostile.value);
        let (service, _) = registration(&asked.answer().pod());
        let url = service["checks"][1]["http"].as_str().unwrap();
        let path = url.strip_prefix("http://198.18.0.7:8080/").unwrap_or_else(|| panic!("{url}"));
        assert!(path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"'), "{}: {url}", hostile.name);
        let written = hostile.value.trim_start_matches('/');
        let fragmentless = written.split('#').next().unwrap();
        let decoded = [decoded(path), path.to_owned()];
        let meant = [written, fragmentless];
        assert!(
            decoded.iter().any(|decoded| meant.contains(&decoded.as_str())),
            "{}: {written:?} became {path}",
            hostile.name
        );
    }
}

fn decoded(path: &str) -> String {
    String::from_utf8(percent_encoding::percent_decode_str(path).collect()).unwrap()
}

/// All hostile annotations at once, in one pod.
#[test]
fn all_of_the_catalogue_together_arrives() {
    let mut asked = Asked::new();
    let fit = |value: &&soak::catalogue::Hostile| value.value.len() <= 512 && !value.value.is_empty();
    let values: Vec<_> = HOSTILE.iter().filter(fit).collect();
    for (index, hostile) in values.iter().enumerate() {
        asked.annotation(&format!("service-meta-{index}"), &hostile.value);
    }
    let (service, proxy) = registration(&asked.answer().pod());
    for (index, hostile) in values.iter().enumerate() {
        for meta in [&service["meta"], &proxy["meta"]] {
            assert_eq!(meta[index.to_string()], hostile.value, "{}", hostile.name);
        }
    }
}
