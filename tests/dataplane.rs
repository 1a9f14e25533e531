//! Dataplane mode of the built `policy.wasm`: injected pods, problems and warnings.
//! `tests/dataplane_conformance.rs` compares it with the chart's webhook.

mod support;

use serde_json::{Value, json};
use support::{Answer, PREFIX, container, containers, names, payload, policy, web};

const INIT: &str = "consul-connect-inject-init";
const SIDECAR: &str = "consul-dataplane";
const CA: &str = "-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n";

/// Creates a pod in the namespace `shop` with these settings.
fn ask(pod: &Value, settings: Value) -> Answer {
    support::ask(pod, &dataplane(settings))
}

fn dataplane(mut settings: Value) -> Value {
    settings["mode"] = json!("dataplane");
    settings
}

fn injected(annotations: &[(&str, &str)], settings: Value) -> Value {
    ask(&web(annotations), settings).pod()
}

fn annotation<'p>(pod: &'p Value, name: &str) -> &'p str {
    let value = &pod["metadata"]["annotations"][format!("{PREFIX}{name}")];
    value.as_str().unwrap_or_else(|| panic!("no {name}: {pod:#}"))
}

fn words<'c>(container: &'c Value, field: &str) -> Vec<&'c str> {
    container[field].as_array().into_iter().flatten().map(|word| word.as_str().unwrap()).collect()
}

/// The value of a variable.
fn variable<'c>(container: &'c Value, name: &str) -> &'c Value {
    let variables = container["env"].as_array().into_iter().flatten();
    variables
        .filter(|variable| variable["name"] == name)
        .map(|variable| &variable["value"])
        .next()
        .unwrap_or(&Value::Null)
}

/// The settings' problems.
fn refusal(settings: Value) -> String {
    let answer = policy().validate_settings(&dataplane(settings)).unwrap();
    answer.message.unwrap_or_default()
}

mod the_pod {
    use super::*;

    #[test]
    fn hello_world_in_the_default_installation() {
        let answer = ask(&web(&[]), json!({}));
        let pod = answer.pod();
        assert_eq!(answer.warnings, [""; 0]);
        assert_eq!(names(&pod["spec"]["initContainers"]), [INIT, SIDECAR]);
        assert_eq!(names(&pod["spec"]["containers"]), ["web"]);
        assert_eq!(container(&pod, SIDECAR)["restartPolicy"], "Always");
        let init = container(&pod, INIT);
        assert_eq!(words(init, "command"), ["consul-k8s-control-plane"]);
        assert_eq!(
            words(init, "args"),
            [
                "connect-init",
                "-pod-name=$(POD_NAME)",
                "-pod-namespace=$(POD_NAMESPACE)",
                "-log-level=info",
                "-log-json=false"
            ]
        );
        assert_eq!(init["securityContext"]["capabilities"]["add"], json!(["NET_ADMIN"]));
        assert_eq!(
            pod["metadata"]["labels"][format!("{PREFIX}connect-inject-managed-by")],
            "consul-k8s-endpoints-controller"
        );
        for (name, value) in [
            ("connect-inject-status", "injected"),
            ("connect-service-port", "http,admin"),
            ("transparent-proxy", "true"),
            ("transparent-proxy-overwrite-probes", "true"),
            ("enable-metrics", "false"),
            ("enable-sidecar-proxy-lifecycle", "true"),
            ("sidecar-proxy-lifecycle-shutdown-grace-period-seconds", "30"),
            ("consul-k8s-version", "v2.0.3"),
            ("original-pod", "{}"),
        ] {
            assert_eq!(annotation(&pod, name), value, "{name}");
        }
        assert_eq!(pod["metadata"]["annotations"]["kubectl.kubernetes.io/default-container"], "web");
    }

    #[test]
    fn no_injected_container_runs_a_shell() {
        for settings in [json!({}), json!({ "nativeSidecars": false, "acls": { "enabled": true } })] {
            let pod = injected(
                &[("connect-service", "web"), ("envoy-extra-args", "--service-zone '$(POD_NAME) `id`'")],
                settings,
            );
            for name in [INIT, SIDECAR] {
                let container = container(&pod, name);
                assert!(!container.to_string().contains("/bin/sh"), "{container:#}");
            }
            // The kubelet must not expand the user's text.
            assert!(words(container(&pod, SIDECAR), "args").contains(&"$$(POD_NAME) `id`"));
        }
    }

    #[test]
    fn the_order_of_containers() {
        let mut pod = web(&[]);
        pod["spec"]["initContainers"] = json!([{ "name": "migrate", "image": "m" }]);
        let native = ask(&pod, json!({})).pod();
        assert_eq!(names(&native["spec"]["initContainers"]), [INIT, SIDECAR, "migrate"]);
        let ordinary = ask(&pod, json!({ "nativeSidecars": false })).pod();
        assert_eq!(names(&ordinary["spec"]["initContainers"]), ["migrate", INIT]);
        assert_eq!(names(&ordinary["spec"]["containers"]), [SIDECAR, "web"]);
        let lifecycle = json!({ "lifecycle": { "defaultEnabled": false } });
        let ordinary = ask(&pod, json!({ "nativeSidecars": false, "sidecarProxy": lifecycle })).pod();
        assert_eq!(names(&ordinary["spec"]["containers"]), ["web", SIDECAR]);
        let by_annotation = injected(&[("enable-consul-dataplane-as-sidecar", "false")], json!({}));
        assert_eq!(names(&by_annotation["spec"]["containers"]), [SIDECAR, "web"]);
    }

    #[test]
    fn a_namespace_that_enforces_restricted_takes_it_with_the_cni_plugin_or_without_transparent_proxy() {
        for settings in [
            json!({ "cni": { "enabled": true } }),
            json!({ "transparentProxy": { "defaultEnabled": false } }),
        ] {
            let pod = injected(&[], settings);
            for name in [INIT, SIDECAR] {
                let context = &container(&pod, name)["securityContext"];
                assert_eq!(context["runAsNonRoot"], true, "{name}");
                assert_eq!(context["allowPrivilegeEscalation"], false, "{name}");
                assert_eq!(context["capabilities"], json!({ "drop": ["ALL"] }), "{name}");
                assert_eq!(context["seccompProfile"]["type"], "RuntimeDefault", "{name}");
            }
            assert_eq!(container(&pod, INIT)["securityContext"]["runAsUser"], 5996);
        }
    }

    #[test]
    fn the_cni_plugin_reads_the_redirection_from_the_pod() {
        let excluded = [
            ("transparent-proxy-exclude-inbound-ports", " admin , 7 "),
            ("transparent-proxy-exclude-uids", "1000"),
        ];
        let pod = injected(&excluded, json!({ "cni": { "enabled": true } }));
        assert_eq!(annotation(&pod, "transparent-proxy-status"), "enabled");
        let config: Value = serde_json::from_str(annotation(&pod, "redirect-traffic-config")).unwrap();
        assert_eq!(config["ExcludeInboundPorts"], json!(["9090", "7"]));
        assert_eq!(config["ExcludeUIDs"], json!(["5996", "1000"]));
        assert_eq!(config["ProxyUserID"], "5995");
        assert!(config["IptablesProvider"].is_null());
        assert!(variable(container(&pod, INIT), "CONSUL_REDIRECT_TRAFFIC_CONFIG").is_null());
    }

    #[test]
    fn probes_ask_envoy_and_the_controller_learns_what_they_asked() {
        let mut pod = web(&[]);
        let probe = json!({ "httpGet": { "path": "/health", "port": "http" }, "periodSeconds": 3 });
        pod["spec"]["containers"][0]["readinessProbe"] = probe.clone();
        pod["spec"]["containers"]
            .as_array_mut()
            .unwrap()
            .push(json!({ "name": "side", "livenessProbe": probe }));
        let after = ask(&pod, json!({ "nativeSidecars": false })).pod();
        let (web, side) = (container(&after, "web"), container(&after, "side"));
        assert_eq!(
            web["readinessProbe"],
            json!({ "httpGet": { "path": "/health", "port": 20400 }, "periodSeconds": 3 })
        );
        assert_eq!(side["livenessProbe"]["httpGet"]["port"], 20301);
        let config: Value = serde_json::from_str(
            variable(container(&after, INIT), "CONSUL_REDIRECT_TRAFFIC_CONFIG").as_str().unwrap(),
        )
        .unwrap();
        assert_eq!(config["ExcludeInboundPorts"], json!(["20400", "20301"]));
        let original: Value = serde_json::from_str(annotation(&after, "original-pod")).unwrap();
        assert_eq!(
            original,
            json!({ "spec": { "containers": [
                { "name": "web", "ports": [{ "name": "http", "containerPort": 8080 }, { "name": "admin", "containerPort": 9090 }],
                  "readinessProbe": { "httpGet": { "port": "http" } } },
                { "name": "side", "livenessProbe": { "httpGet": { "port": "http" } } },
            ] } })
        );
        let kept = ask(&pod, json!({ "transparentProxy": { "defaultOverwriteProbes": false } })).pod();
        assert_eq!(container(&kept, "web")["readinessProbe"], probe);
    }

    #[test]
    fn a_job_ends_with_its_app() {
        let mut pod = web(&[]);
        pod["metadata"]["ownerReferences"] =
            json!([{ "kind": "Job", "apiVersion": "batch/v1", "name": "x", "uid": "u" }]);
        pod["spec"]["restartPolicy"] = json!("Never");
        let settings = json!({ "sidecarProxy": { "defaultLivenessFailureSeconds": 60 } });
        let answer = ask(&pod, settings.clone());
        let after = answer.pod();
        let sidecar = container(&after, SIDECAR);
        assert!(words(sidecar, "args").contains(&"-shutdown-grace-period-seconds=0"));
        assert!(sidecar["livenessProbe"].is_null());
        assert_eq!(answer.warnings, [""; 0]);
        let mut ordinary = settings;
        ordinary["nativeSidecars"] = json!(false);
        assert!(ask(&pod, ordinary).warnings.iter().any(|warning| warning.contains("runs to completion")));
    }

    #[test]
    fn dns_through_consul_needs_name_servers() {
        assert!(injected(&[], json!({}))["spec"]["dnsConfig"].is_null());
        let settings = json!({ "dns": { "nameservers": ["10.96.0.10"], "searches": ["corp.example"] } });
        let pod = injected(&[], settings.clone());
        assert_eq!(pod["spec"]["dnsPolicy"], "None");
        assert_eq!(
            pod["spec"]["dnsConfig"],
            json!({ "nameservers": ["127.0.0.1", "10.96.0.10"], "options": [{ "name": "ndots", "value": "5" }],
                "searches": ["shop.svc.cluster.local", "svc.cluster.local", "cluster.local", "corp.example"] })
        );
        assert!(injected(&[("consul-dns", "false")], settings)["spec"]["dnsConfig"].is_null());
        let answer = ask(&web(&[("consul-dns", "true")]), json!({}));
        assert!(answer.message().contains(
            "the policy's setting dns.nameservers, which is empty; ask the policy's administrator"
        ));
    }

    #[test]
    fn several_services_have_a_proxy_each() {
        let annotations = [("connect-service", "web,web-admin"), ("transparent-proxy", "false")];
        let settings = json!({ "acls": { "enabled": true }, "nativeSidecars": false });
        let pod = injected(&annotations, settings.clone());
        let init = [format!("{INIT}-web"), format!("{INIT}-web-admin")];
        assert_eq!(names(&pod["spec"]["initContainers"]), init);
        let second = container(&pod, "consul-dataplane-web-admin");
        let args = words(second, "args");
        for arg in [
            "-envoy-admin-bind-port=19001",
            "-graceful-port=20601",
            "--base-id",
            "-proxy-service-id-path=/consul/connect-inject/proxyid-web-admin",
        ] {
            assert!(args.contains(&arg), "{arg}: {args:?}");
        }
        assert_eq!(second["readinessProbe"]["tcpSocket"]["port"], 20001);
        assert_eq!(variable(second, "DP_ENVOY_ADMIN_BIND_PORT"), "19001");
        let tokens: Vec<&str> = names(&pod["spec"]["volumes"]).into_iter().skip(1).collect();
        assert_eq!(tokens, ["consul-connect-inject-token", "web-admin-service-account"]);
        let together =
            ask(&web(&[("connect-service", "web,web-admin"), ("enable-metrics", "true")]), settings);
        for annotation in ["transparent-proxy", "enable-metrics"] {
            assert!(
                together.message().contains(&format!("set annotation {PREFIX}{annotation} to \"false\""))
            );
        }
    }
}

mod acls_and_tls {
    use super::*;

    #[test]
    fn only_the_injected_containers_get_a_token() {
        let mut pod = web(&[("connect-service", "web")]);
        pod["spec"]["automountServiceAccountToken"] = json!(false);
        let after = ask(&pod, json!({ "acls": { "enabled": true, "authMethod": "mine" } })).pod();
        for name in [INIT, SIDECAR] {
            let mounts = names(&container(&after, name)["volumeMounts"]);
            assert_eq!(mounts, ["consul-connect-inject-data", "consul-connect-inject-token"]);
        }
        assert_eq!(container(&after, "web"), container(&pod, "web"));
        let init = container(&after, INIT);
        assert!(words(init, "args").ends_with(&["-service-account-name=web", "-service-name=web"]));
        assert_eq!(variable(init, "CONSUL_LOGIN_AUTH_METHOD"), "mine");
        assert!(words(container(&after, SIDECAR), "args").contains(&"-login-auth-method=mine"));
    }

    #[test]
    fn the_service_account_is_named_like_the_service() {
        let settings = json!({ "acls": { "enabled": true } });
        let answer = ask(&web(&[("connect-service", "api")]), settings.clone());
        assert!(
            answer
                .message()
                .contains("spec.serviceAccountName: invalid value \"web\": must be the service name \"api\"")
        );
        let mut pod = web(&[]);
        pod["spec"].as_object_mut().unwrap().remove("serviceAccountName");
        let answer = ask(&pod, settings);
        assert!(
            answer.warnings[0]
                .contains("spec.serviceAccountName: with ACLs enabled, \"default\" cannot log in")
        );
    }

    #[test]
    fn tls_namespaces_and_partitions() {
        let settings = json!({
            "tls": { "enabled": true, "caCert": CA, "serverName": "server.dc1.consul" },
            "enableConsulNamespaces": true, "consulNamespaces": { "mirroringK8SPrefix": "k8s-" },
            "adminPartitions": { "name": "part1" }, "acls": { "enabled": true },
            "servers": { "address": "consul.example.com", "skipServerWatch": true },
        });
        let pod = injected(&[("connect-service", "web")], settings);
        let (init, sidecar) = (container(&pod, INIT), container(&pod, SIDECAR));
        for (name, value) in [
            ("CONSUL_ADDRESSES", "consul.example.com"),
            ("CONSUL_HTTP_PORT", "8501"),
            ("CONSUL_CACERT_PEM", CA),
            ("CONSUL_TLS_SERVER_NAME", "server.dc1.consul"),
            ("CONSUL_NAMESPACE", "k8s-shop"),
            ("CONSUL_LOGIN_NAMESPACE", "default"),
            ("CONSUL_PARTITION", "part1"),
        ] {
            assert_eq!(variable(init, name), value, "{name}");
        }
        let args = words(sidecar, "args");
        for arg in [
            "-ca-certs=/consul/connect-inject/consul-ca.pem",
            "-service-namespace=k8s-shop",
            "-service-partition=part1",
            "-login-partition=part1",
            "-server-watch-disabled=true",
        ] {
            assert!(args.contains(&arg), "{arg}: {args:?}");
        }
        assert_eq!(annotation(&pod, "consul-namespace"), "k8s-shop");
    }
}

mod what_a_user_reads {
    use super::*;

    #[test]
    fn all_mistakes_at_once_each_with_its_remedy() {
        let pod = web(&[
            ("transparent-proxy", "yes"),
            ("connect-service-port", "htpp"),
            ("connect-service-upstreams", "db:1234 cache:1235,db"),
            ("consul-envoy-proxy-concurrency", "many"),
            ("transparent-proxy-exclude-outbound-cidrs", "10.0.0.0/33"),
            ("sidecar-proxy-cpu-limit", "x"),
            ("enable-metrics", "on"),
            ("connect-inject-mount-volume", "wep"),
            ("consul-sidecar-user-volume", "{}"),
            ("prometheus-scrape-port", "80"),
        ]);
        let answer = ask(&pod, json!({}));
        for part in [
            "transparent-proxy: invalid value \"yes\": must be a boolean: \"true\" or \"false\", in quotes",
            "connect-service-port: invalid value \"htpp\": must be a port number from 1 to 65535, or one of the pod's port names: \"http\", \"admin\"",
            "connect-service-upstreams: invalid value \"db:1234 cache:1235\": must be a list of upstreams separated by commas",
            "connect-service-upstreams: invalid value \"db\": a local port is required",
            "consul-envoy-proxy-concurrency: invalid value \"many\": must be an integer from 0 to 1024",
            "exclude-outbound-cidrs: invalid value \"10.0.0.0/33\": must be an IP address or a CIDR block",
            "sidecar-proxy-cpu-limit: invalid value \"x\": must be a quantity",
            "enable-metrics: invalid value \"on\": must be a boolean",
            "mount-volume: invalid value \"wep\": must be a container of this pod: \"web\"",
            "consul-sidecar-user-volume: invalid value \"{}\": must be a JSON list of volumes",
            "prometheus-scrape-port: invalid value \"80\": must be a port from 1024 to 65535",
        ] {
            assert!(answer.message().contains(part), "{part}: {}", answer.message());
        }
        assert!(answer.message().starts_with("this pod cannot join the Consul service mesh (11 problems):"));
    }

    #[test]
    fn a_workload_reports_it_at_apply() {
        let pod = web(&[("transparent-proxy-exclude-uids", "root")]);
        let object = json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web" },
            "spec": { "template": { "metadata": pod["metadata"], "spec": pod["spec"] } } });
        let request = json!({ "uid": "u", "kind": { "group": "apps", "version": "v1", "kind": "Deployment" },
            "operation": "CREATE", "namespace": "shop", "object": object });
        let answer = support::ask_request(&request, &dataplane(json!({})));
        assert!(
            answer
                .message()
                .contains("transparent-proxy-exclude-uids: invalid value \"root\": must be a user ID")
        );
    }

    #[test]
    fn pods_that_cannot_be_redirected() {
        for (path, value, why) in [
            ("/spec/hostNetwork", json!(true), "spec.hostNetwork: must not be true"),
            ("/spec/os", json!({ "name": "windows" }), "spec.os.name: must not be windows"),
            ("/spec/dnsConfig", json!({}), "spec.dnsConfig: is not supported together with Consul DNS"),
            (
                "/spec/securityContext",
                json!({ "runAsUser": 5995 }),
                "spec.securityContext.runAsUser: invalid value \"5995\": is the user ID of consul-dataplane",
            ),
            (
                "/spec/volumes",
                json!([{ "name": "consul-connect-inject-data" }]),
                "spec.volumes[0].name: invalid value \"consul-connect-inject-data\": is the name of an injected volume",
            ),
            (
                "/spec/initContainers",
                json!([{ "name": "consul-dataplane" }]),
                "spec.initContainers[0].name: invalid value \"consul-dataplane\": is the name of an injected container",
            ),
        ] {
            let mut pod = web(&[]);
            let (parent, field) = path.rsplit_once('/').unwrap();
            pod.pointer_mut(parent).unwrap()[field] = value;
            let answer = ask(&pod, json!({ "dns": { "nameservers": ["10.96.0.10"] } }));
            assert!(answer.message().contains(why), "{}", answer.message());
        }
    }

    #[test]
    fn a_message_about_json_does_not_repeat_a_long_value() {
        let long = format!("[\"{}\"]", "x".repeat(5000));
        let answer = ask(&web(&[("consul-sidecar-user-volume-mount", &long)]), json!({}));
        assert!(answer.message().contains("must be a JSON list of volume mounts"), "{}", answer.message());
        assert!(answer.message().len() < 1000, "{}", answer.message().len());
    }

    #[test]
    fn probes_that_say_nothing_through_the_proxy() {
        for (probe, warning) in [
            (
                json!({ "tcpSocket": { "port": "http" } }),
                "the readinessProbe reaches Envoy instead of the app, and always succeeds; set consul.hashicorp.com/transparent-proxy-exclude-inbound-ports to \"8080\"",
            ),
            (
                json!({ "grpc": { "port": 9090 } }),
                "the readinessProbe reaches Envoy instead of the app, and always fails; set consul.hashicorp.com/transparent-proxy-exclude-inbound-ports to \"9090\"",
            ),
            (
                json!({ "httpGet": { "port": 8443, "scheme": "HTTPS" } }),
                "uses HTTPS, which Envoy's listener for probes does not support; set consul.hashicorp.com/transparent-proxy-exclude-inbound-ports to \"8443\" and transparent-proxy-overwrite-probes to \"false\"",
            ),
        ] {
            let mut pod = web(&[]);
            pod["spec"]["containers"][0]["readinessProbe"] = probe;
            let warnings = ask(&pod, json!({})).warnings;
            assert!(warnings.len() == 1 && warnings[0].contains(warning), "{warnings:?}");
            assert_eq!(
                ask(&pod, json!({ "transparentProxy": { "defaultEnabled": false } })).warnings,
                [""; 0]
            );
        }
    }

    #[test]
    fn excluded_ports_do_not_reach_envoy() {
        let warnings = |annotations: &[(&str, &str)], probe: Value| {
            let mut pod = web(annotations);
            pod["spec"]["containers"][0]["readinessProbe"] = probe;
            ask(&pod, json!({})).warnings
        };
        let tcp = json!({ "tcpSocket": { "port": 8080 } });
        assert_eq!(warnings(&[], tcp.clone()).len(), 1);
        assert_eq!(warnings(&[("transparent-proxy-exclude-inbound-ports", "http")], tcp), [""; 0]);
        assert_eq!(warnings(&[], json!({ "tcpSocket": { "port": 8080, "host": "192.0.2.1" } })), [""; 0]);
    }

    #[test]
    fn probe_ports_that_overwriting_would_hide() {
        let rule = "must be a port number from 1 to 65535, or the name of a container port";
        for (http, value) in [
            (json!({ "port": "htpp" }), "\"htpp\""),
            (json!({ "port": 65536 }), "65536"),
            (json!({ "path": "/" }), "0"),
        ] {
            let mut pod = web(&[]);
            pod["spec"]["containers"][0]["livenessProbe"] = json!({ "httpGet": http });
            let place = "spec.containers[0].livenessProbe.httpGet.port";
            let told = format!("{place}: invalid value {value}: {rule}");
            let answer = ask(&pod, json!({}));
            assert!(answer.message().contains(&told), "{}", answer.message());
            pod["metadata"]["annotations"][format!("{PREFIX}transparent-proxy")] = json!("false");
            assert!(ask(&pod, json!({})).accepted);
        }
    }

    #[test]
    fn a_proxy_that_is_killed_before_it_ends() {
        let warned = |pod: &Value, annotations: &[(&str, &str)]| {
            let mut all = web(annotations);
            all["spec"]["terminationGracePeriodSeconds"] = pod.clone();
            ask(&all, json!({}))
                .warnings
                .iter()
                .any(|warning| warning.contains("must be less than terminationGracePeriodSeconds"))
        };
        let grace = "sidecar-proxy-lifecycle-shutdown-grace-period-seconds";
        assert!(
            warned(&json!(10), &[])
                && warned(&json!(30), &[(grace, "30")])
                && warned(&Value::Null, &[(grace, "31")])
        );
        assert!(
            !warned(&json!(30), &[])
                && !warned(&json!(60), &[(grace, "30")])
                && !warned(&json!(0), &[(grace, "0")])
        );
    }

    #[test]
    fn the_pods_of_a_job_have_no_grace_period() {
        let mut template = web(&[]);
        template["spec"]["terminationGracePeriodSeconds"] = json!(10);
        let warnings = |group: &str, kind: &str| {
            let object = json!({ "metadata": { "name": "web" }, "spec": { "template": template } });
            let request = soak::sample::request([group, kind], "CREATE", &object, &Value::Null);
            support::ask_request(&request, &dataplane(json!({}))).warnings
        };
        assert!(
            warnings("apps", "Deployment")[0].contains("must be less than terminationGracePeriodSeconds")
        );
        assert_eq!(warnings("batch", "Job"), [""; 0]);
    }

    #[test]
    fn local_ports_that_the_proxy_has() {
        let upstreams = [("connect-service-upstreams", "db:19000,cache:20600")];
        let answer = ask(&web(&upstreams), json!({}));
        assert!(
            answer
                .message()
                .contains("\"db:19000\": its local port is already used by Envoy's admin interface")
        );
        assert!(
            answer
                .message()
                .contains("\"cache:20600\": its local port is already used by the proxy's shutdown endpoint")
        );
    }

    #[test]
    fn local_ports_of_optional_listeners() {
        let merging = json!({ "metrics": { "defaultEnabled": true, "defaultEnableMerging": true } });
        let several = [
            ("connect-service", "web,admin"),
            ("connect-service-port", "http"),
            ("transparent-proxy", "false"),
        ];
        for (upstream, annotations, settings, owner) in [
            ("db:15001", &[][..], json!({}), "transparent proxy"),
            ("db:20100", &[], merging, "consul-dataplane's port for merged metrics"),
            ("db:19001", &several, json!({}), "Envoy's admin interface"),
        ] {
            let upstreams = [("connect-service-upstreams", upstream)];
            let answer = ask(&web(&[annotations, &upstreams].concat()), settings);
            let told = format!("\"{upstream}\": its local port is already used by {owner}");
            assert!(answer.message().contains(&told), "{}", answer.message());
        }
        for upstream in ["db:19001", "db:20100", "db:19000:?local_bind_address=127.0.0.2"] {
            assert!(ask(&web(&[("connect-service-upstreams", upstream)]), json!({})).accepted, "{upstream}");
        }
    }

    #[test]
    fn a_copy_of_an_injected_pod_is_not_registered() {
        let mut copy = injected(&[], json!({}));
        copy["metadata"]["labels"] = Value::Null;
        let answer = ask(&copy, json!({}));
        assert!(
            answer.warnings[0].contains("lacks a label or annotation, such as connect-inject-managed-by"),
            "{:?}",
            answer.warnings
        );
    }

    #[test]
    fn ports_that_may_not_be_intended() {
        let warnings = |annotations: &[(&str, &str)]| {
            let mut pod = web(annotations);
            let other = json!({ "name": "orders", "ports": [{ "name": "http", "containerPort": 8081 }] });
            pod["spec"]["containers"].as_array_mut().unwrap().push(other);
            ask(&pod, json!({})).warnings
        };
        assert_eq!(warnings(&[]), [""; 0]);
        let another = warnings(&[("connect-service", "orders")]);
        assert!(another[0].contains("of container \"web\"; container \"orders\" lists 8081"), "{another:?}");
        let named = warnings(&[("connect-service-port", "http")]);
        assert!(named[0].contains("port 8080") && named[0].contains("port 8081"), "{named:?}");
        assert_eq!(warnings(&[("connect-service", "orders"), ("connect-service-port", "8081")]), [""; 0]);
        let metrics = warnings(&[("enable-metrics", "true"), ("prometheus-scrape-port", "8080")]);
        assert!(
            metrics[0].contains("port 8080 of Envoy's metrics is also a port of a container"),
            "{metrics:?}"
        );
    }

    #[test]
    fn annotations_of_the_other_mode() {
        let answer = ask(&web(&[("connect-sync-period", "10s")]), json!({}));
        assert!(
            answer.warnings[0].contains("is not supported in mode dataplane, only in mode agent"),
            "{:?}",
            answer.warnings
        );
        let answer = support::ask(&web(&[("transparent-proxy", "true")]), &json!({}));
        assert!(
            answer.warnings[0].contains("is not supported in mode agent, only in mode dataplane"),
            "{:?}",
            answer.warnings
        );
    }

    #[test]
    fn the_log_says_what_the_pod_waits_for() {
        let line = |annotations: &[(&str, &str)]| {
            let (policy, logs) = policy().with_logs();
            let payload = payload("shop", &web(annotations).to_string(), &dataplane(json!({})).to_string());
            policy.call("validate", payload.as_bytes()).unwrap();
            logs.take().into_iter().filter_map(|line| line.message).collect::<Vec<_>>().join("\n")
        };
        assert_eq!(
            line(&[]),
            "Pod shop/web-0: injected: service with the name of its Kubernetes Service on port http,admin; the pod starts when one Service selects it"
        );
        assert_eq!(
            line(&[("connect-service", "api"), ("connect-service-upstreams", "db:1234")]),
            "Pod shop/web-0: injected: service api on port http,admin, 1 upstream; the pod starts when one Kubernetes Service selects it"
        );
    }
}

/// The API server or Consul's controllers would refuse these pods, or the proxy would not start.
mod conflicts {
    use super::*;

    fn problem(annotations: &[(&str, &str)], settings: Value) -> String {
        ask(&web(annotations), settings).message().to_owned()
    }

    #[test]
    fn names_and_paths_of_what_is_injected() {
        let acls = json!({ "acls": { "enabled": true } });
        let mut pod = web(&[
            ("connect-service", "web,admin"),
            ("connect-service-port", "http,admin"),
            ("transparent-proxy", "false"),
        ]);
        pod["spec"]["volumes"] = json!([{ "name": "admin-service-account" }]);
        let answer = ask(&pod, acls.clone());
        assert!(answer.message().contains("\"admin-service-account\": is the name of an injected volume"));
        pod["spec"]["volumes"] = json!([]);
        pod["spec"]["containers"].as_array_mut().unwrap().push(json!({ "name": "consul-dataplane-admin" }));
        let answer = ask(&pod, acls.clone());
        assert!(
            answer.message().contains("\"consul-dataplane-admin\": is the name of an injected container")
        );

        // A pod with one service has no such container or volume.
        let mut pod = web(&[]);
        pod["spec"]["volumes"] =
            json!([{ "name": "admin-service-account" }, { "name": "envoy-access-logs" }]);
        pod["spec"]["containers"]
            .as_array_mut()
            .unwrap()
            .push(json!({ "name": "consul-dataplane-exporter" }));
        assert_eq!(ask(&pod, json!({})).reason(), "injected");

        let mount = |path: &str| {
            let volume = ("consul-sidecar-user-volume", r#"[{"name":"logs","emptyDir":{}}]"#);
            let mount = json!([{ "name": "logs", "mountPath": path }]).to_string();
            let log = ("consul-sidecar-access-log-path", "/var/log/envoy/access.log");
            ask(&web(&[volume, ("consul-sidecar-user-volume-mount", &mount), log]), acls.clone())
        };
        for path in
            ["/var/log/envoy", "/var/run/secrets/kubernetes.io/serviceaccount", "/consul/connect-inject"]
        {
            assert!(mount(path).message().contains("an injected volume is mounted there"), "{path}");
        }
        assert_eq!(mount("/logs").reason(), "injected");
    }

    #[test]
    fn an_access_log_that_would_hide_a_part_of_the_image() {
        let message = |path| problem(&[("consul-sidecar-access-log-path", path)], json!({}));
        for path in ["/dev/stdout", "/usr/local/bin/a.log", "/consul/connect-inject/a.log"] {
            assert!(message(path).contains("the volume of the log would hide files of the proxy"), "{path}");
        }
        for path in ["a.log", "/a.log", "/var/log/", "/var//a.log", "/var/../dev/a.log"] {
            assert!(
                message(path).contains("must be the absolute path of a file in its own directory"),
                "{path}"
            );
        }
    }

    #[test]
    fn ports_of_two_parts_of_the_proxy() {
        let metrics = [("enable-metrics", "true"), ("enable-metrics-merging", "true")];
        for (name, port, owner) in [
            ("prometheus-scrape-port", "20000", "Envoy's listener for other proxies"),
            ("merged-metrics-port", "20101", "consul-dataplane's metrics"),
            ("merged-metrics-port", "20200", "Envoy's metrics"),
            ("sidecar-proxy-lifecycle-graceful-port", "19000", "Envoy's admin interface"),
        ] {
            let message = problem(&[&metrics[..], &[(name, port)]].concat(), json!({}));
            let expected =
                format!("{PREFIX}{name}: invalid value \"{port}\": is already used by {owner}; use");
            assert!(message.contains(&expected), "{message}");
        }
        let upstreams = ("connect-service-upstreams", "a:20100,b:20101,c:20200");
        let upstreams = problem(&[metrics[0], upstreams], json!({}));
        assert!(upstreams.contains("(3 problems)"), "{upstreams}");
        // Envoy listens there at the pod's address only.
        assert_eq!(ask(&web(&[("connect-service-upstreams", "a:20000")]), json!({})).reason(), "injected");
        let settings = refusal(json!({ "metrics": { "defaultPrometheusScrapePort": 20100 } }));
        assert!(
            settings.contains("metrics.defaultPrometheusScrapePort: invalid value \"20100\": is already")
        );
        assert!(settings.contains("metrics.defaultMergedMetricsPort"), "{settings}");
    }

    #[test]
    fn a_stateful_sets_claims_are_volumes() {
        let mount = r#"[{"name":"data","mountPath":"/data"}]"#;
        let template = web(&[("consul-sidecar-user-volume-mount", mount)]);
        let mut set = json!({ "metadata": { "name": "web" }, "spec": { "template": template } });
        let reason = |set: &Value| {
            let request = soak::sample::request(["apps", "StatefulSet"], "CREATE", set, &Value::Null);
            support::ask_request(&request, &dataplane(json!({}))).reason().to_owned()
        };
        assert_eq!(reason(&set), "workload-rejected");
        set["spec"]["volumeClaimTemplates"] = json!([{ "metadata": { "name": "data" } }]);
        assert_eq!(reason(&set), "workload-accepted");
    }

    #[test]
    fn upstreams_on_the_same_address() {
        for address in ["127.0.0.1", "0.0.0.0"] {
            let upstreams = format!("db:1234,cache:1234:?local_bind_address={address}");
            let message = problem(&[("connect-service-upstreams", &upstreams)], json!({}));
            assert!(message.contains("its local port is already used by upstream \"db:1234\""), "{message}");
        }
    }

    #[test]
    fn services_that_the_controller_would_not_register() {
        let several = [("connect-service", "web,admin"), ("transparent-proxy", "false")];
        let message = problem(&[&several[..], &[("kubernetes-service", "web")]].concat(), json!({}));
        assert!(message.contains("kubernetes-service: invalid value \"web\": is not supported with several"));
        let many: Vec<String> = (0..101).map(|index| format!("s{index}")).collect();
        let message = problem(&[("connect-service", &many.join(",")), several[1]], json!({}));
        assert!(message.contains("must list at most 100 services"), "{message}");
        // The Kubernetes Service has the ports.
        let ports = [("connect-service-port", ""), ("connect-service-default-port", "http")];
        assert_eq!(ask(&web(&ports), json!({})).reason(), "injected");
    }

    #[test]
    fn envoys_arguments() {
        let message = refusal(json!({ "envoyExtraArgs": "--log-format x" }));
        assert!(message.contains("setting envoyExtraArgs: --log-format is not allowed"), "{message}");
        let several = [("connect-service", "web,admin"), ("transparent-proxy", "false")];
        let message = problem(&several, json!({ "envoyExtraArgs": "--base-id 3" }));
        assert!(message.contains("setting envoyExtraArgs: --base-id is not allowed"), "{message}");
        let pod = injected(&[("envoy-extra-args", "'-l debug'")], json!({}));
        assert!(words(container(&pod, SIDECAR), "args").ends_with(&["--", "--log-level", "debug"]));
    }

    #[test]
    fn a_port_with_spaces_is_one_that_the_controller_can_read() {
        let pod = injected(&[("enable-metrics", "true"), ("prometheus-scrape-port", " 9102 ")], json!({}));
        assert_eq!(annotation(&pod, "prometheus-scrape-port"), "9102");
    }
}

mod settings {
    use super::*;

    #[test]
    fn missing_name_servers_are_logged() {
        let (policy, logs) = policy().with_logs();
        let logged = |dns: Value| {
            assert!(policy.validate_settings(&dataplane(json!({ "dns": dns }))).unwrap().valid);
            logs.take().into_iter().filter_map(|line| line.message).collect::<Vec<_>>()
        };
        assert!(logged(json!({}))[0].contains("dns.nameservers is empty, so pods do not use Consul DNS"));
        assert_eq!(logged(json!({ "enabled": false })), [""; 0]);
        assert_eq!(logged(json!({ "nameservers": ["10.96.0.10"] })), [""; 0]);
    }

    #[test]
    fn a_misspelled_mode_has_one_problem() {
        let settings = json!({ "mode": "dataplain", "servers": {}, "cni": {}, "dns": {} });
        let message = policy().validate_settings(&settings).unwrap().message.unwrap();
        assert!(
            message.contains("(1 problem)") && message.contains("must be agent or dataplane"),
            "{message}"
        );
    }

    #[test]
    fn a_key_of_the_chart_has_the_remedy_of_the_mode() {
        for (key, remedy) in [
            ("envoyImage", "the policy does not support it in this mode"),
            ("externalServers", "write hosts[0] as servers.address"),
            ("global", "write global.imageK8S as imageK8S"),
        ] {
            assert!(refusal(json!({ key: {} })).contains(remedy), "{key}");
            let in_agent_mode = policy().validate_settings(&json!({ key: {} })).unwrap().message.unwrap();
            assert!(!in_agent_mode.contains(remedy), "{in_agent_mode}");
        }
    }

    #[test]
    fn what_cannot_work_is_refused_with_what_to_write() {
        for (settings, part) in [
            (
                json!({ "servers": { "address": "exec=discover -q" } }),
                "setting servers.address: invalid value \"exec=discover -q\": must not be a command",
            ),
            (
                json!({ "servers": { "address": "consul.example.com:8502" } }),
                "must be a DNS name or an IP address",
            ),
            (
                json!({ "openshift": true }),
                "setting transparentProxy.defaultEnabled: must be false with openshift: true",
            ),
            (
                json!({ "adminPartitions": { "enabled": true } }),
                "setting adminPartitions.enabled: requires Consul namespaces",
            ),
            (
                json!({ "imageConsulDataplane": "hashicorp/consul-dataplane:1.8.2" }),
                "must be version 1.9 or later",
            ),
            (
                json!({ "imageEnvoy": "envoy:1" }),
                "setting imageEnvoy: is not supported in mode dataplane, only in mode agent; remove it, or set mode: agent",
            ),
            (
                json!({ "logLevel": "loud" }),
                "setting logLevel: invalid value \"loud\": must be trace, debug, info, warn or error",
            ),
            (
                json!({ "dns": { "nameservers": ["kube-dns"] } }),
                "setting dns.nameservers: invalid value \"kube-dns\": must be an IP address",
            ),
            (json!({ "externalServers": {} }), "write hosts[0] as servers.address"),
        ] {
            let message = refusal(settings.clone());
            assert!(message.contains(part), "{settings}: {message}");
        }
        assert_eq!(refusal(json!({})), "");
        assert_eq!(
            refusal(json!({ "openshift": true, "transparentProxy": { "defaultEnabled": false } })),
            ""
        );
        let other = policy().validate_settings(&json!({ "transparentProxy": {} })).unwrap();
        assert!(other.message.unwrap().contains("is not supported in mode agent, only in mode dataplane"));
    }

    #[test]
    fn openshift_chooses_the_users() {
        let pod =
            injected(&[], json!({ "openshift": true, "transparentProxy": { "defaultEnabled": false } }));
        for name in [INIT, SIDECAR] {
            let context = &container(&pod, name)["securityContext"];
            assert!(context["runAsUser"].is_null() && context["runAsNonRoot"] == true, "{context}");
        }
        let settings = json!({ "openshift": true, "transparentProxy": { "defaultEnabled": false } });
        assert!(
            ask(&web(&[("transparent-proxy", "true")]), settings)
                .message()
                .contains("must be \"false\" on OpenShift")
        );
    }

    #[test]
    fn the_pods_version_is_that_of_the_image() {
        for (image, version) in [
            ("hashicorp/consul-k8s-control-plane:1.9.1", "v1.9.1"),
            ("r/k8s:v2.1.0-ubi", "v2.1.0"),
            ("r/k8s:latest", "v2.0.3"),
            ("r/k8s", "v2.0.3"),
        ] {
            assert_eq!(
                annotation(&injected(&[], json!({ "imageK8S": image })), "consul-k8s-version"),
                version
            );
        }
    }
}

mod promises {
    use super::*;

    #[test]
    fn the_namespaces_that_the_controllers_ignore() {
        let ask = |settings: &Value| support::ask_in("local-path-storage", &web(&[]), settings);
        let ignored = ask(&dataplane(json!({})));
        assert_eq!(ignored.reason(), "system-namespace");
        assert!(ignored.warnings[0].contains("\"local-path-storage\" are never injected"), "{ignored:?}");
        assert_eq!(ask(&json!({})).reason(), "injected");
    }

    /// The policy server compares lists by position, and its patch applies the differences.
    #[test]
    fn the_patch_is_small() {
        for (containers, variables, operations, bytes) in [(1, 20, 25, 8_000), (12, 60, 100, 15_000)] {
            let mut pod = web(&[("connect-service-upstreams", "db:1234,cache:1235,queue:1236")]);
            let mut container = pod["spec"]["containers"][0].clone();
            let value = "x".repeat(40);
            container["env"] =
                (0..variables).map(|index| json!({ "name": format!("V{index}"), "value": value })).collect();
            pod["spec"]["containers"] = (0..containers)
                .map(|index| {
                    let mut own = container.clone();
                    own["name"] = json!(format!("app-{index}"));
                    own
                })
                .collect();
            let after = ask(&pod, json!({})).pod();
            let patch = json_patch::diff(&pod, &after);
            let size = serde_json::to_string(&patch).unwrap().len();
            println!("{} bytes of pod: {} operations, {size} bytes", pod.to_string().len(), patch.len());
            assert!(patch.len() <= operations && size <= bytes, "{} operations, {size} bytes", patch.len());
            assert_eq!(super::containers(&after).count(), containers + 2);
        }
    }
}
