//! The values of today's chart, translated for dataplane mode.

mod support;

use policy_host::helm::{self, Fate, Mode, Options, Translation};
use serde_json::{Value, json};
use support::project::CA;

fn translate(values: &Value) -> Translation {
    let translation = helm::translate(values, &Options::default()).unwrap();
    assert_eq!(translation.mode, Mode::Dataplane, "{:?}", translation.notes);
    translation
}

/// The settings, less those that every translation has.
fn own_settings(values: &Value) -> Value {
    let mut settings = translate(values).settings;
    assert_eq!(settings["mode"], "dataplane");
    settings.as_object_mut().unwrap().remove("mode");
    if settings["servers"] == json!({ "address": "consul-consul-server.consul.svc" }) {
        settings.as_object_mut().unwrap().remove("servers");
    }
    settings
}

fn text(values: &Value, key: &str) -> (Fate, String) {
    let outcomes = translate(values).outcomes;
    let outcome = outcomes.into_iter().find(|outcome| outcome.key == key).unwrap();
    (outcome.fate, outcome.text)
}

/// Every value of the chart that reaches a pod, changed.
fn changed() -> Value {
    json!({
        "global": {
            "imageK8S": "example.com/k8s:1.9.0", "imageConsulDataplane": "example.com/dataplane:1.9.0",
            "imagePullPolicy": "Always", "logLevel": "debug", "logJSON": true, "consulAPITimeout": "7s",
            "openshift": { "enabled": true }, "dualStack": { "enabled": true }, "metrics": { "enabled": true },
            "enableConsulNamespaces": true, "adminPartitions": { "enabled": true, "name": "team" },
        },
        "dns": { "enabled": true, "enableRedirection": false },
        "connectInject": {
            "default": true, "k8sAllowNamespaces": ["shop"], "k8sDenyNamespaces": ["batch"],
            "transparentProxy": { "defaultEnabled": false, "defaultOverwriteProbes": false },
            "cni": { "enabled": true },
            "metrics": {
                "defaultEnabled": "-", "defaultEnableMerging": true, "defaultMergedMetricsPort": 20101,
                "defaultPrometheusScrapePort": 20201, "defaultPrometheusScrapePath": "/m",
            },
            "envoyExtraArgs": "--log-level debug",
            "consulNamespaces": { "consulDestinationNamespace": "d", "mirroringK8S": false, "mirroringK8SPrefix": "k-" },
            "sidecarProxy": {
                "concurrency": 4, "resources": { "requests": { "cpu": "1" }, "limits": { "memory": "64Mi" } },
                "lifecycle": {
                    "defaultEnabled": false, "defaultEnableShutdownDrainListeners": false,
                    "defaultShutdownGracePeriodSeconds": 5, "defaultStartupGracePeriodSeconds": 1,
                    "defaultGracefulPort": 20601, "defaultGracefulShutdownPath": "/s", "defaultGracefulStartupPath": "/t",
                },
                "defaultStartupFailureSeconds": 3, "defaultLivenessFailureSeconds": 4,
            },
            "dataplaneAsSidecarInitContainer": {
                "defaultEnabled": true, "initialProbeCheckDelaySeconds": 2, "probeCheckPeriodSeconds": 3,
                "probeCheckFailureThreshold": 4, "probeCheckTimeoutSeconds": 6,
            },
            "initContainer": { "resources": { "limits": { "memory": "50Mi", "cpu": "50m" } } },
        },
    })
}

#[test]
fn every_value_that_reaches_a_pod_is_a_setting() {
    let values = changed();
    let mut expected = values["connectInject"].clone();
    for (setting, value) in [
        ("imageK8S", json!("example.com/k8s:1.9.0")),
        ("imageConsulDataplane", json!("example.com/dataplane:1.9.0")),
        ("imagePullPolicy", json!("Always")),
        ("logLevel", json!("debug")),
        ("logJSON", json!(true)),
        ("consulAPITimeout", json!("7s")),
        ("openshift", json!(true)),
        ("dualStack", json!(true)),
        ("enableConsulNamespaces", json!(true)),
        ("adminPartitions", json!({ "enabled": true, "name": "team" })),
        ("dns", json!({ "enabled": true, "enableRedirection": false })),
        ("nativeSidecars", json!(true)),
    ] {
        expected[setting] = value;
    }
    expected["metrics"]["defaultEnabled"] = json!(true);
    expected["dataplaneAsSidecarInitContainer"].as_object_mut().unwrap().remove("defaultEnabled");
    assert_eq!(own_settings(&values), expected);
}

#[test]
fn the_values_of_the_injector_override_the_global_ones() {
    let values = json!({
        "global": { "imageK8S": "a:1", "logLevel": "warn", "metrics": { "enabled": true } },
        "connectInject": {
            "image": "b:1", "logLevel": "debug", "metrics": { "defaultEnabled": false }, "apiGateway": {},
        },
    });
    let expected = json!({ "imageK8S": "b:1", "logLevel": "debug", "metrics": { "defaultEnabled": false } });
    assert_eq!(own_settings(&values), expected);
}

#[test]
fn addresses_and_names_are_the_releases() {
    let values = json!({
        "global": { "acls": { "manageSystemACLs": true }, "tls": { "enabled": true } },
        "client": { "enabled": false },
    });
    let options = Options { release: Some("mesh"), namespace: Some("hashi"), ..Options::default() };
    let translation = helm::translate(&values, &options).unwrap();
    assert_eq!(
        translation.settings,
        json!({
            "mode": "dataplane", "servers": { "address": "mesh-consul-server.hashi.svc" },
            "acls": { "enabled": true, "authMethod": "mesh-consul-k8s-auth-method" }, "tls": { "enabled": true },
        })
    );
    let notes = translation.notes.join("\n");
    for expected in [
        "the mode is dataplane, because client.enabled is false",
        "kubectl get secret -n hashi mesh-consul-ca-cert -o jsonpath='{.data.tls\\.crt}'",
        "kubectl exec -n hashi deploy/mesh-consul-connect-injector -c sidecar-injector -- cat /etc/resolv.conf",
    ] {
        assert!(notes.contains(expected), "{expected}: {notes}");
    }
    assert!(!notes.contains("if yours is another one"), "{notes}");
    // The release is unknown.
    assert!(translate(&values).notes.join("\n").contains("if yours is another one (`helm list -A`)"));
    let with_ca = helm::translate(&values, &Options { ca_cert: Some(CA), ..options }).unwrap();
    assert_eq!(with_ca.settings["tls"]["caCert"], CA);
    assert!(!with_ca.notes.join("\n").contains("tls.caCert is missing"));
}

/// Flux and Argo CD name the release.
#[test]
fn a_helm_release_names_itself() {
    let mut release = json!({
        "apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
        "metadata": { "name": "mesh", "namespace": "flux-system" },
        "spec": { "chart": { "spec": { "chart": "consul", "version": "1.4.x" } }, "values": {} },
    });
    let address = |release: &Value| translate(release).settings["servers"]["address"].clone();
    assert_eq!(address(&release), "mesh-consul-server.flux-system.svc");
    release["spec"]["targetNamespace"] = json!("hashi");
    assert_eq!(address(&release), "hashi-mesh-consul-server.hashi.svc");
    release["spec"]["releaseName"] = json!("consul");
    assert_eq!(address(&release), "consul-consul-server.hashi.svc");
    release["spec"]["chart"]["spec"]["version"] = json!("0.43.0");
    assert_eq!(helm::translate(&release, &Options::default()).unwrap().mode, Mode::Agent);
}

#[test]
fn servers_outside_of_the_cluster() {
    let values = json!({
        "global": { "tls": { "enabled": true } }, "server": { "enabled": false }, "client": { "enabled": false },
        "externalServers": {
            "enabled": true, "hosts": ["a.example.com", "b.example.com"], "grpcPort": 8503, "httpsPort": 443,
            "tlsServerName": "server.dc1.consul", "useSystemRoots": true, "skipServerWatch": true,
            "k8sAuthMethodHost": "https://k8s.example.com",
        },
    });
    assert_eq!(
        own_settings(&values),
        json!({
            "tls": { "enabled": true, "serverName": "server.dc1.consul" },
            "servers": {
                "address": "a.example.com", "grpcPort": 8503, "httpsPort": 443, "skipServerWatch": true,
            },
        })
    );
    assert!(!translate(&values).notes.join("\n").contains("tls.caCert is missing"));
    assert!(text(&values, "externalServers.hosts").1.contains("the first host"));
    let plain = json!({ "client": { "enabled": false }, "externalServers": { "enabled": true, "hosts": ["a.example.com"] } });
    assert_eq!(own_settings(&plain)["servers"], json!({ "address": "a.example.com", "httpPort": 8501 }));
    let mut values = values;
    values["externalServers"]["hosts"] = json!("b.example.com");
    assert_eq!(own_settings(&values)["servers"]["address"], "b.example.com");
    values["externalServers"]["hosts"] = json!(["exec=discover -q addrs provider=aws"]);
    let (fate, said) = text(&values, "externalServers.hosts");
    assert!(fate == Fate::Elsewhere && said.contains("set servers.address"), "{said}");
    assert_eq!(translate(&values).settings["servers"].get("address"), None);
    values["externalServers"] = json!({ "enabled": true, "host": [] });
    assert_eq!(text(&values, "externalServers.host").0, Fate::Unknown);
}

#[test]
fn an_auth_method_of_ones_own_turns_acls_on() {
    let values = json!({ "connectInject": { "overrideAuthMethodName": "mine" } });
    assert_eq!(own_settings(&values), json!({ "acls": { "enabled": true, "authMethod": "mine" } }));
}

#[test]
fn what_the_values_cannot_say_is_noted() {
    let notes = |values: Value| translate(&values).notes.join("\n");
    let dns = "dns.nameservers is not set";
    assert!(notes(json!({})).contains(dns));
    assert!(notes(json!({ "dns": { "enabled": "-", "enableRedirection": "-" } })).contains(dns));
    assert!(!notes(json!({ "dns": { "enableRedirection": false } })).contains(dns));
    let direct = json!({ "connectInject": { "transparentProxy": { "defaultEnabled": false } } });
    assert!(!notes(direct.clone()).contains(dns));
    assert_eq!(own_settings(&direct)["dns"], json!({ "enabled": false }));
    for expected in
        ["-L consul.hashicorp.com/transparent-proxy", "accessLogs.path", "must not inject the same pods"]
    {
        assert!(notes(json!({})).contains(expected), "{expected}");
    }
}

#[test]
fn the_charts_controllers_have_to_stay() {
    let (fate, said) = text(&json!({ "connectInject": { "enabled": false } }), "connectInject.enabled");
    assert!(fate == Fate::Elsewhere && said.contains("set it to true"), "{said}");
    assert_eq!(
        text(&json!({ "connectInject": { "enabled": true } }), "connectInject.enabled").0,
        Fate::Deployment
    );
}

#[test]
fn values_that_do_not_reach_a_pod_are_reported() {
    let values = json!({
        "global": { "image": "hashicorp/consul:2.0.3", "datacenter": "dc1", "metrics": { "enableAgentMetrics": true } },
        "server": { "replicas": 3 }, "client": { "enabled": false }, "ui": { "enabled": true },
        "connectInject": {
            "replicas": 2, "cni": { "logLevel": "info" }, "aclBindingRuleSelector": "x", "failurePolicy": "Ignore",
            "imageConsul": "consul:1", "consulNode": { "meta": {} }, "namespaceSelector": "matchLabels: {}",
        },
        "dns": { "clusterIP": "10.0.0.10" },
    });
    let outcomes = translate(&values).outcomes;
    assert_eq!(outcomes.len(), 14, "{outcomes:#?}");
    for outcome in &outcomes {
        assert!(!matches!(outcome.fate, Fate::Unknown | Fate::Translated), "{outcome:?}");
    }
    assert_eq!(text(&values, "connectInject.imageConsul").0, Fate::NotInThisMode);
    assert_eq!(text(&values, "connectInject.failurePolicy").0, Fate::Elsewhere);
    assert_eq!(own_settings(&values), json!({}));
    let typo = json!({ "connectInject": { "transparentProxy": { "defaultEnable": false } } });
    assert!(text(&typo, "connectInject.transparentProxy.defaultEnable").1.contains("did you mean"));
}
