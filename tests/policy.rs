//! The behavior of the built `policy.wasm` for its users.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use policy_host::manifest::{Case, Operation, Options, cases};
use policy_host::{Logs, SettingsAnswer, documents};
use serde_json::{Value, json};
use support::*;

/// All requests that a manifest causes, including those of its templates' pods.
fn requests_of(path: &str) -> Vec<Case> {
    let text = fs::read_to_string(path).unwrap();
    let options = Options { namespace: "default".into(), operation: Operation::Create, with_pods: true };
    cases(documents::parse(&text).unwrap(), &options).unwrap()
}

/// The answer for the object with that title.
fn answer_about(path: &str, title: &str, settings: &Value) -> Answer {
    let all = requests_of(path);
    let case = all.iter().find(|case| case.title.starts_with(title)).unwrap_or_else(|| {
        panic!("{title}: only {:?}", all.iter().map(|case| &case.title).collect::<Vec<_>>())
    });
    ask_request(&serde_json::to_value(&case.request).unwrap(), settings)
}

fn check_settings(settings: &Value) -> SettingsAnswer {
    policy().validate_settings(settings).unwrap()
}

mod documentation {
    use super::*;

    #[test]
    fn every_manifest_of_the_documentation_is_accepted_without_a_warning() {
        for path in [
            "examples/static-server.yaml",
            "examples/static-client.yaml",
            "test_data/documentation/echo-1.5.yaml",
            "test_data/documentation/deployment-1.5.yaml",
            "test_data/documentation/deployment-1.9.yaml",
        ] {
            for case in requests_of(path) {
                let answer = ask_request(&serde_json::to_value(&case.request).unwrap(), &json!({}));
                assert!(answer.accepted, "{path} {}: {answer:?}", case.title);
                assert_eq!(answer.warnings, [""; 0], "{path} {}", case.title);
                let is_pod = case.title.starts_with("Pod ");
                assert_eq!(answer.mutated_object.is_some(), is_pod, "{path} {}", case.title);
            }
        }
    }

    #[test]
    fn the_server_is_registered_under_its_containers_name_and_port() {
        for (path, name) in [
            ("examples/static-server.yaml", "static-server"),
            ("test_data/documentation/echo-1.5.yaml", "echo-server"),
        ] {
            let pod = answer_about(path, &format!("Pod default/{name}"), &json!({})).pod();
            let annotations = &pod["metadata"]["annotations"];
            assert_eq!(annotations["consul.hashicorp.com/connect-inject-status"], "injected");
            assert_eq!(pod["metadata"]["labels"]["consul.hashicorp.com/connect-inject-status"], "injected");
            assert_eq!(annotations["consul.hashicorp.com/connect-service"], name);
            assert_eq!(annotations["consul.hashicorp.com/connect-service-port"], "http");

            let (service, proxy) = registration(&pod);
            assert_eq!((&service["name"], &service["port"]), (&json!(name), &json!(8080)));
            assert_eq!(service["id"], format!("web-0-{name}"), "<pod name>-<service>");
            assert_eq!(proxy["name"], format!("{name}-sidecar-proxy"));
            assert_eq!(proxy["id"], format!("web-0-{name}-sidecar-proxy"));
            assert_eq!((&proxy["kind"], &proxy["port"]), (&json!("connect-proxy"), &json!(20000)));
            assert_eq!(proxy["address"], "198.18.0.7");
            assert_eq!(proxy["proxy"]["destination_service_id"], service["id"]);
            assert_eq!(proxy["proxy"]["local_service_address"], "127.0.0.1");
            assert_eq!(proxy["proxy"]["local_service_port"], 8080);
            assert_eq!(service["meta"], json!({ "pod-name": "web-0", "k8s-namespace": "shop" }));
            assert_eq!(names(&proxy["checks"]), ["Proxy Public Listener", "Destination Alias", "Pod"]);
            assert_eq!(proxy["checks"][0]["tcp"], "198.18.0.7:20000");
        }
    }

    #[test]
    fn the_client_finds_its_upstream_on_loopback() {
        for (path, name, server) in [
            ("examples/static-client.yaml", "static-client", "static-server"),
            ("test_data/documentation/echo-1.5.yaml", "echo-client", "echo-server"),
        ] {
            let pod = answer_about(path, &format!("Pod default/{name}"), &json!({})).pod();
            assert_eq!(pod["metadata"]["annotations"].get("consul.hashicorp.com/connect-service-port"), None);
            let (service, proxy) = registration(&pod);
            assert_eq!(service.get("port"), None, "it only dials out");
            assert_eq!(
                proxy["proxy"]["upstreams"],
                json!([{
                    "destination_type": "service", "destination_name": server,
                    "local_bind_address": "127.0.0.1", "local_bind_port": 1234,
                }])
            );
            let prefix = server.to_uppercase().replace('-', "_");
            let own = environment(container(&pod, name));
            assert_eq!(own[&format!("{prefix}_CONNECT_SERVICE_HOST")], "127.0.0.1");
            assert_eq!(own[&format!("{prefix}_CONNECT_SERVICE_PORT")], "1234");
        }
    }

    #[test]
    fn a_deployments_pods_are_injected_and_the_deployment_is_unchanged() {
        for (file, service) in [("deployment-1.5", "example"), ("deployment-1.9", "consul-example")] {
            let path = format!("test_data/documentation/{file}.yaml");
            let pod = answer_about(&path, "Pod default/consul-example-deployment-", &json!({})).pod();
            assert_eq!(pod["metadata"]["annotations"]["consul.hashicorp.com/connect-service"], service);
            let deployment = answer_about(&path, "Deployment", &json!({}));
            assert_eq!(deployment.reason(), "workload-accepted");
        }
    }

    #[test]
    fn with_acls_the_older_pages_pods_get_a_message_about_their_service_account() {
        let acls = json!({ "acls": { "enabled": true } });
        let answer = answer_about("test_data/documentation/echo-1.5.yaml", "Pod default/echo-server", &acls);
        assert_eq!(answer.code, Some(422));
        assert!(
            answer
                .message()
                .contains("spec.serviceAccountName: invalid value \"default\": must be the service name")
        );
        assert!(answer_about("examples/static-server.yaml", "Pod", &acls).accepted);
    }
}

mod decision {
    use super::*;

    #[test]
    fn the_annotation_decides_and_without_it_the_setting_default() {
        for (default, annotation, reason) in [
            (false, None, "not-requested"),
            (true, None, "injected"),
            (true, Some("false"), "opted-out"),
            (true, Some("F"), "opted-out"),
            (false, Some("0"), "opted-out"),
            (false, Some("true"), "injected"),
            (false, Some("1"), "injected"),
            (false, Some("yes"), "rejected"),
            (false, Some(""), "rejected"),
            (true, Some(" true"), "rejected"),
        ] {
            let mut pod = plain();
            if let Some(value) = annotation {
                pod["metadata"]["annotations"] = json!({ "consul.hashicorp.com/connect-inject": value });
            }
            let answer = ask(&pod, &json!({ "default": default }));
            assert_eq!(answer.reason(), reason, "default {default}, annotation {annotation:?}");
        }
    }

    #[test]
    fn namespace_lists_deny_wins_and_the_system_is_never_injected() {
        for (namespace, allow, deny, reason) in [
            ("shop", json!(["*"]), json!([]), "injected"),
            ("shop", json!(["shop"]), json!([]), "injected"),
            ("shop", json!(["billing"]), json!([]), "namespace-not-allowed"),
            ("shop", json!([]), json!([]), "namespace-not-allowed"),
            ("shop", json!(["shop"]), json!(["shop"]), "namespace-denied"),
            ("shop", json!(["*"]), json!(["billing"]), "injected"),
            ("kube-system", json!(["kube-system"]), json!([]), "system-namespace"),
            ("kube-public", json!(["*"]), json!([]), "system-namespace"),
            ("kube-node-lease", json!(["*"]), json!([]), "injected"),
        ] {
            let settings = json!({ "k8sAllowNamespaces": allow, "k8sDenyNamespaces": deny });
            let answer = ask_in(namespace, &web(&[]), &settings);
            assert_eq!(answer.reason(), reason, "{namespace} {settings}");
            // A pod that requests injection and is skipped gets a warning.
            assert_eq!(answer.warnings.len(), usize::from(reason != "injected"), "{answer:?}");
            let silent = ask_in(namespace, &plain(), &settings);
            assert_eq!(silent.warnings, [""; 0], "who did not ask is not");
        }
    }

    #[test]
    fn requests_that_do_not_create_a_pod_are_accepted_unchanged() {
        let request = |version: &str, kind: &str, operation: &str, sub: &str| {
            json!({
                "uid": "u", "kind": { "group": "", "version": version, "kind": kind },
                "operation": operation, "subResource": sub, "namespace": "shop",
                "object": web(&[("connect-service-port", "nope")]),
            })
        };
        for request in [
            request("v1", "Pod", "UPDATE", ""),
            request("v1", "Pod", "DELETE", ""),
            request("v1", "Pod", "CONNECT", ""),
            request("v1", "Pod", "CREATE", "eviction"),
            request("v1", "ConfigMap", "CREATE", ""),
            request("v2", "Pod", "CREATE", ""),
        ] {
            assert_eq!(ask_request(&request, &json!({})).reason(), "not-a-pod-creation", "{request}");
        }
    }

    #[test]
    fn injected_and_mirror_pods_are_skipped() {
        let pod = web(&[("connect-inject-status", "injected")]);
        assert_eq!(ask(&pod, &json!({})).reason(), "already-injected");
        let mut pod = web(&[]);
        pod["metadata"]["annotations"]["kubernetes.io/config.mirror"] = json!("x");
        assert_eq!(ask(&pod, &json!({})).reason(), "mirror-pod");
    }

    #[test]
    fn the_policy_can_be_switched_off() {
        assert_eq!(ask(&web(&[]), &json!({ "enabled": false })).reason(), "disabled");
    }

    /// Copied from a running pod, the status would prevent this pod's injection.
    #[test]
    fn a_status_on_a_pod_that_was_not_injected_gets_a_warning() {
        let status = ("connect-inject-status", "injected");
        let answer = ask(&web(&[status]), &json!({}));
        assert_eq!(answer.reason(), "already-injected");
        assert_eq!(
            answer.warnings,
            [
                "annotation consul.hashicorp.com/connect-inject-status prevents injection, but the pod has no injected \
              container; remove it, the injector sets it"
            ]
        );
        // Already injected, by any injector, or not requested.
        for name in INJECTED {
            let mut pod = web(&[status]);
            pod["spec"]["initContainers"] = json!([{ "name": name }]);
            pod["metadata"]["labels"] = json!({ format!("{PREFIX}connect-inject-status"): "injected" });
            assert_eq!(ask(&pod, &json!({})).warnings, [""; 0], "{name}");
            // `kubectl debug --copy-to` removes the labels.
            pod["metadata"]["labels"] = json!({});
            let warnings = ask(&pod, &json!({})).warnings;
            assert!(warnings.len() == 1 && warnings[0].contains("without --copy-to"), "{warnings:?}");
        }
        let silent = ask(&web(&[status, ("connect-inject", "false")]), &json!({}));
        assert_eq!((silent.reason(), silent.warnings.len()), ("already-injected", 0));
    }

    /// `kubectl debug --copy-to` removes the annotations with most profiles.
    #[test]
    fn a_copy_without_annotations_gets_a_warning() {
        let injected = ask(&web(&[]), &json!({})).pod();
        for (labels, annotations) in [
            (json!(null), json!(null)),
            (injected["metadata"]["labels"].clone(), json!({})),
            (json!({}), json!({ format!("{PREFIX}connect-inject"): "false" })),
        ] {
            let mut copy = injected.clone();
            copy["metadata"]["labels"] = labels;
            copy["metadata"]["annotations"] = annotations;
            let answer = ask(&copy, &json!({}));
            assert!(answer.mutated_object.is_none());
            let warning = &answer.warnings[0];
            assert!(warning.contains("another instance of its service and receives traffic"), "{warning}");
            // A pod with a controller is not a copy.
            copy["metadata"]["ownerReferences"] = json!([{ "kind": "ReplicaSet", "name": "web" }]);
            assert_eq!(ask(&copy, &json!({})).warnings, [""; 0]);
        }
    }

    /// Turning `default` on must not break third-party charts.
    #[test]
    fn a_pod_that_cannot_be_injected_is_rejected_only_if_it_requests_injection() {
        let default = json!({ "default": true });
        let spoil: [(&str, fn(&mut Value)); 8] = [
            ("spec.containers: must not be empty", |pod| pod["spec"]["containers"] = json!([])),
            ("spec.hostNetwork", |pod| pod["spec"]["hostNetwork"] = json!(true)),
            ("spec.os.name", |pod| pod["spec"]["os"] = json!({ "name": "windows" })),
            ("spec.nodeSelector[kubernetes.io/os]", |pod| {
                pod["spec"]["nodeSelector"] = json!({ "a": "b", "kubernetes.io/os": "windows" });
            }),
            ("spec.nodeSelector[beta.kubernetes.io/os]", |pod| {
                pod["spec"]["nodeSelector"] = json!({ "beta.kubernetes.io/os": "windows" });
            }),
            ("spec.resources.requests[memory]", |pod| {
                pod["spec"]["resources"] = json!({ "requests": { "cpu": "1", "memory": "64Mi" } });
            }),
            ("spec.initContainers[0].name", |pod| pod["spec"]["initContainers"] = json!([{ "name": ENVOY }])),
            ("spec.volumes[0].name", |pod| {
                pod["spec"]["volumes"] = json!([{ "name": "consul-connect-inject-data" }]);
            }),
        ];
        for (told, spoil) in spoil {
            let (mut silent, mut asking) = (plain(), web(&[]));
            spoil(&mut silent);
            spoil(&mut asking);
            let answer = ask(&silent, &default);
            assert_eq!(answer.reason(), "not-injectable", "{told}");
            assert!(answer.warnings[0].contains(told), "{:?}", answer.warnings);
            let answer = ask(&asking, &default);
            assert_eq!((answer.reason(), answer.code), ("rejected", Some(422)), "{told}");
            assert!(answer.message().contains(told), "{}", answer.message());
        }
        // The most common one is too long for a warning, but keeps its remedy.
        let mut other = plain();
        other["spec"]["serviceAccountName"] = json!("other");
        let answer = ask(&other, &json!({ "default": true, "acls": { "enabled": true } }));
        let remedy = "or set annotation consul.hashicorp.com/connect-service to the service account's name";
        assert!(answer.warnings[0].ends_with(remedy), "{:?}", answer.warnings);
        // Any annotation of the injector counts as a request.
        let mut pod = plain();
        pod["metadata"]["annotations"] = json!({ "consul.hashicorp.com/connect-service-port": "nope" });
        assert_eq!(ask(&pod, &default).reason(), "rejected");
    }

    #[test]
    fn unknown_annotations_do_not_request_injection() {
        for (name, asks, misspelt) in [
            ("config-checksum", false, false),
            ("gateway-kind", false, false),
            ("transparent-proxy", false, false),
            ("connect-servce", false, true),
            ("connect-service", true, false),
            ("service-meta-version", true, false),
        ] {
            let mut pod = plain();
            pod["metadata"]["annotations"] = json!({ format!("{PREFIX}{name}"): "x" });
            pod["spec"]["hostNetwork"] = json!(true);
            let answer = ask(&pod, &json!({ "default": true }));
            assert_eq!(answer.reason(), if asks { "rejected" } else { "not-injectable" }, "{name}");
            let told: Vec<_> = answer.warnings.iter().skip(usize::from(!asks)).collect();
            assert_eq!(told.len(), usize::from(misspelt), "{name}: {told:?}");
            assert!(told.iter().all(|told| told.contains("did you mean connect-service?")), "{told:?}");
        }
        // It is injected by default, like a pod without them.
        let mut pod = plain();
        pod["metadata"]["annotations"] = json!({ format!("{PREFIX}config-checksum"): "x" });
        assert_eq!(ask(&pod, &json!({ "default": true })).reason(), "injected");
    }

    /// A pod's own resources that the API server would refuse after injection are rejected
    /// with a message that says what to write.
    #[test]
    fn a_pods_own_request_has_to_hold_the_sidecars() {
        let ask = |requests: Value, annotations: &[(&str, &str)], settings: Value| {
            let mut pod = web(annotations);
            pod["spec"]["resources"] = json!({ "requests": requests });
            pod["spec"]["containers"][0]["resources"] = json!({ "requests": { "cpu": "1" } });
            ask(&pod, &settings)
        };
        let fitting = json!({ "cpu": "1060m", "memory": "100Mi" });
        assert_eq!(ask(fitting.clone(), &[], json!({})).reason(), "injected");
        let answer = ask(fitting.clone(), &[("sidecar-proxy-cpu-request", "1")], json!({}));
        let told = "- spec.resources.requests[cpu]: invalid value \"1060m\": must cover the requests of all containers, \
                    including the injected ones; write at least 2010m";
        assert!(answer.message().contains(told), "{}", answer.message());
        // It is reported together with other problems.
        let both = ask(json!({ "cpu": "1" }), &[("connect-service-port", "x")], json!({}));
        assert_eq!(both.message().lines().count(), 3, "{}", both.message());
        let settings = json!({ "lifecycleSidecar": { "resources": { "requests": { "memory": "21Mi" } } } });
        assert!(ask(fitting, &[], settings).message().contains("write at least 101Mi"));
    }

    #[test]
    fn injections_rejections_and_refused_wishes_are_logged_and_ordinary_skips_are_not() {
        let lines = |pod: &Value, settings: &Value| {
            let (policy, logs): (_, Logs) = policy().with_logs();
            policy
                .call("validate", payload("shop", &pod.to_string(), &settings.to_string()).as_bytes())
                .unwrap();
            logs.take().into_iter().map(|line| line.message.unwrap()).collect::<Vec<_>>()
        };
        for (pod, settings, told) in [
            (web(&[]), json!({}), "Pod shop/web-0: injected: service web on port 8080"),
            (web(&[("connect-service-port", "x")]), json!({}), "Pod shop/web-0: rejected: "),
            (web(&[]), json!({ "k8sDenyNamespaces": ["shop"] }), "Pod shop/web-0: not injected: "),
        ] {
            let lines = lines(&pod, &settings);
            assert!(lines.len() == 1 && lines[0].starts_with(told), "{told}: {lines:?}");
        }
        assert_eq!(lines(&plain(), &json!({})), [""; 0]);
        // The annotation may belong to another tool, or to a pod that is not injected yet.
        let mut silent = plain();
        silent["metadata"]["annotations"] = json!({ format!("{PREFIX}service-tags"): "a" });
        assert_eq!(lines(&silent, &json!({})), [""; 0]);
        assert_eq!(ask(&silent, &json!({})).warnings.len(), 1);
        // A name is always printed on one line.
        let mut odd = web(&[]);
        odd["metadata"]["name"] = json!("a\"b\n");
        assert!(lines(&odd, &json!({}))[0].starts_with("Pod shop/a\\\"b\\n: injected"));
    }
}

mod messages {
    use super::*;

    #[test]
    fn all_problems_of_a_pod_are_reported_at_once_each_with_its_remedy() {
        let answer = ask(
            &web(&[
                ("connect-service", "a,b"),
                ("connect-service-port", "htpp"),
                ("connect-service-upstreams", "db,cache:99999,auth:1:dc:x"),
                ("connect-service-protocol", "udp"),
                ("envoy-extra-args", "--log-level \"debug"),
                ("service-meta-consul-x", "1"),
                ("sidecar-proxy-cpu-limit", "many"),
                ("sidecar-proxy-memory-request", "-1"),
                ("connect-sync-period", "10"),
            ]),
            &json!({}),
        );
        let problems: Vec<&str> = answer.message().lines().skip(1).collect();
        for (name, value) in [
            ("connect-service", "\"a,b\""),
            ("connect-service-port", "\"htpp\""),
            ("connect-service-upstreams", "\"db\""),
            ("connect-service-upstreams", "\"cache:99999\""),
            ("connect-service-upstreams", "\"auth:1:dc:x\""),
            ("connect-service-protocol", "\"udp\""),
            ("envoy-extra-args", "\"--log-level \\\"debug\""),
            ("sidecar-proxy-cpu-limit", "\"many\""),
            ("sidecar-proxy-memory-request", "\"-1\""),
            ("connect-sync-period", "\"10\""),
        ] {
            let line = format!("- annotation {PREFIX}{name}: invalid value {value}: ");
            let found = problems.iter().find(|problem| problem.starts_with(&line));
            let found = found.unwrap_or_else(|| panic!("{line}: {problems:#?}"));
            assert!(found.contains(" must ") || found.contains("; "), "no remedy: {found}");
        }
        let key = format!(
            "- annotation {PREFIX}service-meta-consul-x: the metadata key must not start with consul-"
        );
        assert!(problems.iter().any(|problem| problem.starts_with(&key)), "{problems:#?}");
        assert_eq!(problems.len(), 11, "{problems:#?}");
    }

    #[test]
    fn all_problems_of_settings_are_reported_at_once() {
        let answer = check_settings(&json!({
            "defualt": true, "replicas": 1, "k8sAllowNamespaces": "shop", "agent": { "httpPort": 0 },
            "tls": { "enabled": true }, "imageEnvoy": "UPPER CASE",
            "sidecarProxy": { "resources": { "limits": { "cpu": "x" } } },
            "consulNamespaces": { "mirorringK8S": true, "consulDestinationNamespace": "a b" },
            "crossNamespaceACLPolicy": "a b", "acls": { "authMethod": "a b" },
            "initContainer": { "resources": { "requests": { "memmory": "1Gi" } } },
        }));
        assert!(!answer.valid);
        let message = answer.message.unwrap();
        for told in [
            "defualt: is unknown; did you mean default?",
            "replicas",
            "k8sAllowNamespaces",
            "agent.httpPort",
            "tls.caCert",
            "imageEnvoy",
            "sidecarProxy.resources.limits.cpu",
            "did you mean consulNamespaces.mirroringK8S?",
            "consulNamespaces.consulDestinationNamespace: invalid value \"a b\": must consist of letters, digits and '-'",
            "crossNamespaceACLPolicy: invalid value \"a b\": must consist of letters",
            "acls.authMethod: invalid value \"a b\": must consist of letters",
            "initContainer.resources.requests.memmory: is not the name of a resource; did you mean memory?",
        ] {
            assert!(message.contains(told), "{told}: {message}");
        }
        assert_eq!(message.lines().count(), 13, "{message}");
        assert!(check_settings(&json!({})).valid);
    }

    #[test]
    fn a_request_with_invalid_settings_is_rejected_with_the_same_message() {
        let settings = json!({ "defualt": true });
        let answer = ask(&web(&[]), &settings);
        assert_eq!((answer.reason(), answer.code), ("invalid-settings", Some(500)));
        assert_eq!(answer.message, check_settings(&settings).message);
        assert_eq!(ask(&plain(), &settings).reason(), "invalid-settings");
    }

    #[test]
    fn unreadable_requests_are_answered() {
        let pod = |object: &str| payload("shop", object, "{}");
        for (text, told) in [
            ("no json".to_owned(), "the payload: "),
            (String::new(), "the payload: "),
            ("{}".to_owned(), "missing field `request`"),
            ("7".to_owned(), "the payload: "),
            (r#"{"request":7}"#.to_owned(), "the payload: "),
            (pod("null"), "object: is required"),
            (pod("\"pod\""), "the payload: invalid type"),
            (pod(r#"{"kind":"ConfigMap"}"#), "kind: must be Pod"),
            (pod(r#"{"metadata":7}"#), "request: metadata: invalid type"),
            (web(&[]).to_string(), "missing field `request`"),
        ] {
            let answer = Answer::to(text.as_bytes());
            assert_eq!((answer.reason(), answer.code), ("unreadable-request", Some(400)), "{text}");
            assert!(answer.message().contains(told), "{told}: {}", answer.message());
        }
        assert_eq!(Answer::to(b"\xff\xfe").reason(), "unreadable-request");
    }

    #[test]
    fn a_pod_that_is_not_injected_may_have_any_specification() {
        for spec in ["7", "[]", r#"{"containers":7}"#, r#"{"initContainers":[{"name":{}}]}"#] {
            let pod = format!(r#"{{"kind":"Pod","metadata":{{"name":"web"}},"spec":{spec}}}"#);
            let answer = Answer::to(payload("shop", &pod, "{}").as_bytes());
            assert_eq!((answer.reason(), answer.warnings.len()), ("not-requested", 0), "{spec}");
        }
    }

    #[test]
    fn warnings_name_what_to_do() {
        for (annotation, value, told) in [
            ("connect-servce", "x", "did you mean connect-service?"),
            ("transparent-proxy", "true", "only in mode dataplane"),
            ("connect-service-tags", "a", "use consul.hashicorp.com/service-tags instead"),
            ("connect-service-upstreams", "db.far:2000", "the dot is part of the service name"),
            ("connect-service-upstreams", "db:80", "use a port from 1024 to 65535"),
            ("connect-service-upstreams", "db:8080", "local port 8080 is the service's own port"),
            (
                "connect-service-upstreams",
                "db:9090",
                "local port 9090 is also a port of this pod's containers",
            ),
            ("consul-namespace", "shop", "because the injector sets it; remove it"),
            ("connect-service-upstreams", "a-b:2000,a.b:2001", "127.0.0.1:2001"),
        ] {
            let answer = ask(&web(&[(annotation, value)]), &json!({}));
            assert_eq!(answer.reason(), "injected");
            assert!(
                answer.warnings.iter().any(|warning| warning.contains(told)),
                "{told}: {:?}",
                answer.warnings
            );
        }
        assert_eq!(ask(&web(&[("connect-service-upstreams", "db:2000")]), &json!({})).warnings, [""; 0]);
    }

    /// Envoy, which starts first, would take the port, and the service's traffic with it.
    #[test]
    fn an_upstream_on_the_services_own_port_is_rejected_even_if_no_container_lists_it() {
        let both = |upstream: &str| {
            [("connect-service-port", "7070"), ("connect-service-upstreams", upstream)]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
        };
        for upstream in ["db:7070", "prepared_query:geo:7070"] {
            let annotations = both(upstream);
            let annotations = annotations.each_ref().map(|(name, value)| (name.as_str(), value.as_str()));
            let warnings = ask(&web(&annotations), &json!({})).warnings;
            let told = warnings.len() == 1
                && warnings[0]
                    .contains("local port 7070 is the service's own port: Envoy would listen there")
                && warnings[0].ends_with("; use another port");
            assert!(told, "{warnings:?}");
        }
    }

    /// The warning is about the mistake that keeps the pod out of the mesh.
    #[test]
    fn a_pod_with_a_misspelt_annotation_that_is_not_injected_gets_a_warning() {
        let left_alone = |annotations: &[(&str, &str)]| {
            let mut pod = web(annotations);
            pod["metadata"]["annotations"]
                .as_object_mut()
                .unwrap()
                .remove(&format!("{PREFIX}connect-inject"));
            let answer = ask(&pod, &json!({}));
            assert_eq!(answer.reason(), "not-requested");
            answer.warnings
        };
        assert_eq!(
            left_alone(&[("connect-injct", "true")]),
            [
                "annotation consul.hashicorp.com/connect-injct is unknown and has no effect; did you mean connect-inject?"
            ]
        );
        assert_eq!(
            left_alone(&[("connect-service-upstreams", "db:2000"), ("service-tags", "a")]),
            [
                "annotation consul.hashicorp.com/connect-service-upstreams and 1 more have no effect, because the pod is \
              not injected; add consul.hashicorp.com/connect-inject: \"true\", or remove them"
            ]
        );
        for others in ["config-checksum", "gateway-kind", "transparent-proxy", "connect-k8s-version"] {
            assert_eq!(left_alone(&[(others, "x")]), [""; 0], "{others} may be another program's");
        }
    }

    #[test]
    fn a_name_that_is_cut_short_is_completed() {
        for (written, meant) in [
            ("service-port", "connect-service-port"),
            ("connect-upstreams", "connect-service-upstreams"),
            ("connect-service-proto", "connect-service-protocol"),
            ("sidecar-proxy-mem-limit", "sidecar-proxy-memory-limit"),
            ("service-meta", "service-meta-KEY"),
            ("Connect-Service", "connect-service"),
        ] {
            let warnings = ask(&web(&[(written, "x")]), &json!({})).warnings;
            let told =
                format!("annotation {PREFIX}{written} is unknown and has no effect; did you mean {meant}?");
            assert_eq!(warnings, [told]);
        }
    }

    #[test]
    fn all_problems_of_envoys_arguments_are_reported() {
        let arguments = "-l a -l b --mode validate --config-path /x --service-node y";
        let told = [
            "--config-path is not allowed: it replaces the bootstrap",
            "Envoy does not start with --log-level twice",
            "--mode is not allowed: Envoy may exit",
            "--service-node is not allowed: it replaces the identity",
        ];
        let answer = ask(&web(&[("envoy-extra-args", arguments)]), &json!({}));
        let settings = check_settings(&json!({ "envoyExtraArgs": arguments }));
        for message in [answer.message(), &settings.message.unwrap()] {
            assert_eq!(message.lines().count(), 1 + told.len(), "{message}");
            assert!(told.iter().all(|told| message.contains(told)), "{message}");
        }
    }

    /// Arguments with which Envoy would not start, whatever its list of flags is.
    #[test]
    fn an_argument_that_envoy_does_not_accept_is_reported() {
        for (arguments, stray) in
            [("--log-level debug foo", "foo"), ("\u{2014}log-level debug", "\u{2014}log-level")]
        {
            let answer = ask(&web(&[("envoy-extra-args", arguments)]), &json!({}));
            let told = format!("{PREFIX}envoy-extra-args: \"{stray}\" is neither an Envoy flag");
            assert!(
                answer.warnings.len() == 1 && answer.warnings[0].contains(&told),
                "{:?}",
                answer.warnings
            );
        }
        let answer = ask(&web(&[("envoy-extra-args", "--log-format '-l %v' -l debug")]), &json!({}));
        assert_eq!((answer.accepted, answer.warnings.len()), (true, 0), "{answer:?}");
    }

    /// A problem must not hide another one that is reported after the first is fixed.
    #[test]
    fn a_problem_does_not_hide_another_one() {
        let long = "x".repeat(600);
        let tags = "a,".repeat(60_000);
        let acls = json!({ "acls": { "enabled": true } });
        for (annotations, settings, told) in [
            (
                [("connect-service-upstreams", "d_b_:1234,cache:1234"), ("connect-service-protocol", "udp")],
                json!({}),
                ["end with a letter or digit", "port is already used by upstream", "must be tcp"],
            ),
            (
                [("service-meta-a.b", long.as_str()), ("service-meta-consul-x", "1")],
                json!({}),
                ["key must consist of letters", "no more than 512 bytes", "reserved for Consul"],
            ),
            (
                [("service-tags", tags.as_str()), ("connect-service-port", "x")],
                json!({}),
                ["at most 102400 bytes to fit", "must be a port number", "the service's registration"],
            ),
            (
                [("connect-service", "my web"), ("connect-service-port", "x")],
                acls,
                [
                    "name of the pod's service account, \"web\"",
                    "must be a port number",
                    "invalid value \"my web\"",
                ],
            ),
        ] {
            let answer = ask(&web(&annotations), &settings);
            assert_eq!(answer.reason(), "rejected");
            for told in told {
                assert!(answer.message().contains(told), "{told}: {}", answer.message());
            }
        }
        let answer = check_settings(&json!({ "k8sAllowNamespaces": ["Bad", 1] }));
        let told = answer.message.unwrap();
        assert!(
            told.contains("\"Bad\": must be the name")
                && told.contains("k8sAllowNamespaces[1]: invalid value 1: must"),
            "{told}"
        );
    }

    /// Following a message must not lead to another problem.
    #[test]
    fn every_suggested_value_is_valid() {
        for (settings, remedy) in [
            (json!({ "syncPeriod": 10 }), "must be a duration from 1s to 1h, such as 10s"),
            (json!({ "envoyExtraArgs": ["-l", "info"] }), "in one string, such as \"--log-level debug\""),
            (json!({ "imagePullPolicy": true }), "must be Always, IfNotPresent or Never"),
            (json!({ "centralConfig": { "defaultProtocol": 2 } }), "must be tcp, http, http2 or grpc"),
            (json!({ "crossNamespaceACLPolicy": "a/b/c" }), "at most one '/'"),
        ] {
            let message = check_settings(&settings).message.unwrap();
            assert!(message.contains(remedy), "{message}");
        }
        // The account's name is not a valid name of a service.
        let mut pod = web(&[]);
        pod["spec"]["serviceAccountName"] = json!("web.v1");
        let answer = ask(&pod, &json!({ "acls": { "enabled": true } }));
        assert!(answer.message().ends_with("and set serviceAccountName to it"), "{}", answer.message());
        let mut pod = plain();
        pod["metadata"]["annotations"] = json!({ format!("{PREFIX}connect-inject"): true });
        assert!(ask(&pod, &json!({})).message().ends_with("invalid value true: must be a string, in quotes"));
    }

    #[test]
    fn all_problems_of_one_upstream_are_reported() {
        let answer = ask(
            &web(&[("connect-service-upstreams", "d b:99999:d c")]),
            &json!({ "enableConsulNamespaces": true }),
        );
        assert_eq!(answer.message().matches("\"d b:99999:d c\"").count(), 3, "{}", answer.message());
    }

    /// A message names the annotation that the user wrote, not the other one.
    #[test]
    fn conflicting_resources_are_reported_for_the_annotation_that_is_set() {
        let settings =
            |kind: &str, cpu: &str| json!({ "sidecarProxy": { "resources": { kind: { "cpu": cpu } } } });
        for (annotations, settings, told) in [
            (
                &[("sidecar-proxy-cpu-limit", "10m")][..],
                settings("requests", "50m"),
                "sidecar-proxy-cpu-limit: invalid value \"10m\": must not be less than the cpu request of 50m in the policy's settings; raise it",
            ),
            (
                &[("sidecar-proxy-cpu-request", "2")],
                settings("limits", "1"),
                "sidecar-proxy-cpu-request: invalid value \"2\": must not exceed the cpu limit of 1 in the policy's settings; lower it",
            ),
            (
                &[("sidecar-proxy-cpu-request", "2"), ("sidecar-proxy-cpu-limit", "1")],
                json!({}),
                "sidecar-proxy-cpu-request: invalid value \"2\": must not exceed the cpu limit of 1; lower it",
            ),
        ] {
            let answer = ask(&web(annotations), &settings);
            assert!(answer.message().contains(told), "{told}: {}", answer.message());
        }
    }

    #[test]
    fn a_variable_of_the_users_own_stays_and_warns() {
        let mut pod = web(&[("connect-service-upstreams", "db:2000")]);
        let own = json!({ "name": "DB_CONNECT_SERVICE_PORT", "value": "5432" });
        pod["spec"]["containers"][0]["env"] = json!([own]);
        let answer = ask(&pod, &json!({}));
        let injected = answer.pod();
        assert_eq!(
            container(&injected, "web")["env"],
            json!([own, { "name": "DB_CONNECT_SERVICE_HOST", "value": "127.0.0.1" }])
        );
        assert!(answer.warnings[0].contains("DB_CONNECT_SERVICE_PORT"), "{:?}", answer.warnings);
    }

    #[test]
    fn a_job_with_ordinary_sidecars_gets_a_warning_that_it_will_not_finish() {
        let mut pod = web(&[]);
        pod["spec"]["restartPolicy"] = json!("Never");
        assert_eq!(ask(&pod, &json!({})).warnings, [""; 0], "native sidecars let it finish");
        let classic = ask(&pod, &json!({ "nativeSidecars": false }));
        assert!(classic.warnings[0].contains("nativeSidecars: true"), "{:?}", classic.warnings);
    }
}

mod pod {
    use super::*;

    #[test]
    fn native_sidecars_come_before_the_users_init_containers() {
        let mut pod = web(&[]);
        pod["spec"]["initContainers"] = json!([{ "name": "migrate", "image": "m" }]);
        let pod = ask(&pod, &json!({})).pod();
        assert_eq!(names(&pod["spec"]["initContainers"]), [INIT, ENVOY, LIFECYCLE, "migrate"]);
        assert_eq!(names(&pod["spec"]["containers"]), ["web"]);
        assert_eq!(container(&pod, INIT).get("restartPolicy"), None);
        for sidecar in [ENVOY, LIFECYCLE] {
            assert_eq!(container(&pod, sidecar)["restartPolicy"], "Always");
        }
        // The kubelet starts the containers after the lifecycle sidecar once its hook has returned.
        assert_eq!(container(&pod, ENVOY).get("startupProbe"), None);
        let lifecycle = container(&pod, LIFECYCLE);
        assert!(lifecycle["lifecycle"]["postStart"]["exec"]["command"].is_array());
        assert_eq!(environment(lifecycle)["CONNECT_INJECT_ENVOY_PORT"], "20000");
    }

    #[test]
    fn envoys_metrics_are_on_the_pods_address_where_the_annotation_or_the_setting_asks() {
        let setting = json!({ "metrics": { "defaultEnabled": true } });
        let on = [("enable-metrics", "true")];
        for (annotations, settings) in [(&on[..], &json!({})), (&[], &setting)] {
            let answer = ask(&web(annotations), settings);
            assert_eq!(answer.warnings, [""; 0]);
            let pod = answer.pod();
            let config = &registration(&pod).1["proxy"]["config"];
            assert_eq!(*config, json!({ "envoy_prometheus_bind_addr": "198.18.0.7:20200" }));
            let annotations = &pod["metadata"]["annotations"];
            let [scrape, port, path] =
                ["scrape", "port", "path"].map(|name| &annotations[format!("prometheus.io/{name}")]);
            assert_eq!([scrape, port, path], ["true", "20200", "/metrics"]);
            let port = json!({ "name": "prometheus", "containerPort": 20200, "protocol": "TCP" });
            assert_eq!(container(&pod, ENVOY)["ports"], json!([port]));
            assert_eq!(environment(container(&pod, INIT)).get("CONNECT_INJECT_SCRAPE_PATH"), None);
        }
        for (annotations, settings) in [(&[][..], &json!({})), (&[("enable-metrics", "false")], &setting)] {
            let pod = ask(&web(annotations), settings).pod();
            assert_eq!(registration(&pod).1["proxy"].get("config"), None);
            assert_eq!(pod["metadata"]["annotations"].get("prometheus.io/scrape"), None);
            assert_eq!(container(&pod, ENVOY).get("ports"), None);
        }
    }

    #[test]
    fn port_and_path_of_envoys_metrics() {
        let annotations = [
            ("enable-metrics", "true"),
            ("prometheus-scrape-port", "20000"),
            ("prometheus-scrape-path", "/a$(POD_IP)"),
        ];
        let settings = json!({ "acls": { "enabled": true }, "metrics": { "defaultPrometheusScrapePort": 9102, "defaultPrometheusScrapePath": "/b" } });
        let pod = ask(&web(&annotations), &settings).pod();
        let (_, proxy) = registration(&pod);
        assert_eq!(proxy["proxy"]["config"]["envoy_prometheus_bind_addr"], "198.18.0.7:20000");
        assert_eq!(proxy["port"], 20001, "the mesh's way in is another port");
        assert_eq!(pod["metadata"]["annotations"]["prometheus.io/path"], "/a$(POD_IP)");
        // With ACLs both write Envoy's bootstrap.
        for name in [INIT, LIFECYCLE] {
            let variables = environment(container(&pod, name));
            assert_eq!(variables["CONNECT_INJECT_SCRAPE_PATH"], "/a$(POD_IP)", "{name}");
        }
        let pod = ask(&web(&annotations[..1]), &settings).pod();
        let annotations = &pod["metadata"]["annotations"];
        assert_eq!(
            (&annotations["prometheus.io/port"], &annotations["prometheus.io/path"]),
            (&json!("9102"), &json!("/b"))
        );
    }

    #[test]
    fn a_port_for_envoys_metrics_that_the_pod_uses() {
        let upstreams = ("connect-service-upstreams", "db:20200, cache:20201");
        let answer = ask(&web(&[("enable-metrics", "true"), upstreams]), &json!({}));
        assert_eq!(answer.pod()["metadata"]["annotations"]["prometheus.io/port"], "20202");
        let told =
            "Envoy's metrics use port 20202, because port 20200 is used by the pod or one of its upstreams";
        assert!(answer.warnings[0].starts_with(told), "{:?}", answer.warnings);
        let written = ("prometheus-scrape-port", "20200");
        let answer = ask(&web(&[("enable-metrics", "true"), upstreams, written]), &json!({}));
        let told = "prometheus-scrape-port: invalid value \"20200\": is already used by the pod or by one of its upstreams";
        assert!(answer.message().contains(told), "{}", answer.message());
        assert!(ask(&web(&[upstreams, written]), &json!({})).accepted, "without metrics it does no harm");
    }

    #[test]
    fn a_pods_own_annotations_for_prometheus_are_replaced_with_a_warning() {
        let mut pod = web(&[("enable-metrics", "true")]);
        for (name, value) in [("scrape", "true"), ("port", "9090"), ("path", "/metrics")] {
            pod["metadata"]["annotations"][format!("prometheus.io/{name}")] = json!(value);
        }
        let answer = ask(&pod, &json!({}));
        let told = "annotation prometheus.io/port: \"9090\" is replaced by 20200";
        assert!(answer.warnings.len() == 1 && answer.warnings[0].starts_with(told), "{:?}", answer.warnings);
        assert_eq!(answer.pod()["metadata"]["annotations"]["prometheus.io/port"], "20200");
    }

    #[test]
    fn ordinary_sidecars_come_after_the_users_containers() {
        let mut pod = web(&[]);
        pod["spec"]["initContainers"] = json!([{ "name": "migrate", "image": "m" }]);
        let pod = ask(&pod, &json!({ "nativeSidecars": false })).pod();
        assert_eq!(names(&pod["spec"]["initContainers"]), [INIT, "migrate"]);
        assert_eq!(names(&pod["spec"]["containers"]), ["web", LIFECYCLE, ENVOY]);
        for sidecar in [ENVOY, LIFECYCLE] {
            assert_eq!(container(&pod, sidecar).get("restartPolicy"), None);
            assert!(container(&pod, sidecar)["lifecycle"]["preStop"]["exec"]["command"].is_array());
        }
    }

    /// The policy writes its additions as JSON; they must match the types of Kubernetes.
    #[test]
    fn every_addition_is_what_kubernetes_own_types_know() {
        let everything = json!({
            "nativeSidecars": false, "imagePullPolicy": "Always", "enableConsulNamespaces": true,
            "acls": { "enabled": true }, "sidecarProxy": { "resources": { "limits": { "cpu": 1 } } }
        });
        for settings in [json!({}), json!({ "openshift": true }), everything] {
            let pod = ask(&web(&[("connect-service-upstreams", "db:1234")]), &settings).pod();
            let known: k8s_openapi::api::core::v1::Pod = serde_json::from_value(pod.clone()).unwrap();
            let known = serde_json::to_value(known).unwrap();
            // Unknown or mistyped fields would be lost or changed.
            for name in INJECTED {
                assert_eq!(container(&pod, name), container(&known, name), "{settings}");
            }
            assert_eq!(pod["spec"]["volumes"], known["spec"]["volumes"], "{settings}");
            assert_eq!(pod["metadata"], known["metadata"], "{settings}");
        }
    }

    /// <https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted>
    #[test]
    fn injected_containers_fit_into_a_restricted_namespace() {
        for (native, openshift) in [(true, false), (false, false), (true, true), (false, true)] {
            let settings = json!({ "nativeSidecars": native, "openshift": openshift });
            let pod = ask(&web(&[]), &settings).pod();
            for name in INJECTED {
                let ids = if openshift { Value::Null } else { json!(5995) };
                let context = &container(&pod, name)["securityContext"];
                assert_eq!(context["allowPrivilegeEscalation"], false, "{name} {settings}");
                assert_eq!(context["capabilities"], json!({ "drop": ["ALL"] }), "{name}");
                // OpenShift's SCC sets it, and some SCCs reject a pod that sets it.
                let profile = if openshift { Value::Null } else { json!({ "type": "RuntimeDefault" }) };
                assert_eq!(context["seccompProfile"], profile, "{name}");
                assert_eq!(context["runAsNonRoot"], true, "{name}");
                assert_eq!(context["readOnlyRootFilesystem"], true, "{name}");
                assert_eq!(
                    (&context["runAsUser"], &context["runAsGroup"]),
                    (&ids, &ids),
                    "{name} {settings}"
                );
            }
            assert_eq!(pod["spec"].get("securityContext"), None, "the pod's own fields are never changed");
        }
    }

    #[test]
    fn only_the_containers_that_log_in_see_the_token_and_none_sees_the_apps() {
        let usual = "/var/run/secrets/kubernetes.io/serviceaccount";
        for (settings, logs_in) in [
            (json!({}), "consul-connect-inject-no-token"),
            (json!({ "acls": { "enabled": true } }), "consul-connect-inject-token"),
        ] {
            let pod = ask(&web(&[]), &settings).pod();
            let mounted = |name: &str| {
                let mounts = container(&pod, name)["volumeMounts"].as_array().unwrap().clone();
                mounts.into_iter().find(|mount| mount["mountPath"] == usual).unwrap()["name"].clone()
            };
            assert_eq!(mounted(INIT), logs_in);
            assert_eq!(mounted(LIFECYCLE), logs_in);
            assert_eq!(mounted(ENVOY), "consul-connect-inject-no-token");
            assert_eq!(container(&pod, "web").get("volumeMounts"), None);
        }
        let volumes = ask(&web(&[]), &json!({})).pod()["spec"]["volumes"].clone();
        assert_eq!(volumes[0]["emptyDir"], json!({ "medium": "Memory" }));
    }

    #[test]
    fn an_envoy_that_can_takes_its_token_from_a_file_and_needs_no_restart() {
        for (acls, image, told) in [
            (true, "envoyproxy/envoy:v1.34.1", true),
            (true, "envoyproxy/envoy:distroless-v1.36.4", true),
            (true, "envoyproxy/envoy:v1.33.9", false),
            (true, "envoyproxy/envoy:latest", false),
            (false, "envoyproxy/envoy:v1.36.4", false),
        ] {
            let settings = json!({ "imageEnvoy": image, "acls": { "enabled": acls } });
            let pod = ask(&web(&[]), &settings).pod();
            for name in [INIT, LIFECYCLE] {
                let variables = environment(container(&pod, name));
                let said = variables.get("CONNECT_INJECT_ENVOY_TOKEN_FILE").map(String::as_str);
                assert_eq!(said, told.then_some("1"), "{name}: {settings}");
            }
        }
    }

    /// A function from each optional part of the scripts.
    const PARTS: [&str; 7] = [
        "login",
        "renew_token",
        "inject_token",
        "tls_trouble",
        "namespace_exists",
        "service_defaults",
        "listening",
    ];

    /// Those in the scripts of the init container and the lifecycle sidecar.
    fn parts(pod: &Value) -> Vec<&'static str> {
        let commands = [INIT, LIFECYCLE].map(|name| container(pod, name)["command"].to_string()).concat();
        PARTS.into_iter().filter(|part| commands.contains(&format!("\\n{part}() {{"))).collect()
    }

    /// Settings that enable the parts of the scripts one by one, with the parts.
    fn settings_with_scripts() -> [(Value, &'static [&'static str]); 6] {
        let certificate = "-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n";
        [
            (json!({}), &[]),
            (json!({ "acls": { "enabled": true } }), &["login", "renew_token", "inject_token"]),
            (
                json!({ "acls": { "enabled": true }, "imageEnvoy": "envoyproxy/envoy:v1.33.9" }),
                &["login", "renew_token"],
            ),
            (json!({ "tls": { "enabled": true, "caCert": certificate } }), &["tls_trouble"]),
            (json!({ "enableConsulNamespaces": true }), &["namespace_exists"]),
            (json!({ "centralConfig": { "defaultProtocol": "http" } }), &["service_defaults"]),
        ]
    }

    /// All of them except the one for old versions of Envoy.
    fn settings_with_all_scripts() -> Value {
        let all =
            settings_with_scripts().into_iter().filter(|(settings, _)| settings.get("imageEnvoy").is_none());
        all.flat_map(|(settings, _)| settings.as_object().unwrap().clone()).collect()
    }

    #[test]
    fn a_pod_carries_only_the_scripts_of_what_is_configured() {
        for (settings, own) in settings_with_scripts() {
            assert_eq!(parts(&ask(&web(&[]), &settings).pod()), [own, &["listening"]].concat(), "{settings}");
        }
        assert_eq!(parts(&ask(&web(&[]), &settings_with_all_scripts()).pod()), PARTS);
        // A readiness probe is a better check than the listener.
        let mut probed = web(&[]);
        probed["spec"]["containers"][0]["readinessProbe"] = json!({ "tcpSocket": { "port": 8080 } });
        assert_eq!(parts(&ask(&probed, &json!({})).pod()), [""; 0]);
    }

    /// The kubelet expands commands, but not lifecycle hooks.
    #[test]
    fn the_scripts_reach_the_shell_as_they_are_written() {
        let lines = |text: &str| -> Vec<String> {
            let lines = text.lines().map(str::trim_start);
            lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect()
        };
        let mut seen = Vec::new();
        for native in [true, false] {
            let mut settings = settings_with_all_scripts();
            settings["nativeSidecars"] = json!(native);
            let pod = ask(&web(&[]), &settings).pod();
            for name in [INIT, LIFECYCLE, ENVOY] {
                let container = container(&pod, name);
                let known = environment(container);
                for word in container["command"].as_array().unwrap() {
                    seen.push(lines(&expand(word.as_str().unwrap(), &known)));
                }
                for hook in ["postStart", "preStop"] {
                    let words = container["lifecycle"][hook]["exec"]["command"].as_array();
                    seen.extend(words.into_iter().flatten().map(|word| lines(word.as_str().unwrap())));
                }
            }
        }
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/mode/agent/scripts");
        let scripts: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(scripts.len() >= 13, "{scripts:?}");
        for script in scripts {
            let written = lines(&fs::read_to_string(&script).unwrap());
            let arrives = seen.iter().any(|seen| seen.windows(written.len()).any(|part| part == written));
            assert!(arrives, "{}", script.display());
        }
    }

    /// Each pod contains them whenever it is parsed, compared, sent or stored.
    #[test]
    fn what_a_pod_is_given_stays_small() {
        let pod = web(&[]);
        let added = ask(&pod, &json!({})).pod().to_string().len() - pod.to_string().len();
        assert!(added < 21_000, "{added} bytes");
    }

    #[test]
    fn every_container_gets_the_variables_before_its_own() {
        let mut pod = web(&[("connect-service-upstreams", "db:2000,prepared_query:geo.x:2001,0day:2002")]);
        pod["spec"]["initContainers"] = json!([{ "name": "migrate", "image": "m" }]);
        pod["spec"]["containers"][0]["env"] = json!([{ "name": "URL", "value": "http://$(DB_CONNECT_SERVICE_HOST):$(DB_CONNECT_SERVICE_PORT)" }]);
        let pod = ask(&pod, &json!({})).pod();
        for name in ["web", "migrate"] {
            let seen = environment(container(&pod, name));
            assert_eq!(seen["DB_CONNECT_SERVICE_PORT"], "2000", "{name}");
            assert_eq!(seen["GEO_X_CONNECT_SERVICE_PORT"], "2001", "{name}");
            assert_eq!(seen["_0DAY_CONNECT_SERVICE_PORT"], "2002", "{name}");
        }
        assert_eq!(environment(container(&pod, "web"))["URL"], "http://127.0.0.1:2000");
    }

    #[test]
    fn the_documentations_envoy_arguments_run() {
        let pod =
            ask(&web(&[("envoy-extra-args", "--log-level debug --disable-hot-restart")]), &json!({})).pod();
        let arguments = envoy_arguments(&pod);
        let count = |flag: &str| arguments.iter().filter(|argument| *argument == flag).count();
        assert_eq!((count("--disable-hot-restart"), count("--concurrency")), (1, 1), "{arguments:?}");
        assert!(arguments.ends_with(&["--log-level".into(), "debug".into(), "--disable-hot-restart".into()]));
        assert_eq!(container(&pod, ENVOY)["command"], json!(["envoy"]), "no shell");
    }

    /// Envoy rejects a repeated flag.
    #[test]
    fn a_flag_of_the_users_takes_the_place_of_the_policys() {
        for (written, flag) in
            [("--concurrency 4", "--concurrency"), ("--disable-hot-restart", "--disable-hot-restart")]
        {
            for (pod, settings) in [
                (web(&[("envoy-extra-args", written)]), json!({})),
                (web(&[]), json!({ "envoyExtraArgs": written })),
            ] {
                let arguments = envoy_arguments(&ask(&pod, &settings).pod());
                let times = arguments.iter().filter(|argument| argument.starts_with(flag)).count();
                assert_eq!(times, 1, "{arguments:?}");
                assert!(arguments.join(" ").ends_with(written), "{arguments:?}");
            }
        }
    }

    /// User input reaches Consul byte for byte, despite the kubelet's expansion.
    #[test]
    fn nothing_a_user_writes_is_expanded() {
        for hostile in
            ["$(POD_IP)", "$$(POD_IP)", "$$", "$", "`id`", "$(touch /x)", "a\"}],{", "EOF\nx", "$POD_NAME "]
        {
            let pod = ask(&web(&[("service-meta-x", hostile), ("service-tags", hostile)]), &json!({})).pod();
            let (service, proxy) = registration(&pod);
            assert_eq!(service["meta"]["x"], hostile);
            assert_eq!(proxy["meta"]["x"], hostile);
            assert_eq!(service["tags"][0], hostile.split(',').next().unwrap().trim());
        }
        let pod = ask(&web(&[("envoy-extra-args", "'$(POD_IP)' '$$' '`id`'")]), &json!({})).pod();
        assert!(envoy_arguments(&pod).ends_with(&["$(POD_IP)".into(), "$$".into(), "`id`".into()]));
        let pod = ask(&web(&[("service-meta-ip", "$POD_IP")]), &json!({})).pod();
        assert_eq!(registration(&pod).0["meta"]["ip"], "198.18.0.7", "the original's idiom");
    }

    #[test]
    fn the_readiness_probe_becomes_a_check() {
        let mut pod = web(&[]);
        pod["spec"]["containers"][0]["readinessProbe"] =
            json!({ "httpGet": { "path": "/ready", "port": "admin" }, "periodSeconds": 10 });
        let injected = ask(&pod, &json!({})).pod();
        let (service, _) = registration(&injected);
        assert_eq!(service["checks"][1]["http"], "http://198.18.0.7:9090/ready");
        assert_eq!(service["checks"][1]["interval"], "2s");
        let off = ask(&pod, &json!({ "healthChecks": { "enabled": false } })).pod();
        assert_eq!(names(&registration(&off).0["checks"]), ["Pod"]);
    }

    /// An IPv6 address needs brackets before a port: `tests/scripts/init.bats` puts them there.
    #[test]
    fn what_a_check_asks_begins_with_the_pods_address() {
        for (probe, key, target) in [
            (
                json!({ "httpGet": { "path": "/a\nb\":1", "port": 8080 } }),
                "http",
                "http://198.18.0.7:8080/a%0Ab%22:1",
            ),
            (json!({ "httpGet": { "port": 8080, "scheme": "HTTPS" } }), "http", "https://198.18.0.7:8080/"),
            (json!({ "tcpSocket": { "port": 8080 } }), "tcp", "198.18.0.7:8080"),
            (json!({ "grpc": { "port": 8080, "service": "a\nb" } }), "grpc", "198.18.0.7:8080/a\nb"),
        ] {
            let mut pod = web(&[]);
            pod["spec"]["containers"][0]["readinessProbe"] = probe;
            let (service, proxy) = registration(&ask(&pod, &json!({})).pod());
            assert_eq!(service["checks"][1][key], target);
            assert_eq!(proxy["checks"][0]["tcp"], "198.18.0.7:20000");
        }
    }

    #[test]
    fn envoy_only_reads_the_shared_volume() {
        let pod = ask(&web(&[]), &json!({})).pod();
        for name in [INIT, ENVOY, LIFECYCLE] {
            let mounts = container(&pod, name)["volumeMounts"].as_array().unwrap();
            let shared = mounts.iter().find(|mount| mount["name"] == "consul-connect-inject-data").unwrap();
            assert_eq!(shared["readOnly"] == true, name == ENVOY, "{name}: {shared}");
        }
    }

    /// Consul removes the registrations of a pod whose heartbeat stops. A pod that is only not
    /// ready, or whose Envoy is down, keeps both.
    #[test]
    fn a_pod_that_vanishes_is_deregistered() {
        for (period, ttl, proxy_ttl) in [("10s", "30s", "90s"), ("1s", "11s", "13s"), ("1m", "180s", "540s")]
        {
            let pod = ask(&web(&[("connect-sync-period", period)]), &json!({})).pod();
            let (service, proxy) = registration(&pod);
            let heartbeat = &service["checks"][0];
            assert_eq!((&heartbeat["name"], &heartbeat["ttl"]), (&json!("Pod"), &json!(ttl)), "{period}");
            // As `lifecycle.sh` and `common.sh` derive them from the ID in their environment.
            let id = &environment(container(&pod, LIFECYCLE))["CONNECT_INJECT_SERVICE_ID"];
            assert_eq!(
                (&service["id"], &heartbeat["id"]),
                (&json!(id), &json!(format!("{id}-pod-198.18.0.7")))
            );
            assert_eq!(proxy["id"], json!(format!("{id}-sidecar-proxy")));
            assert_eq!(heartbeat["deregister_critical_service_after"], "10m");
            let heartbeat = &proxy["checks"][2];
            assert_eq!(
                (&heartbeat["name"], &heartbeat["ttl"]),
                (&json!("Pod"), &json!(proxy_ttl)),
                "{period}"
            );
            assert_eq!(heartbeat["id"], json!(format!("{id}-sidecar-proxy-pod-198.18.0.7")));
            for check in
                [&service, &proxy].into_iter().flat_map(|service| service["checks"].as_array().unwrap())
            {
                let goes = check["deregister_critical_service_after"].is_string();
                assert_eq!(goes, check["name"] == "Pod", "{check}");
            }
        }
    }

    /// Scripts get only the variables that they need: the login includes the name of the pod,
    /// and the lifecycle sidecar logs in only with ACLs.
    #[test]
    fn each_container_has_the_fields_of_the_pod_that_it_needs() {
        let all = ["HOST_IP", "POD_IP", "POD_NAME", "POD_NAMESPACE"];
        for (acls, lifecycle) in [(false, &["HOST_IP", "POD_IP", "POD_NAME"][..]), (true, &all[..])] {
            let pod = ask(&web(&[]), &json!({ "acls": { "enabled": acls } })).pod();
            for (name, expected) in [(INIT, &all[..]), (ENVOY, &[]), (LIFECYCLE, lifecycle)] {
                let variables = environment(container(&pod, name)).into_keys();
                let fields: Vec<_> = variables.filter(|name| !name.starts_with("CONNECT_INJECT_")).collect();
                assert_eq!(fields, expected, "{name}, acls: {acls}");
            }
        }
    }

    /// What reaches the scripts and Kubernetes for each setting and annotation:
    /// `CONNECT_INJECT_*` without the prefix, or a path in the injected container.
    /// `null` means absent; `agents` are the two containers that connect to the agent.
    const READ: &str = r#"
{}
    agents AGENT_SCHEME "http"
    agents AGENT_PORT "8500"
    init GRPC_PORT "8502"
    init ENVOY_ADMIN "19000"
    lifecycle GRPC_PORT null
    lifecycle ENVOY_ADMIN null
    agents TLS_CA null
    agents TLS_SERVER_NAME null
    agents AUTH_METHOD null
    agents NAMESPACE null
    agents LOGIN_NAMESPACE null
    agents NAMESPACE_DOCUMENT null
    agents SERVICE_DEFAULTS null
    agents LINGER null
    agents LINGER_PORT null
    lifecycle SYNC_PERIOD "10"
    lifecycle LISTENER_PORT "8080"
    agents /image "hashicorp/consul:1.22.7"
    envoy /image "envoyproxy/envoy:v1.35.9"
    envoy /env null
    envoy /args ["--config-path", "$BOOTSTRAP", "--disable-hot-restart", "--concurrency", "2"]
    all /imagePullPolicy null
    init /resources {"limits": {"memory": "250Mi"}, "requests": {"cpu": "50m", "memory": "100Mi"}}
    envoy /resources {"requests": {"cpu": "50m", "memory": "80Mi"}}
    lifecycle /resources {"limits": {"memory": "250Mi"}, "requests": {"cpu": "10m", "memory": "10Mi"}}

{"agent": {"httpPort": 8600, "httpsPort": 8601, "grpcPort": 8602}}
    agents AGENT_PORT "8600"
    init GRPC_PORT "8602"
{"tls": {"enabled": true, "caCert": "$CA"}}
    agents AGENT_SCHEME "https"
    agents AGENT_PORT "8501"
    agents TLS_SERVER_NAME null
    init TLS_CA "$CA"
    lifecycle TLS_CA null
{"tls": {"enabled": true, "caCert": "$CA"}, "agent": {"httpPort": 8600, "httpsPort": 8601}}
    agents AGENT_PORT "8601"
{"tls": {"enabled": true, "caCert": "$CA", "serverName": "client.dc1.consul"}}
    agents TLS_SERVER_NAME "client.dc1.consul"
{"tls": {"caCert": "$CA", "serverName": "client.dc1.consul"}}
    agents TLS_CA null
    agents TLS_SERVER_NAME null
{"acls": {"enabled": true}}
    agents AUTH_METHOD "consul-k8s-auth-method"
    agents LOGIN_NAMESPACE null
    agents GRPC_PORT "8502"
    agents ENVOY_ADMIN "19000"
{"acls": {"enabled": true, "authMethod": "mesh"}}
    agents AUTH_METHOD "mesh"
{"acls": {"authMethod": "mesh"}}
    agents AUTH_METHOD null

{"enableConsulNamespaces": true}
    agents NAMESPACE "default"
    agents LOGIN_NAMESPACE null
    init NAMESPACE_DOCUMENT "{'Name':'default','Description':'Auto-generated by consul-k8s','Meta':{'external-source':'kubernetes'}}"
    lifecycle NAMESPACE_DOCUMENT null
{"enableConsulNamespaces": true, "crossNamespaceACLPolicy": "cross"}
    init NAMESPACE_DOCUMENT "{'Name':'default','Description':'Auto-generated by consul-k8s','ACLs':{'PolicyDefaults':[{'Name':'cross'}]},'Meta':{'external-source':'kubernetes'}}"
{"enableConsulNamespaces": true, "acls": {"enabled": true}, "consulNamespaces": {"consulDestinationNamespace": "apps"}}
    agents NAMESPACE "apps"
    agents LOGIN_NAMESPACE "apps"
{"enableConsulNamespaces": true, "acls": {"enabled": true}, "consulNamespaces": {"mirroringK8S": true}}
    agents NAMESPACE "shop"
    agents LOGIN_NAMESPACE "default"
{"enableConsulNamespaces": true, "acls": {"enabled": true}, "consulNamespaces": {"mirroringK8S": true, "mirroringK8SPrefix": "k8s-", "consulDestinationNamespace": "apps"}}
    agents NAMESPACE "k8s-shop"
    agents LOGIN_NAMESPACE "default"
{"consulNamespaces": {"mirroringK8S": true}, "crossNamespaceACLPolicy": "cross"}
    agents NAMESPACE null
    agents NAMESPACE_DOCUMENT null

{} | {"connect-service-protocol": "grpc"}
    init SERVICE_DEFAULTS "{'Kind':'service-defaults','Name':'web','Protocol':'grpc'}"
{"centralConfig": {"defaultProtocol": "http"}}
    init SERVICE_DEFAULTS "{'Kind':'service-defaults','Name':'web','Protocol':'http'}"
    lifecycle SERVICE_DEFAULTS null
{"centralConfig": {"defaultProtocol": "http"}} | {"connect-service-protocol": "tcp"}
    init SERVICE_DEFAULTS "{'Kind':'service-defaults','Name':'web','Protocol':'tcp'}"
{"centralConfig": {"enabled": false, "defaultProtocol": "http"}}
    init SERVICE_DEFAULTS null
{"centralConfig": {"enabled": false}} | {"connect-service-protocol": "http"}
    init SERVICE_DEFAULTS null
{"enableConsulNamespaces": true} | {"connect-service-protocol": "http2"}
    init SERVICE_DEFAULTS "{'Kind':'service-defaults','Name':'web','Protocol':'http2','Namespace':'default'}"

{"syncPeriod": "1m"}
    lifecycle SYNC_PERIOD "60"
{"syncPeriod": "1m"} | {"connect-sync-period": "1500ms"}
    lifecycle SYNC_PERIOD "1.5"
{} | {"connect-service-port": "admin"}
    lifecycle LISTENER_PORT "9090"
{} | {"connect-service-port": ""}
    lifecycle LISTENER_PORT null
{} | {} | {"readinessProbe": {"tcpSocket": {"port": 8080}}}
    lifecycle LISTENER_PORT null
{} | {} | {"readinessProbe": {"exec": {"command": ["true"]}}}
    lifecycle LISTENER_PORT "8080"
{"healthChecks": {"enabled": false}} | {} | {"readinessProbe": {"tcpSocket": {"port": 8080}}}
    lifecycle LISTENER_PORT "8080"
{"nativeSidecars": false}
    init LINGER_PORT null
    envoy LINGER_PORT "8080"
    lifecycle LINGER_PORT "8080"
{"nativeSidecars": false} | {"connect-service-port": ""}
    all LINGER_PORT null

{"sidecarProxy": {"concurrency": 4}}
    envoy /args ["--config-path", "$BOOTSTRAP", "--disable-hot-restart", "--concurrency", "4"]
{"sidecarProxy": {"concurrency": 0}}
    envoy /args ["--config-path", "$BOOTSTRAP", "--disable-hot-restart"]
{"envoyExtraArgs": "-l info"}
    envoy /args ["--config-path", "$BOOTSTRAP", "--disable-hot-restart", "--concurrency", "2", "-l", "info"]
{"envoyExtraArgs": "-l info"} | {"envoy-extra-args": "--concurrency 1"}
    envoy /args ["--config-path", "$BOOTSTRAP", "--disable-hot-restart", "--concurrency", "1"]
{"envoyExtraArgs": "-l info"} | {"envoy-extra-args": ""}
    envoy /args ["--config-path", "$BOOTSTRAP", "--disable-hot-restart", "--concurrency", "2"]

{"imageConsul": "a/consul:1", "imageEnvoy": "a/envoy:2", "imagePullPolicy": "IfNotPresent"}
    agents /image "a/consul:1"
    envoy /image "a/envoy:2"
    all /imagePullPolicy "IfNotPresent"
{"imagePullPolicy": ""}
    all /imagePullPolicy null
{"initContainer": {"resources": {"requests": {"memory": "30Mi"}, "limits": {"cpu": 1}}}}
    init /resources {"limits": {"cpu": "1", "memory": "250Mi"}, "requests": {"cpu": "50m", "memory": "30Mi"}}
    lifecycle /resources {"limits": {"memory": "250Mi"}, "requests": {"cpu": "10m", "memory": "10Mi"}}
{"lifecycleSidecar": {"resources": {"requests": {"memory": "30Mi"}, "limits": {"cpu": 1}}}}
    init /resources {"limits": {"memory": "250Mi"}, "requests": {"cpu": "50m", "memory": "100Mi"}}
    lifecycle /resources {"limits": {"cpu": "1", "memory": "250Mi"}, "requests": {"cpu": "10m", "memory": "30Mi"}}
{"sidecarProxy": {"resources": {"requests": {"memory": "30Mi"}, "limits": {"cpu": 1}}}} | {"sidecar-proxy-memory-request": "40Mi"}
    envoy /resources {"limits": {"cpu": "1"}, "requests": {"cpu": "50m", "memory": "40Mi"}}
"#;

    #[test]
    fn every_setting_reaches_its_reader() {
        // Scripts and documents are JSON in JSON, which is easier to read with other quotes.
        let certificate = r"-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n";
        let bootstrap = "/consul/connect-inject/envoy-bootstrap.json";
        let table = READ.replace("$CA", certificate).replace("$BOOTSTRAP", bootstrap).replace('\'', "\\\"");
        let json =
            |text: &str| -> Value { serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}")) };
        let (mut injected, mut tested) = (Value::Null, BTreeSet::new());
        for line in table.lines().filter(|line| !line.is_empty()) {
            let Some(row) = line.strip_prefix("    ") else {
                let mut parts = line.split(" | ").map(json);
                let settings = parts.next().unwrap();
                let mut pod = web(&[]);
                for (name, value) in parts.next().iter().filter_map(Value::as_object).flatten() {
                    pod["metadata"]["annotations"][format!("{PREFIX}{name}")] = value.clone();
                }
                for (name, value) in parts.next().iter().filter_map(Value::as_object).flatten() {
                    pod["spec"]["containers"][0][name] = value.clone();
                }
                injected = ask(&pod, &settings).pod();
                continue;
            };
            let [which, place, expected] = row.splitn(3, ' ').collect::<Vec<_>>()[..] else {
                panic!("{row}")
            };
            let which: &[&str] = match which {
                "init" => &[INIT],
                "envoy" => &[ENVOY],
                "lifecycle" => &[LIFECYCLE],
                "agents" => &[INIT, LIFECYCLE],
                _ => &INJECTED,
            };
            for container in which.iter().map(|name| container(&injected, name)) {
                let variable = format!("CONNECT_INJECT_{place}");
                let found = match place.starts_with('/') {
                    true => container.pointer(place).cloned(),
                    false => environment(container).remove(&variable).map(Value::from),
                };
                assert_eq!(found.unwrap_or_default(), json(expected), "{}: {line}", container["name"]);
                tested.insert(variable);
            }
        }
        // Ordinary sidecars linger for a part of the pod's grace period.
        for (grace, most) in [(json!(60), 60), (Value::Null, 30)] {
            let mut pod = web(&[]);
            pod["spec"]["terminationGracePeriodSeconds"] = grace;
            let injected = ask(&pod, &json!({ "nativeSidecars": false })).pod();
            for name in [ENVOY, LIFECYCLE] {
                let linger =
                    environment(container(&injected, name))["CONNECT_INJECT_LINGER"].parse().unwrap();
                assert!((1..=most).contains(&linger), "{name}: {linger}");
            }
        }
        // Other variables have tests of their own.
        let others = ["REGISTRATION", "ENVOY_TOKEN_FILE", "SERVICE_ID"];
        tested.extend(others.map(|name| format!("CONNECT_INJECT_{name}")));
        let everything = json!({
            "acls": { "enabled": true }, "enableConsulNamespaces": true, "nativeSidecars": false,
            "tls": { "enabled": true, "caCert": certificate.replace("\\n", "\n"), "serverName": "a.b" },
        });
        let pod = ask(&web(&[("connect-service-protocol", "http")]), &everything).pod();
        for name in INJECTED {
            let variables = environment(container(&pod, name)).into_keys();
            let handed_over = variables.filter(|variable| variable.starts_with("CONNECT_INJECT_"));
            let untested: Vec<_> = handed_over.filter(|variable| !tested.contains(variable)).collect();
            assert_eq!(untested, [""; 0], "{name}");
        }
    }

    #[test]
    fn envoys_ports_give_way_to_the_pods() {
        let mut pod = web(&[("connect-service-upstreams", "db:20001")]);
        pod["spec"]["containers"][0]["ports"] =
            json!([{ "containerPort": 20000 }, { "containerPort": 19000 }]);
        let pod = ask(&pod, &json!({})).pod();
        let (service, proxy) = registration(&pod);
        assert_eq!((&service["port"], &proxy["port"]), (&json!(20000), &json!(20002)));
        assert_eq!(environment(container(&pod, INIT))["CONNECT_INJECT_ENVOY_ADMIN"], "19001");
        // A probe's port need not be listed.
        let mut pod = web(&[]);
        let app = &mut pod["spec"]["containers"][0];
        app["livenessProbe"] = json!({ "httpGet": { "port": 20000 } });
        app["startupProbe"] = json!({ "tcpSocket": { "port": 19000 } });
        app["readinessProbe"] = json!({ "tcpSocket": { "port": 20001, "host": "10.0.0.1" } });
        let pod = ask(&pod, &json!({})).pod();
        assert_eq!(registration(&pod).1["port"], 20001);
        assert_eq!(environment(container(&pod, INIT))["CONNECT_INJECT_ENVOY_ADMIN"], "19001");
    }
}

mod limits {
    use super::*;

    /// Linux limits a string in a process's environment to 128 KiB.
    #[test]
    fn what_fits_into_no_variable_is_refused() {
        // Both the service and the proxy have the tag.
        for (length, fits) in [(45 * 1024, true), (55 * 1024, false), (500 * 1024, false)] {
            let answer = ask(&web(&[("service-tags", &"t".repeat(length))]), &json!({}));
            assert_eq!(answer.accepted, fits, "{length}");
            if fits {
                let pod = answer.pod();
                let longest = environment(container(&pod, INIT)).values().map(String::len).max();
                assert!(longest > Some(length) && longest < Some(128 * 1024), "{longest:?}");
            } else {
                assert!(
                    answer.message().contains("the service's registration: must be at most "),
                    "{}",
                    answer.message()
                );
            }
        }
        // `$` is doubled until the kubelet's expansion.
        assert!(!ask(&web(&[("service-tags", &"$".repeat(30 * 1024))]), &json!({})).accepted);
    }

    /// Consul's limits for metadata; two of the pairs are the policy's.
    #[test]
    fn metadata_that_consul_would_refuse_is_refused() {
        let accepted = |pairs: &[(&str, &str)]| {
            let own: Vec<_> =
                pairs.iter().map(|(key, value)| (format!("service-meta-{key}"), *value)).collect();
            let own: Vec<_> = own.iter().map(|(name, value)| (name.as_str(), *value)).collect();
            let answer = ask(&web(&own), &json!({}));
            if answer.accepted {
                let (service, proxy) = registration(&answer.pod());
                for registered in [service, proxy] {
                    let meta = registered["meta"].as_object().unwrap();
                    assert!(meta.len() <= 64 && meta.len() == pairs.len() + 2, "{meta:?}");
                    assert_eq!(
                        (&meta["pod-name"], &meta["k8s-namespace"]),
                        (&json!("web-0"), &json!("shop"))
                    );
                }
            }
            answer.accepted
        };
        for (key, value, fits) in [
            ("a_B-9", "", true),
            ("pod-name", "x", false),
            ("k8s-namespace", "x", false),
            ("consul-x", "x", false),
            ("", "x", false),
            ("a.b", "x", false),
            (&"k".repeat(128), "x", true),
            (&"k".repeat(129), "x", false),
            ("x", &"v".repeat(512), true),
            ("x", &"v".repeat(513), false),
            ("x", &"\u{e9}".repeat(256), true),
            ("x", &"\u{e9}".repeat(257), false),
        ] {
            assert_eq!(accepted(&[(key, value)]), fits, "{key}: {value}");
        }
        let keys: Vec<String> = (0..63).map(|index| index.to_string()).collect();
        let pairs: Vec<_> = keys.iter().map(|key| (key.as_str(), "x")).collect();
        assert!(accepted(&pairs[..62]) && !accepted(&pairs));
    }

    #[test]
    fn two_upstreams_cannot_have_one_local_port() {
        for upstreams in
            ["a:2000,b:2000", "a:2000,a:2000:dc2", "a:2000,prepared_query:b:2000", "a:http,b:8080"]
        {
            let answer = ask(&web(&[("connect-service-upstreams", upstreams)]), &json!({}));
            assert!(!answer.accepted, "{upstreams}: {answer:?}");
            assert!(
                answer.message().contains("local port is already used by upstream \"a:"),
                "{}",
                answer.message()
            );
        }
    }

    /// Envoy gets its configuration from Consul only.
    #[test]
    fn arguments_that_would_replace_envoys_bootstrap_are_refused() {
        let (bootstrap, identity) = ("it replaces the bootstrap", "it replaces the identity");
        for (arguments, told) in [
            ("-c /x", bootstrap),
            ("-c/x", bootstrap),
            ("'-c' /x", bootstrap),
            ("'--config-path /x'", bootstrap),
            ("--config-path=/x", bootstrap),
            ("--config-yaml '{}'", bootstrap),
            ("--log-level x -c y", bootstrap),
            ("--service-node x", identity),
            ("--service-cluster x", identity),
            ("'--service-node x'", identity),
            ("--mode validate", "Envoy may exit instead of serving"),
            ("--version", "Envoy may exit instead of serving"),
            // Envoy 1.40: `--concurrency=1 -- Couldn't find match for argument`.
            ("--concurrency=1", "Envoy does not start with --concurrency and its value in one word"),
        ] {
            let answer = ask(&web(&[("envoy-extra-args", arguments)]), &json!({}));
            assert!(answer.message().contains(told), "{arguments}");
            let answer = check_settings(&json!({ "envoyExtraArgs": arguments }));
            assert!(answer.message.unwrap().contains(told), "{arguments}");
        }
    }

    #[test]
    fn ports_of_init_containers_are_the_pods_too() {
        let mut pod = web(&[]);
        pod["spec"]["initContainers"] = json!([
            { "name": "a", "ports": [{ "containerPort": 20000 }] },
            { "name": "b", "ports": [{ "containerPort": 19000 }], "restartPolicy": "Always" },
        ]);
        let pod = ask(&pod, &json!({})).pod();
        assert_eq!(registration(&pod).1["port"], 20001);
        assert_eq!(environment(container(&pod, INIT))["CONNECT_INJECT_ENVOY_ADMIN"], "19001");
    }
}

mod lossless {
    use super::*;

    #[test]
    fn unchanged_text_comes_back_as_it_was_written() {
        let future = r#""future":[1E5, 1.10, 123456789012345678901234567890, "\u0041"]"#;
        let pod = web(&[]).to_string().replacen('{', &format!("{{{future},"), 1);
        let response = policy().call("validate", payload("shop", &pod, "{}").as_bytes()).unwrap();
        let response = String::from_utf8(response).unwrap();
        assert!(response.contains("mutated_object") && response.contains(future), "{response:.500}");
    }

    #[test]
    fn missing_null_and_empty_lists_all_take_the_additions() {
        for (volumes, init, annotations) in [
            (Value::Null, Value::Null, Value::Null),
            (json!([]), json!([]), json!({})),
            (json!([{ "name": "v" }]), json!([{ "name": "i" }]), json!({ "a": "b" })),
        ] {
            let mut pod = plain();
            pod["spec"]["volumes"] = volumes.clone();
            pod["spec"]["initContainers"] = init;
            pod["metadata"]["annotations"] = annotations.clone();
            let out = ask(&pod, &json!({ "default": true })).pod();
            assert!(names(&out["spec"]["volumes"]).contains(&"consul-connect-inject-data"));
            assert_eq!(names(&out["spec"]["initContainers"])[0], INIT);
            let status = &out["metadata"]["annotations"]["consul.hashicorp.com/connect-inject-status"];
            assert_eq!(status, "injected");
        }
    }
}

mod workloads {
    use super::*;

    fn workload(group: &str, kind: &str, own: Value, template: &Value) -> Value {
        let mut object = json!({ "kind": kind, "metadata": { "name": "web", "annotations": own } });
        let template = json!({ "metadata": template["metadata"], "spec": template["spec"] });
        if kind == "CronJob" {
            object["spec"]["jobTemplate"]["spec"]["template"] = template;
        } else {
            object["spec"]["template"] = template;
        }
        json!({
            "uid": "u", "kind": { "group": group, "version": "v1", "kind": kind },
            "operation": "CREATE", "namespace": "shop", "object": object,
        })
    }

    const KINDS: [(&str, &str); 7] = [
        ("apps", "Deployment"),
        ("apps", "StatefulSet"),
        ("apps", "DaemonSet"),
        ("apps", "ReplicaSet"),
        ("", "ReplicationController"),
        ("batch", "Job"),
        ("batch", "CronJob"),
    ];

    #[test]
    fn the_common_mistake_is_accepted_with_the_place_where_it_belongs() {
        let own = json!({ "consul.hashicorp.com/connect-inject": "true" });
        for (group, kind) in KINDS {
            let answer = ask_request(&workload(group, kind, own.clone(), &plain()), &json!({}));
            assert_eq!(answer.reason(), "workload-accepted", "{kind}");
            let flow = r#"metadata: {annotations: {"consul.hashicorp.com/connect-inject": "true"}}"#;
            assert!(answer.warnings.len() == 1 && answer.warnings[0].contains(flow), "{:?}", answer.warnings);
            assert!(answer.warnings[0].contains("template: {"), "{:?}", answer.warnings);
            // No warning if the template has it, too.
            let both = ask_request(&workload(group, kind, own.clone(), &web(&[])), &json!({}));
            assert_eq!(both.warnings, [""; 0], "{kind}");
        }
    }

    #[test]
    fn the_place_that_is_shown_can_be_copied_or_is_only_named() {
        let warnings = |name: &str, value: &str| {
            let own = json!({ format!("{PREFIX}{name}"): value });
            ask_request(&workload("apps", "Deployment", own, &plain()), &json!({})).warnings
        };
        let shown = |name: &str, value: &str| {
            let warnings = warnings(name, value);
            let (_, yaml) = warnings[0].split_once("template: ").unwrap_or_else(|| panic!("{warnings:?}"));
            let yaml = documents::parse_one(yaml).unwrap();
            yaml["spec"]["template"]["metadata"]["annotations"].clone()
        };
        for value in ["db:1234, cache:2345:dc2", "a \"b\" 'c' \\ #", "true", ""] {
            let name = format!("{PREFIX}connect-service");
            assert_eq!(shown("connect-service", value), json!({ name: value }));
        }
        let right = format!("{PREFIX}connect-inject");
        assert_eq!(shown("connect-injct", "true"), json!({ right: "true" }), "a typo is not copied");
        // Characters without an escape in YAML are not shown.
        let odd = warnings("connect-service", "a\u{202e}b");
        assert!(odd[0].ends_with("move it to spec.template.metadata.annotations"), "{odd:?}");
        let long = warnings("connect-service-upstreams", &"db:1234,".repeat(40));
        assert!(long[0].ends_with("move it to spec.template.metadata.annotations"), "{long:?}");
        let status = warnings("connect-inject-status", "injected");
        assert!(status[0].contains("remove it"), "on the template it would keep the pods out: {status:?}");
    }

    /// The message does not suggest moving an annotation that would get a warning there.
    #[test]
    fn a_name_that_has_no_effect_in_the_template_is_not_sent_there() {
        for (name, told) in [
            (
                "transparent-proxy",
                Some(
                    "annotation consul.hashicorp.com/transparent-proxy is not supported in mode agent, only in mode \
                  dataplane, and has no effect; remove it",
                ),
            ),
            ("foo-bar-baz", None),
            ("config-checksum", None),
        ] {
            let own = json!({ format!("{PREFIX}{name}"): "x" });
            for template in [plain(), web(&[])] {
                let request = workload("apps", "Deployment", own.clone(), &template);
                let warnings = ask_request(&request, &json!({})).warnings;
                assert_eq!(warnings.first().map(String::as_str), told, "{name}");
                assert!(warnings.len() <= 1, "{warnings:?}");
            }
        }
    }

    #[test]
    fn an_annotation_on_the_job_template_of_a_cron_job_has_no_effect() {
        let mut request = workload("batch", "CronJob", json!({}), &plain());
        request["object"]["spec"]["jobTemplate"]["metadata"] =
            json!({ "annotations": { format!("{PREFIX}connect-inject"): "true" } });
        let warnings = ask_request(&request, &json!({})).warnings;
        let beginning = "an annotation on spec.jobTemplate itself has no effect; write it in the pod template: \
            spec: {jobTemplate: {spec: {template: {metadata: {annotations: ";
        assert!(warnings.len() == 1 && warnings[0].starts_with(beginning), "{warnings:?}");
    }

    #[test]
    fn a_field_is_named_by_its_place_in_the_workload() {
        let mut template = web(&[]);
        template["spec"]["hostNetwork"] = json!(true);
        template["spec"]["os"] = json!({ "name": "windows" });
        template["spec"]["serviceAccountName"] = json!("other");
        template["spec"]["volumes"] = json!([{ "name": "consul-connect-inject-data" }]);
        template["spec"]["containers"].as_array_mut().unwrap().push(json!({ "name": ENVOY }));
        let acls = json!({ "acls": { "enabled": true } });
        for (group, kind) in KINDS {
            let place = if kind == "CronJob" { "spec.jobTemplate.spec.template" } else { "spec.template" };
            let answer = ask_request(&workload(group, kind, json!({}), &template), &acls);
            for field in
                ["hostNetwork", "os.name", "containers[1].name", "volumes[0].name", "serviceAccountName"]
            {
                let line = format!("- {place}.spec.{field}: ");
                assert!(answer.message().contains(&line), "{line}{}", answer.message());
            }
            assert_eq!(answer.message().lines().count(), 6, "{}", answer.message());
        }
        template["spec"]["containers"] = json!([{ "name": "-" }]);
        let answer = ask_request(&workload("apps", "Deployment", json!({}), &template), &json!({}));
        let told =
            "spec.template.spec.containers[0].name: invalid value \"-\": as the default service name, must";
        assert!(answer.message().contains(told), "{}", answer.message());
    }

    #[test]
    fn a_template_whose_pods_would_be_rejected_is_rejected_at_once() {
        let bad = web(&[("connect-service-port", "nope"), ("connect-service-upstreams", "db")]);
        for (group, kind) in KINDS {
            let answer = ask_request(&workload(group, kind, json!({}), &bad), &json!({}));
            assert_eq!((answer.reason(), answer.code), ("workload-rejected", Some(422)), "{kind}");
            let problems =
                |answer: &Answer| answer.message().lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
            assert_eq!(problems(&answer), problems(&ask(&bad, &json!({}))), "the pod's own problems, {kind}");
        }
    }

    #[test]
    fn an_update_of_what_was_wrong_before_only_warns() {
        let bad = web(&[("connect-service-port", "nope")]);
        let mut request = workload("apps", "Deployment", json!({}), &bad);
        request["operation"] = json!("UPDATE");
        request["oldObject"] = request["object"].clone();
        let answer = ask_request(&request, &json!({}));
        assert_eq!(answer.reason(), "workload-accepted");
        assert!(answer.warnings[0].contains("connect-service-port"), "{:?}", answer.warnings);

        let worse = web(&[("connect-service-port", "nope"), ("connect-service-upstreams", "db")]);
        // The remedy lists the pod's ports: another port must not count as a new problem.
        let mut with_port = bad.clone();
        with_port["spec"]["containers"][0]["ports"][0]["name"] = json!("web");
        request["object"] = workload("apps", "Deployment", json!({}), &with_port)["object"].clone();
        assert_eq!(ask_request(&request, &json!({})).reason(), "workload-accepted");
        request["object"] = workload("apps", "Deployment", json!({}), &worse)["object"].clone();
        assert_eq!(ask_request(&request, &json!({})).reason(), "workload-rejected", "a new problem rejects");
        // The position in a list does not matter.
        let mut with_volume = web(&[]);
        with_volume["spec"]["volumes"] = json!([{ "name": "consul-connect-inject-data" }]);
        request["oldObject"] = workload("apps", "Deployment", json!({}), &with_volume)["object"].clone();
        with_volume["spec"]["volumes"].as_array_mut().unwrap().insert(0, json!({ "name": "z" }));
        request["object"] = workload("apps", "Deployment", json!({}), &with_volume)["object"].clone();
        assert_eq!(ask_request(&request, &json!({})).reason(), "workload-accepted");
    }

    /// The API server sets default requests in pods, but not in templates.
    #[test]
    fn a_template_is_held_against_the_requests_that_its_pods_will_have() {
        let mut template = web(&[]);
        template["spec"]["resources"] = json!({ "limits": { "memory": "200Mi" } });
        template["spec"]["containers"][0]["resources"] = json!({ "requests": { "memory": "64Mi" } });
        let answer = ask_request(&workload("apps", "Deployment", json!({}), &template), &json!({}));
        assert_eq!(answer.reason(), "workload-rejected");
        let told = "spec.template.spec.resources.requests[memory]: is not set and defaults to 64Mi";
        assert!(answer.message().contains(told), "{}", answer.message());
        template["spec"]["resources"]["requests"] = json!({ "memory": "154Mi" });
        let answer = ask_request(&workload("apps", "Deployment", json!({}), &template), &json!({}));
        assert_eq!(answer.reason(), "workload-accepted", "{answer:?}");
    }

    #[test]
    fn with_acls_a_template_is_held_against_its_service_account() {
        let acls = json!({ "acls": { "enabled": true } });
        let mut template = web(&[]);
        assert!(ask_request(&workload("apps", "Deployment", json!({}), &template), &acls).accepted);
        let spec = template["spec"].as_object_mut().unwrap();
        spec.remove("serviceAccountName");
        spec.insert("serviceAccount".into(), json!("web"));
        assert!(ask_request(&workload("apps", "Deployment", json!({}), &template), &acls).accepted);
        template["spec"].as_object_mut().unwrap().remove("serviceAccount");
        let answer = ask_request(&workload("apps", "Deployment", json!({}), &template), &acls);
        assert!(
            answer.message().contains("invalid value \"default\": must be the service name"),
            "{}",
            answer.message()
        );
    }
}
