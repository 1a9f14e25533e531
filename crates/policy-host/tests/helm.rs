//! The values of Consul's charts, translated for agent mode: where they are found, and what
//! becomes of them.

mod support;

use policy_host::{
    documents,
    helm::{self, Fate, HelmError, Options, Translation},
};
use serde_json::{Value, json};
use support::project::{AGENT, CA, refusal};

fn translated(text: &str) -> Result<Translation, HelmError> {
    let document = helm::pick(documents::parse(text).unwrap())?;
    helm::translate(&document, &AGENT)
}

fn settings(text: &str) -> Value {
    translated(text).unwrap().settings
}

fn notes(text: &str) -> String {
    translated(text).unwrap().notes.join("\n")
}

/// The settings, which must be valid, and the report about each key with the notes.
fn reported(text: &str) -> (Value, String) {
    let Translation { settings, outcomes, notes, .. } = translated(text).unwrap();
    assert_eq!(refusal(&settings), None);
    let mut report = notes.join("\n");
    for outcome in outcomes {
        report += &format!("\n{}: {}: {}", outcome.fate, outcome.key, outcome.text);
    }
    (settings, report)
}

const FLUX: &str = "
apiVersion: helm.toolkit.fluxcd.io/v2beta1
kind: HelmRelease
metadata: {name: mesh, namespace: flux-system}
spec:
  chart: {spec: {chart: consul, sourceRef: {kind: HelmRepository, name: hashicorp}}}
  valuesFrom:
  - {kind: ConfigMap, name: consul-values}
  - {kind: Secret, name: consul-acls, valuesKey: acls.yaml}
  values:
    global: {name: mesh, acls: {manageSystemACLs: true}}
    connectInject: {enabled: true, k8sDenyNamespaces: [batch]}
";

#[test]
fn a_helm_release_of_flux() {
    assert_eq!(
        settings(FLUX),
        json!({
            "acls": { "enabled": true, "authMethod": "mesh-k8s-auth-method" },
            "enabled": true, "k8sDenyNamespaces": ["batch"],
        })
    );
    let notes = notes(FLUX);
    for expected in [
        "the values are read from spec.values of HelmRelease flux-system/mesh",
        "spec.valuesFrom has the ConfigMap consul-values, whose values are not read",
        "spec.valuesFrom has the Secret consul-acls",
    ] {
        assert!(notes.contains(expected), "{expected}: {notes}");
    }
}

#[test]
fn the_first_version_of_flux() {
    let release = "
apiVersion: helm.fluxcd.io/v1
kind: HelmRelease
metadata: {name: consul}
spec:
  chart: {repository: https://helm.releases.hashicorp.com, name: consul}
  valuesFrom: [{secretKeyRef: {name: gossip}}]
  values: {connectInject: {default: true}}
";
    assert_eq!(settings(release), json!({ "default": true }));
    assert!(notes(release).contains("has the Secret gossip"), "{}", notes(release));
}

/// An Application of Argo CD with this source.
fn application(source: &str) -> String {
    format!(
        "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {{name: consul, namespace: argocd}}\nspec:\n{source}"
    )
}

#[test]
fn an_application_of_argo_cd_has_values_as_a_text() {
    let text = application(
        "  source:\n    chart: consul\n    helm:\n      releaseName: consul\n      values: |\n        \
         connectInject:\n          enabled: true\n          default: true\n",
    );
    assert_eq!(settings(&text), json!({ "enabled": true, "default": true }));
    assert!(notes(&text).contains("from spec.source.helm of Application argocd/consul"), "{}", notes(&text));
}

/// As in Argo CD: the object replaces the string, and parameters override both.
#[test]
fn an_application_of_argo_cd_has_values_as_an_object_and_parameters() {
    let text = application(
        "  source:
    chart: consul
    helm:
      values: 'connectInject: {default: true}'
      valuesObject: {connectInject: {enabled: true}, client: {grpc: true}}
      valueFiles: [values/prod.yaml]
      parameters:
      - {name: connectInject.sidecarProxy.concurrency, value: '4'}
      - {name: global.acls.manageSystemACLs, value: 'true'}
      - {name: global.name, value: '007', forceString: true}
      - {name: 'connectInject.k8sDenyNamespaces[0]', value: batch}
",
    );
    assert_eq!(
        settings(&text),
        json!({
            "enabled": true, "sidecarProxy": { "concurrency": 4 },
            "acls": { "enabled": true, "authMethod": "007-k8s-auth-method" },
        })
    );
    for expected in [
        "spec.source.helm.parameters sets connectInject.sidecarProxy.concurrency to 4",
        "spec.source.helm.parameters sets connectInject.k8sDenyNamespaces[0], which is not supported here",
        "spec.source.helm names the file values/prod.yaml, whose values are not read",
    ] {
        assert!(notes(&text).contains(expected), "{expected}: {}", notes(&text));
    }
}

#[test]
fn an_application_of_argo_cd_has_several_sources() {
    let text = application(
        "  sources:
  - {repoURL: https://example.com/values.git, ref: values}
  - {chart: prometheus, helm: {valuesObject: {server: {port: 1}}}}
  - {chart: consul, helm: {valuesObject: {connectInject: {default: true}}}}
",
    );
    assert_eq!(settings(&text), json!({ "default": true }));
    // Custom charts from a repository: which one has Consul as a dependency?
    let text =
        application("  sources:\n  - {path: a, helm: {values: ''}}\n  - {path: b, helm: {values: ''}}\n");
    assert_eq!(translated(&text).unwrap_err(), HelmError::NoValues("Application argocd/consul".to_owned()));
    let text = application(
        "  sources:\n  - {path: a}\n  - {path: b, helm: {values: 'consul: {global: {name: c}}'}}\n",
    );
    assert!(notes(&text).contains("those of a dependency"));
}

#[test]
fn other_tools_objects() {
    let set = "
apiVersion: argoproj.io/v1alpha1
kind: ApplicationSet
metadata: {name: consul}
spec: {template: {spec: {source: {chart: consul, helm: {valuesObject: {connectInject: {default: true}}}}}}}
";
    let chart = "
apiVersion: helm.cattle.io/v1
kind: HelmChart
metadata: {name: consul, namespace: kube-system}
spec:
  chart: hashicorp/consul
  set: {connectInject.default: 'true'}
  valuesContent: |-
    client: {enabled: true}
";
    let kustomization = "
helmCharts:
- {name: grafana, valuesInline: {}}
- {name: consul, repo: https://helm.releases.hashicorp.com, valuesInline: {connectInject: {default: true}}}
";
    let config_map = "
apiVersion: v1
kind: ConfigMap
metadata: {name: consul-values}
data:
  values.yaml: |
    connectInject: {default: true}
";
    for text in [set, chart, kustomization, config_map] {
        assert_eq!(settings(text), json!({ "default": true }), "{text}");
    }
}

#[test]
fn values_within_those_of_another_tool() {
    let helmfile = "
repositories: [{name: hashicorp}]
releases:
- {name: grafana, values: [{service: {type: LoadBalancer}}]}
- {name: consul, values: [{connectInject: {default: true}}]}
";
    assert_eq!(settings(helmfile), json!({ "default": true }));
    assert!(notes(helmfile).contains("from releases[1].values[0]"), "{}", notes(helmfile));
    let umbrella = "platform: {consul: {connectInject: {default: true}}}";
    assert_eq!(settings(umbrella), json!({ "default": true }));
    let two = helmfile.replace("{service: {type: LoadBalancer}}", "{connectInject: {}}");
    let error = translated(&two).unwrap_err().to_string();
    assert!(error.contains("in 2 places") && error.contains("releases[0].values[0]"), "{error}");
    let error = translated("alertmanager: {enabled: false}").unwrap_err().to_string();
    assert!(error.starts_with("the file has no values of the chart; "), "{error}");
}

/// The chart's templates write quoted and unquoted values alike, but `if` treats any string as
/// true.
#[test]
fn quoted_values() {
    let text = "connectInject: {default: 'true', sidecarProxy: {concurrency: '4', resources: {limits: {cpu: '1'}}},\
                metrics: {defaultPrometheusScrapePort: '20300'}}";
    assert_eq!(
        settings(text),
        json!({
            "default": true, "sidecarProxy": { "concurrency": 4, "resources": { "limits": { "cpu": "1" } } },
            "metrics": { "defaultPrometheusScrapePort": 20300 },
        })
    );
    assert_eq!(settings("connectInject: {default: 'false'}"), json!({ "default": "false" }));
}

#[test]
fn anchors_in_a_block_of_their_own() {
    let text = "x-small: &small {requests: {cpu: 10m}}\nconnectInject: {sidecarProxy: {resources: *small}}";
    assert_eq!(settings(text), json!({ "sidecarProxy": { "resources": { "requests": { "cpu": "10m" } } } }));
    assert_eq!(translated(text).unwrap().unknown().count(), 0);
}

#[test]
fn the_object_with_the_values_is_found_among_others() {
    let others = "apiVersion: v1\nkind: Namespace\nmetadata: {name: consul}\n---\n\
                  apiVersion: source.toolkit.fluxcd.io/v1\nkind: HelmRepository\nmetadata: {name: hashicorp}\n---";
    assert_eq!(settings(&format!("{others}{FLUX}")), settings(FLUX));
    let grafana = FLUX.replace("chart: consul", "chart: grafana");
    assert_eq!(settings(&format!("{others}{grafana}---{FLUX}")), settings(FLUX));
    let error = translated(&format!("{FLUX}---{FLUX}")).unwrap_err().to_string();
    assert!(error.contains("HelmRelease flux-system/mesh, HelmRelease flux-system/mesh"), "{error}");
    let error = translated(&format!("{others}\n{others}")).unwrap_err().to_string();
    assert!(error.starts_with("the file has no values of the chart; "), "{error}");
}

#[test]
fn a_document_without_values_is_an_error() {
    let error = translated("apiVersion: v1\nkind: Service\nmetadata: {name: web}\n").unwrap_err().to_string();
    assert!(error.starts_with("Service web has no values of the chart; pass a values file"), "{error}");
    let broken = application("  source:\n    chart: consul\n    helm:\n      values: 'a: b: c'\n");
    let error = translated(&broken).unwrap_err().to_string();
    assert!(error.starts_with("spec.source.helm.values: not valid YAML at line 1"), "{error}");
    assert_eq!(translated("[1]").unwrap_err(), HelmError::NotAnObject);
}

/// Neither Helm nor the translation treats a key with dots as a path.
#[test]
fn a_key_with_dots_is_no_path() {
    let translation = translated(
        "global.name: mesh\nclient.grpc: true\nconnectInject: {sidecarProxy.concurrency: 4}\na.b: 1\n",
    )
    .unwrap();
    assert_eq!(translation.settings, json!({}));
    let said: Vec<_> = translation
        .outcomes
        .iter()
        .map(|outcome| (outcome.key.as_str(), outcome.fate, outcome.text.as_str()))
        .collect();
    let dots = "a single key with dots, which Helm does not read as a path";
    assert_eq!(
        said,
        [
            ("a.b", Fate::Unknown, dots),
            ("client.grpc", Fate::Unknown, &*format!("{dots}; write client: {{grpc: true}}")),
            (
                "connectInject.sidecarProxy.concurrency",
                Fate::Unknown,
                &*format!("{dots}; write sidecarProxy: {{concurrency: 4}}")
            ),
            ("global.name", Fate::Unknown, &*format!("{dots}; write global: {{name: \"mesh\"}}")),
        ]
    );
}

/// The output of `helm get values --all` for chart 0.43 and for today's chart.
#[test]
fn the_charts_own_resources_are_left_out() {
    let old = json!({
        "global": { "consulSidecarContainer": { "resources": {
            "requests": { "memory": "25Mi", "cpu": "20m" }, "limits": { "memory": "50Mi", "cpu": "20m" } } } },
        "connectInject": { "initContainer": { "resources": {
            "requests": { "memory": "25Mi", "cpu": "50m" }, "limits": { "memory": "150Mi", "cpu": "50m" } } } },
    });
    let translation = helm::translate(&old, &AGENT).unwrap();
    assert_eq!(translation.settings, json!({}));
    assert_eq!(translation.outcomes.len(), 8);
    for outcome in &translation.outcomes {
        assert!(outcome.text.starts_with("omitted: "), "{outcome:?}");
        assert!(outcome.text.contains("is the chart's default"), "{outcome:?}");
    }
    // The user's own amounts are kept.
    let mut own = old;
    own["connectInject"]["initContainer"]["resources"]["limits"] = json!({ "memory": "300Mi", "cpu": "1" });
    assert_eq!(
        helm::translate(&own, &AGENT).unwrap().settings,
        json!({ "initContainer": { "resources": { "limits": { "memory": "300Mi", "cpu": "1" } } } })
    );
    let small = json!({ "global": { "consulSidecarContainer": { "resources": { "limits": { "memory": "64Mi" } } } } });
    assert!(helm::translate(&small, &AGENT).unwrap().outcomes[0].text.contains("or it is killed"));
}

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

#[test]
fn the_chart_of_consul_1_5() {
    let (settings, report) = reported(CONSUL_1_5);
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
}

#[test]
fn todays_chart() {
    let (settings, report) = reported(TODAY);
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
        let (settings, report) = reported(&format!("{heading}:\nconnectInject:\n  enabled: true\n"));
        assert_eq!(settings, json!({ "enabled": true }));
        assert!(!report.contains(heading), "{report}");
    }
}

/// In Helm, an outer chart's `global` overrides that of its dependencies.
#[test]
fn the_values_of_a_chart_with_consul_as_a_dependency() {
    let (settings, report) = reported(
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
        let (settings, report) = reported(block);
        assert_eq!(settings, expected, "{block}");
        assert!(!report.contains("unknown keys"), "{report}");
    }
}

/// In a block whose other keys all stay with the chart.
#[test]
fn a_misspelt_key_is_none_of_the_others() {
    let text =
        "client: {grcp: true, image: null, join: [a]}\nglobal: {tls: {enabeld: true, httpsOnly: true}}";
    let unknown: Vec<_> = translated(text).unwrap().unknown().map(str::to_owned).collect();
    assert_eq!(unknown, ["client.grcp", "global.tls.enabeld"]);
}
