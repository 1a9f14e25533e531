//! `policy-host settings`, with the policy of this project.

#![allow(clippy::unwrap_used)]

use std::{
    fs,
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use policy_host::{
    documents, helm,
    helm::{Mode, Options},
};
use serde_json::{Value, json};

/// The chart that came with Consul 1.5.
const CONSUL_1_5: &str = r#"
global:
  enabled: true
  domain: consul
  image: "consul:1.5.0"
  imageK8S: "hashicorp/consul-k8s:0.8.1"
  datacenter: dc1
  bootstrapACLs: true
server:
  replicas: 3
client:
  enabled: "-"
  grpc: true
  tolerations: |
    - operator: "Exists"
syncCatalog:
  enabled: true
connectInject:
  enabled: true
  image: null
  default: true
  imageConsul: null
  imageEnvoy: "envoyproxy/envoy:v1.9.1"
  namespaceSelector: |
    matchLabels:
      mesh: "on"
  certs: {secretName: null, caBundle: "", certName: tls.crt, keyName: tls.key}
  aclBindingRuleSelector: "serviceaccount.name!=default"
  centralConfig:
    enabled: true
    defaultProtocol: "http"
    proxyDefaults: |
      {"envoy_dogstatsd_url": "udp://127.0.0.1:9125"}
"#;

/// The chart that came with Consul 1.9.
const CONSUL_1_9: &str = r#"
global:
  name: mesh
  image: hashicorp/consul-enterprise:1.9.1-ent
  imageEnvoy: envoyproxy/envoy-alpine:v1.16.0
  tls: {enabled: true, httpsOnly: true, caCert: {secretName: mesh-ca, secretKey: ca.crt}}
  acls: {manageSystemACLs: true}
  enableConsulNamespaces: true
  lifecycleSidecarContainer:
    resources: {requests: {memory: 25Mi, cpu: 20m}, limits: {memory: 50Mi, cpu: 20m}}
  openshift: {enabled: true}
client:
  enabled: true
  grpc: true
  extraConfig: |
    {"ports": {"http": 8600}}
connectInject:
  enabled: true
  healthChecks: {enabled: true, reconcilePeriod: 1m}
  envoyExtraArgs: "--log-level debug"
  k8sAllowNamespaces: ["*"]
  k8sDenyNamespaces: [batch]
  consulNamespaces: {mirroringK8S: true, mirroringK8SPrefix: k8s-}
  sidecarProxy: {resources: {requests: {memory: 100Mi, cpu: null}, limits: {memory: null, cpu: null}}}
  initContainer: {resources: {requests: {memory: 120Mi}, limits: {memory: 150Mi}}}
"#;

/// Today's chart.
const TODAY: &str = r"
global:
  name: consul
  peering: {enabled: true}
  imagePullPolicy: IfNotPresent
  acls: {manageSystemACLs: true}
  metrics: {enabled: true, enableAgentMetrics: true}
client:
  enabled: true
connectInject:
  enabled: true
  replicas: 2
  transparentProxy: {defaultEnabled: true}
  cni: {enabled: true, logLevel: info}
  apiGateway: {managedGatewayClass: {serviceType: LoadBalancer}}
  disruptionBudget: {enabled: true}
  overrideAuthMethodName: own-method
  sidecarProxy:
    concurrency: 4
    lifecycle: {defaultEnabled: true}
  failurePolicy: Ignore
";

/// Agent mode, whatever the values are.
const AGENT: Options<'_> = Options { mode: Some(Mode::Agent), ca_cert: None, release: None, namespace: None };

/// A certificate without a key.
const CA: &str = "-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n";

struct Ran {
    status: i32,
    stdout: String,
    stderr: String,
}

/// `policy-host settings ...` with the built policy.
fn host(arguments: &[&str], stdin: &str) -> Ran {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    assert!(root.join("policy.wasm").exists(), "policy.wasm is missing: run make policy.wasm first");
    let mut child = Command::new(env!("CARGO_BIN_EXE_policy-host"))
        .arg("settings")
        .args(arguments)
        // The directory in which the default of --policy exists.
        .current_dir(root)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    let output = child.wait_with_output().unwrap();
    Ran {
        status: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// The settings from a values file, which must be valid, and the report.
fn translated(values: &str) -> (Value, String) {
    let ran = host(&["--from-helm", "-", "--mode", "agent"], values);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    (documents::parse_one(&ran.stdout).unwrap(), ran.stderr)
}

#[test]
fn valid_settings_are_called_so() {
    let ran = host(&["--settings-json", "{}"], "");
    assert_eq!((ran.status, ran.stdout.as_str(), ran.stderr.as_str()), (0, "valid\n", ""));
    assert_eq!(host(&["-"], "default: true\n").stdout, "valid\n");
}

#[test]
fn all_problems_and_notes_are_reported() {
    let ran = host(&["-"], "defualt: true\nenabled: 1\nimageConsul: consul\n");
    assert_eq!((ran.status, ran.stdout.as_str()), (1, ""));
    for expected in
        ["(2 problems):", "did you mean default?", "setting enabled: invalid value 1", "note: imageConsul:"]
    {
        assert!(ran.stderr.contains(expected), "{expected}: {}", ran.stderr);
    }
}

#[test]
fn a_policys_manifest_is_taken_for_its_settings() {
    let policy = |name: &str, settings: &str| {
        format!(
            "---\napiVersion: policies.kubewarden.io/v1\nkind: ClusterAdmissionPolicy\nmetadata: {{name: {name}}}\n\
             spec: {{settings: {settings}}}\n"
        )
    };
    let server = "---\napiVersion: policies.kubewarden.io/v1\nkind: PolicyServer\nmetadata: {name: consul}\n";
    let ran = host(&["-"], &(server.to_owned() + &policy("a", "{default: true}") + &policy("b", "null")));
    assert_eq!(
        ran.stdout, "ClusterAdmissionPolicy a: valid\nClusterAdmissionPolicy b: valid\n",
        "{}",
        ran.stderr
    );
    let ran = host(&["-"], &(policy("a", "{defualt: true}") + &policy("b", "{}")));
    assert_eq!((ran.status, ran.stdout.as_str()), (1, "ClusterAdmissionPolicy b: valid\n"));
    assert!(
        ran.stderr.contains("ClusterAdmissionPolicy a: ") && ran.stderr.contains("did you mean default?")
    );
    let ran = host(&["-"], &policy("a", "[]"));
    assert_eq!(ran.status, 4, "{}", ran.stderr);
}

/// kwctl and the policy server read YAML 1.2, in which `yes` is a string; kubectl does not.
#[test]
fn settings_alone_are_read_as_by_kwctl_and_manifests_as_by_kubectl() {
    for word in ["yes", "on", "y"] {
        let ran = host(&["-"], &format!("default: {word}\n"));
        assert_eq!(ran.status, 1);
        assert!(
            ran.stderr.contains(&format!("setting default: invalid value \"{word}\": must be a boolean")),
            "{}",
            ran.stderr
        );
    }
    for number in ["017", "1_000"] {
        let ran = host(&["-"], &format!("agent: {{httpPort: {number}}}\n"));
        assert!(
            ran.stderr.contains(&format!("setting agent.httpPort: invalid value \"{number}\": ")),
            "{}",
            ran.stderr
        );
    }
    let ran = host(&["-"], "tls: &a {enabled: false}\nacls:\n  <<: *a\n");
    assert!(ran.stderr.contains("setting acls.<<"), "{}", ran.stderr);
    let manifest = "apiVersion: policies.kubewarden.io/v1\nkind: ClusterAdmissionPolicy\nmetadata: {name: a}\n\
                    spec: {settings: {default: yes}}\n";
    assert_eq!(host(&["-"], manifest).stdout, "ClusterAdmissionPolicy a: valid\n");
}

#[test]
fn one_source_is_needed() {
    assert_eq!(host(&[], "").status, 2);
    assert_eq!(host(&["-", "--from-helm", "-"], "").status, 2);
}

#[test]
fn the_chart_of_consul_1_5() {
    let (settings, report) = translated(CONSUL_1_5);
    assert_eq!(
        settings,
        json!({
            "enabled": true, "default": true, "imageConsul": "consul:1.5.0",
            "imageEnvoy": "envoyproxy/envoy:v1.9.1", "acls": { "enabled": true },
            "centralConfig": { "enabled": true, "defaultProtocol": "http" },
        })
    );
    for expected in ["spec.namespaceSelector", "proxy-defaults", "binding rule", "R-consul-k8s-auth-method"] {
        assert!(report.contains(expected), "{expected}: {report}");
    }
}

#[test]
fn the_chart_of_consul_1_9() {
    let translation =
        helm::translate(&documents::parse_one(CONSUL_1_9).unwrap(), &Options { ca_cert: Some(CA), ..AGENT })
            .unwrap();
    assert_eq!(
        translation.settings,
        json!({
            "enabled": true,
            "imageConsul": "hashicorp/consul-enterprise:1.9.1-ent",
            "imageEnvoy": "envoyproxy/envoy-alpine:v1.16.0",
            "tls": { "enabled": true, "caCert": CA },
            "acls": { "enabled": true, "authMethod": "mesh-k8s-auth-method" },
            "enableConsulNamespaces": true,
            "consulNamespaces": { "mirroringK8S": true, "mirroringK8SPrefix": "k8s-" },
            "crossNamespaceACLPolicy": "cross-namespace-policy",
            "openshift": true,
            "agent": { "httpPort": 8600 },
            "healthChecks": { "enabled": true },
            "envoyExtraArgs": "--log-level debug",
            "k8sAllowNamespaces": ["*"], "k8sDenyNamespaces": ["batch"],
            "sidecarProxy": { "resources": { "requests": { "memory": "100Mi" } } },
            "initContainer": { "resources": { "requests": { "memory": "120Mi" } } },
        })
    );
    // Without the certificate, the settings are incomplete, and the report has the remedy.
    let ran = host(&["--from-helm", "-"], CONSUL_1_9);
    assert_eq!(ran.status, 1);
    assert!(ran.stderr.contains(r"mesh-ca -o jsonpath='{.data.ca\.crt}'"), "{}", ran.stderr);
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("ca.pem");
    fs::write(&path, CA).unwrap();
    let ran = host(&["--from-helm", "-", "--ca-cert", path.to_str().unwrap()], CONSUL_1_9);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    assert_eq!(documents::parse_one(&ran.stdout).unwrap(), translation.settings);
}

#[test]
fn todays_chart() {
    let (settings, report) = translated(TODAY);
    assert_eq!(
        settings,
        json!({
            "enabled": true, "imagePullPolicy": "IfNotPresent",
            "acls": { "enabled": true, "authMethod": "own-method" }, "sidecarProxy": { "concurrency": 4 },
            "metrics": { "defaultEnabled": true },
        })
    );
    for expected in [
        "connectInject.transparentProxy.defaultEnabled",
        "spec.failurePolicy",
        "connect-service-upstreams",
        "must not inject the same pods",
    ] {
        assert!(report.contains(expected), "{expected}: {report}");
    }
}

fn texts(values: &Value) -> (Vec<(String, String)>, String) {
    let translation = helm::translate(values, &AGENT).unwrap();
    let outcomes = translation.outcomes.into_iter().map(|outcome| (outcome.key, outcome.text));
    (outcomes.collect(), translation.notes.join("\n"))
}

#[test]
fn a_mode_that_is_off_asks_for_nothing() {
    let off = json!({
        "global": { "peering": { "enabled": false } },
        "connectInject": {
            "transparentProxy": { "defaultEnabled": false, "defaultOverwriteProbes": true },
        },
    });
    for (key, text) in texts(&off).0 {
        assert_eq!(text, "off: nothing to do", "{key}");
    }
}

#[test]
fn the_switch_for_metrics_is_the_injectors_or_the_whole_charts() {
    for (chart, injector, expected) in
        [(true, json!("-"), true), (true, json!(false), false), (false, json!(true), true)]
    {
        let values = json!({
            "global": { "metrics": { "enabled": chart } },
            "connectInject": { "metrics": { "defaultEnabled": injector, "defaultPrometheusScrapePort": 9102 } },
        });
        let settings = helm::translate(&values, &AGENT).unwrap().settings;
        assert_eq!(
            settings["metrics"],
            json!({ "defaultEnabled": expected, "defaultPrometheusScrapePort": 9102 })
        );
    }
}

#[test]
fn what_the_values_leave_open_is_noted() {
    let (_, notes) = texts(
        &json!({ "connectInject": { "enabled": true }, "global": { "image": "hashicorp/consul:1.20.1" } }),
    );
    for expected in ["set an imageEnvoy that it supports", "transparent proxy", "client.enabled is not set"] {
        assert!(notes.contains(expected), "{expected}: {notes}");
    }
    let whole = json!({
        "connectInject": { "enabled": false, "transparentProxy": { "defaultEnabled": false } },
        "client": { "enabled": true },
        "global": { "image": "hashicorp/consul:1.20.1", "imageEnvoy": "envoyproxy/envoy:v1.31.3" },
    });
    assert_eq!(texts(&whole).1, "");
    let (outcomes, _) =
        texts(&json!({ "externalServers": { "enabled": true, "hosts": ["consul.example.com"] } }));
    assert!(outcomes.iter().all(|(_, text)| text.contains("client.join")), "{outcomes:?}");
}

#[test]
fn every_key_is_accounted_for() {
    fn leaves(path: &str, value: &Value, found: &mut Vec<String>) {
        match value.as_object() {
            Some(block) => block.iter().for_each(|(key, value)| {
                leaves(&if path.is_empty() { key.clone() } else { format!("{path}.{key}") }, value, found);
            }),
            None => found.push(path.to_owned()),
        }
    }
    for values in [CONSUL_1_5, CONSUL_1_9, TODAY] {
        let values = documents::parse_one(values).unwrap();
        let mut written = Vec::new();
        leaves("", &values, &mut written);
        let mut told: Vec<_> = helm::translate(&values, &AGENT)
            .unwrap()
            .outcomes
            .into_iter()
            .map(|outcome| outcome.key)
            .collect();
        written.sort();
        told.sort();
        assert_eq!(told, written);
    }
}

/// Real values files, beyond the charts' defaults.
#[test]
fn values_as_people_write_them() {
    let translate = |values: Value| helm::translate(&values, &AGENT).unwrap();
    let notes = |values: Value| translate(values).notes.join("\n");
    let vault = notes(json!({ "global": {
        "secretsBackend": { "vault": { "enabled": true } },
        "tls": { "enabled": true, "caCert": { "secretName": "pki/cert/ca" } },
    } }));
    assert!(vault.contains("vault read -field=certificate pki/cert/ca >ca.pem"), "{vault}");
    // Up to chart 0.14, the method's name begins with the release's.
    let old = translate(json!({ "global": { "name": "mesh", "bootstrapACLs": true } }));
    assert_eq!(old.settings.pointer("/acls/authMethod"), None);
    assert!(old.notes.iter().any(|note| note.contains("R-consul-k8s-auth-method")), "{:?}", old.notes);
    let own = notes(json!({ "nameOverride": "mesh", "global": { "acls": { "manageSystemACLs": true } } }));
    assert!(own.contains("R-mesh-k8s-auth-method"), "{own}");
    // With other charts' blocks, and with a `global` that is not an object.
    let nested = translate(json!({
        "server": { "port": 80 }, "global": { "enabled": true },
        "consul": { "global": "x", "connectInject": { "default": true } },
    }));
    assert_eq!(nested.settings, json!({ "default": true }));
    let text = |values: Value, key: &str| {
        let outcomes = translate(values).outcomes;
        outcomes.into_iter().find(|outcome| outcome.key == key).unwrap().text
    };
    let off = json!({ "global": { "enabled": false }, "client": { "enabled": "-" } });
    assert!(text(off, "client.enabled").contains("set it to true"));
    let empty = json!({ "global": { "tls": { "caCert": { "secretName": null } } } });
    assert_eq!(text(empty, "global.tls.caCert.secretName"), "empty: nothing to do");
    let moved = json!({ "client": { "extraConfig": "{\"ports\": {\"http\": \"8600\"}}" } });
    assert_eq!(translate(moved).settings, json!({ "agent": { "httpPort": 8600 } }));
    let broken = json!({ "client": { "extraConfig": "ports {" } });
    assert!(text(broken, "client.extraConfig").contains("set agent.httpPort"));
}

#[test]
fn settings_in_yamls_flow_style_are_read() {
    for settings in ["{default: true, }", "{\"default\": true} # as kwctl takes it", "{\"default\": true}"] {
        let ran = host(&["-"], settings);
        assert_eq!((ran.status, ran.stdout.as_str()), (0, "valid\n"), "{settings}: {}", ran.stderr);
    }
    let broken = host(&["-"], "{\"default\": tru");
    assert!(broken.status == 4 && broken.stderr.contains("not valid JSON"), "{}", broken.stderr);
}

#[test]
fn a_typo_is_answered_with_the_nearest_key_and_a_status_of_its_own() {
    let ran = host(
        &["--from-helm", "-", "--mode", "agent"],
        "connectInject: {defualt: true, enabled: true}\nclinet: {grpc: true}\n",
    );
    assert_eq!(ran.status, 10);
    assert_eq!(documents::parse_one(&ran.stdout).unwrap(), json!({ "enabled": true }));
    for expected in [
        "did you mean connectInject.default?",
        "did you mean client?",
        "unknown keys, omitted from the settings: clinet, connectInject.defualt",
    ] {
        assert!(ran.stderr.contains(expected), "{expected}: {}", ran.stderr);
    }
    // Settings that the policy rejects take precedence.
    assert_eq!(
        host(&["--from-helm", "-", "--mode", "agent"], "clinet: {}\nconnectInject: {default: 1}\n").status,
        1
    );
}

#[test]
fn the_charts_own_injector_being_off_leaves_the_policy_on() {
    for values in [
        json!({ "connectInject": { "enabled": false } }),
        json!({ "global": { "enabled": false }, "connectInject": { "enabled": "-" } }),
    ] {
        let translation = helm::translate(&values, &AGENT).unwrap();
        assert_eq!(translation.settings, json!({}));
        let outcome =
            translation.outcomes.iter().find(|outcome| outcome.key == "connectInject.enabled").unwrap();
        assert!(outcome.text.contains("the policy's `enabled` stays true"), "{}", outcome.text);
        assert!(!translation.notes.join("\n").contains("must not inject the same pods"));
    }
    for values in [
        json!({}),
        json!({ "connectInject": { "enabled": "-" } }),
        json!({ "connectInject": { "enabled": true } }),
    ] {
        assert!(texts(&values).1.contains("must not inject the same pods"), "{values}");
    }
    let inherited = helm::translate(&json!({ "connectInject": { "enabled": "-" } }), &AGENT).unwrap();
    assert_eq!(inherited.settings, json!({ "enabled": true }));
    assert!(texts(&json!({})).1.contains("true from chart 1.0 on and false before"));
}

/// In the chart, an empty list makes the injector do nothing.
#[test]
fn an_empty_list_of_namespaces_is_not_carried_over_and_that_is_reported() {
    for (default, pods) in
        [(false, "pods with the annotation connect-inject"), (true, "ALL PODS of all namespaces")]
    {
        let values =
            json!({ "connectInject": { "enabled": true, "default": default, "k8sAllowNamespaces": [] } });
        let translation = helm::translate(&values, &AGENT).unwrap();
        assert_eq!(translation.settings, json!({ "enabled": true, "default": default }));
        assert!(translation.notes.join("\n").contains(pods), "{:?}", translation.notes);
    }
}

#[test]
fn what_helm_prints_above_the_values_is_no_key() {
    for heading in ["USER-SUPPLIED VALUES", "COMPUTED VALUES"] {
        let (settings, report) = translated(&format!("{heading}:\nconnectInject:\n  enabled: true\n"));
        assert_eq!(settings, json!({ "enabled": true }));
        assert!(!report.contains(heading), "{report}");
    }
}

/// In Helm, an outer chart's `global` overrides that of its dependencies.
#[test]
fn the_values_of_a_chart_with_consul_as_a_dependency() {
    let (settings, report) = translated(
        "global: {storageClass: fast, acls: {manageSystemACLs: true}}\nweb: {replicas: 2}\n\
         consul:\n  global: {name: mesh, acls: {manageSystemACLs: false}}\n  connectInject: {default: true}\n",
    );
    assert_eq!(
        settings,
        json!({ "acls": { "enabled": true, "authMethod": "mesh-k8s-auth-method" }, "default": true })
    );
    assert!(report.contains("those of a dependency"), "{report}");
}

#[test]
fn consul_namespaces_are_as_the_chart_has_them() {
    let values = json!({ "global": { "enableConsulNamespaces": true } });
    let (_, notes) = texts(&values);
    assert!(notes.contains("mirroringK8S is not set"), "{notes}");
    let values = json!({
        "global": { "enableConsulNamespaces": true, "acls": { "manageSystemACLs": true } },
        "connectInject": { "consulNamespaces": { "mirroringK8S": false } },
    });
    let translation = helm::translate(&values, &AGENT).unwrap();
    assert_eq!(translation.settings["crossNamespaceACLPolicy"], "cross-namespace-policy");
    assert!(!translation.notes.join("\n").contains("mirroringK8S is not set"));
}

#[test]
fn what_only_the_last_charts_of_0_x_have_is_known() {
    let (outcomes, _) = texts(&json!({ "connectInject": { "prepareDataplanesUpgrade": true } }));
    assert!(outcomes[0].1.contains("the deployment of Consul's injector"), "{outcomes:?}");
}

#[test]
fn the_values_blocks_of_the_documentation_pass_whole() {
    for (block, expected) in [
        ("connectInject: {enabled: true}\nclient: {enabled: true, grpc: true}", json!({ "enabled": true })),
        ("connectInject: {enabled: true}\nclient: {enabled: true}", json!({ "enabled": true })),
        ("connectInject: {enabled: true, default: true}", json!({ "enabled": true, "default": true })),
        (
            "connectInject:\n  enabled: true\n  k8sAllowNamespaces: ['*']\n  k8sDenyNamespaces: ['no-inject-ns-1', 'no-inject-ns-2']",
            json!({ "enabled": true, "k8sAllowNamespaces": ["*"],
                    "k8sDenyNamespaces": ["no-inject-ns-1", "no-inject-ns-2"] }),
        ),
        (
            "connectInject:\n  enabled: true\n  k8sAllowNamespaces: ['my-ns-1', 'my-ns-2']\n  k8sDenyNamespaces: []",
            json!({ "enabled": true, "k8sAllowNamespaces": ["my-ns-1", "my-ns-2"], "k8sDenyNamespaces": [] }),
        ),
        (
            "global:\n  enableConsulNamespaces: true\nconnectInject:\n  enabled: true\n  consulNamespaces:\n    consulDestinationNamespace: 'my-consul-ns'",
            json!({ "enabled": true, "enableConsulNamespaces": true,
                    "consulNamespaces": { "consulDestinationNamespace": "my-consul-ns" } }),
        ),
        (
            "connectInject:\n  enabled: true\n  k8sAllowNamespaces: ['*']\n  k8sDenyNamespaces: []",
            json!({ "enabled": true, "k8sAllowNamespaces": ["*"], "k8sDenyNamespaces": [] }),
        ),
        (
            "global:\n  enableConsulNamespaces: true\nconnectInject:\n  enabled: true\n  consulNamespaces:\n    mirroringK8S: true",
            json!({ "enabled": true, "enableConsulNamespaces": true, "consulNamespaces": { "mirroringK8S": true } }),
        ),
        ("global: {bootstrapACLs: true}", json!({ "acls": { "enabled": true } })),
        (
            "global:\n  enableConsulNamespaces: true\nconnectInject:\n  enabled: true\n  consulNamespaces:\n    mirroringK8S: true\n    mirroringK8SPrefix: 'k8s-'",
            json!({ "enabled": true, "enableConsulNamespaces": true,
                    "consulNamespaces": { "mirroringK8S": true, "mirroringK8SPrefix": "k8s-" } }),
        ),
    ] {
        let (settings, report) = translated(block);
        assert_eq!(settings, expected, "{block}");
        assert!(!report.contains("unknown keys"), "{report}");
    }
}
