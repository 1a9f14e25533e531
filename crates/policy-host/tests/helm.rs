//! Where the values of Consul's chart are found, and which of them are omitted.

#![allow(clippy::unwrap_used)]

use policy_host::{
    documents,
    helm::{self, Fate, HelmError, Mode, Options, Translation},
};
use serde_json::{Value, json};

/// Agent mode, whatever the values are.
const AGENT: Options<'_> = Options { mode: Some(Mode::Agent), ca_cert: None, release: None, namespace: None };

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
