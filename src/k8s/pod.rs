//! The parts of a pod, or of a workload's pod template, that the policy reads. These types are
//! not used to write pods, because they do not have all fields.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ContainerPort, Probe, ResourceRequirements};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::json::{Unreadable, null_as_default, read_list, read_value};

/// The kind and metadata of an object, which are enough for most decisions.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct PodMeta {
    #[serde(deserialize_with = "null_as_default")]
    pub kind: String,
    #[serde(deserialize_with = "null_as_default")]
    pub metadata: Metadata,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Metadata {
    #[serde(deserialize_with = "null_as_default")]
    pub name: String,
    #[serde(deserialize_with = "null_as_default")]
    pub generate_name: String,
    #[serde(deserialize_with = "null_as_default")]
    pub namespace: String,
    #[serde(deserialize_with = "null_as_default")]
    pub annotations: BTreeMap<String, Value>,
    #[serde(deserialize_with = "null_as_default")]
    pub labels: BTreeMap<String, Value>,
    #[serde(deserialize_with = "null_as_default")]
    pub owner_references: Vec<Owner>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Owner {
    #[serde(deserialize_with = "null_as_default")]
    pub kind: String,
}

/// The names of a pod's containers, where nothing else of them matters.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ContainerNames {
    #[serde(deserialize_with = "null_as_default")]
    containers: Vec<ContainerName>,
    #[serde(deserialize_with = "null_as_default")]
    init_containers: Vec<ContainerName>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ContainerName {
    #[serde(deserialize_with = "null_as_default")]
    name: String,
}

impl ContainerNames {
    pub fn any(&self, is_wanted: impl Fn(&str) -> bool) -> bool {
        self.containers.iter().chain(&self.init_containers).any(|container| is_wanted(&container.name))
    }
}

/// The specification of a pod.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PodSpec<'a> {
    // Read one by one, so that errors name the container.
    #[serde(skip)]
    pub containers: Vec<Container<'a>>,
    #[serde(skip)]
    pub init_containers: Vec<Container<'a>>,
    #[serde(borrow, deserialize_with = "null_as_default")]
    pub volumes: Vec<Named<'a>>,
    #[serde(deserialize_with = "null_as_default")]
    service_account_name: &'a str,
    #[serde(deserialize_with = "null_as_default")]
    service_account: &'a str,
    #[serde(deserialize_with = "null_as_default")]
    pub host_network: bool,
    #[serde(borrow)]
    os: Option<Named<'a>>,
    #[serde(borrow, deserialize_with = "null_as_default")]
    node_selector: BTreeMap<&'a str, Option<&'a str>>,
    #[serde(skip)]
    has_windows_affinity: bool,
    #[serde(deserialize_with = "null_as_default")]
    pub restart_policy: &'a str,
    pub termination_grace_period_seconds: Option<i64>,
    /// Pod-level resources.
    pub resources: Option<ResourceRequirements>,
    pub security_context: Option<Security>,
    pub dns_config: Option<IgnoredAny>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Named<'a> {
    #[serde(deserialize_with = "null_as_default")]
    pub name: &'a str,
}

/// The parts of a security context that the policy reads.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Security {
    pub run_as_user: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Container<'a> {
    #[serde(deserialize_with = "null_as_default")]
    pub name: &'a str,
    #[serde(deserialize_with = "null_as_default")]
    pub image: &'a str,
    #[serde(deserialize_with = "null_as_default")]
    pub ports: Vec<ContainerPort>,
    #[serde(borrow, deserialize_with = "null_as_default")]
    pub env: Vec<Variable<'a>>,
    pub readiness_probe: Option<Probe>,
    pub liveness_probe: Option<Probe>,
    pub startup_probe: Option<Probe>,
    pub resources: Option<ResourceRequirements>,
    pub security_context: Option<Security>,
    #[serde(deserialize_with = "null_as_default")]
    restart_policy: &'a str,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Variable<'a> {
    #[serde(deserialize_with = "null_as_default")]
    pub name: &'a str,
    #[serde(deserialize_with = "null_as_default")]
    pub value: &'a str,
}

impl<'a> PodSpec<'a> {
    /// `path` is the specification's path in the request's object.
    pub fn read(spec: &'a Value, path: &str) -> Result<Self, Unreadable> {
        Ok(PodSpec {
            containers: read_list(spec, "containers", path)?,
            init_containers: read_list(spec, "initContainers", path)?,
            has_windows_affinity: has_windows_affinity(spec),
            ..read_value(spec, path)?
        })
    }

    pub fn service_account(&self) -> &'a str {
        let names = [self.service_account_name, self.service_account];
        names.into_iter().find(|name| !name.is_empty()).unwrap_or("default")
    }

    /// All init containers, then the containers.
    pub fn all_containers(&self) -> impl Iterator<Item = &Container<'a>> {
        self.init_containers.iter().chain(&self.containers)
    }

    /// The containers that run at the same time: the ordinary ones, then native sidecars.
    pub fn running(&self) -> impl Iterator<Item = &Container<'a>> {
        self.containers
            .iter()
            .chain(self.init_containers.iter().filter(|container| container.is_native_sidecar()))
    }

    /// The time between the pod's deletion and the kill signal.
    pub fn grace_seconds(&self) -> u64 {
        self.termination_grace_period_seconds.and_then(|seconds| seconds.try_into().ok()).unwrap_or(30)
    }

    /// The field that selects Windows nodes, if one does.
    pub fn windows(&self) -> Option<&'static str> {
        const LABELS: [(&str, &str); 2] = [
            ("kubernetes.io/os", "nodeSelector[kubernetes.io/os]"),
            ("beta.kubernetes.io/os", "nodeSelector[beta.kubernetes.io/os]"),
        ];
        if self.os.as_ref().is_some_and(|os| os.name == "windows") {
            return Some("os.name");
        }
        let selected =
            LABELS.iter().find(|(label, _)| self.node_selector.get(label) == Some(&Some("windows")));
        if let Some((_, place)) = selected {
            return Some(place);
        }
        if self.node_selector.contains_key(WINDOWS_BUILD) {
            return Some("nodeSelector[node.kubernetes.io/windows-build]");
        }
        self.has_windows_affinity.then_some("affinity.nodeAffinity")
    }
}

/// A label that only Windows nodes have.
const WINDOWS_BUILD: &str = "node.kubernetes.io/windows-build";

/// Whether the required node affinity selects only Windows nodes: its terms are alternatives, so
/// all of them must.
fn has_windows_affinity(spec: &Value) -> bool {
    const TERMS: &str =
        "/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms";
    let is_windows = |expression: &Value| {
        let values = expression["values"].as_array().map(Vec::as_slice).unwrap_or_default();
        match (expression["key"].as_str(), expression["operator"].as_str()) {
            (Some("kubernetes.io/os" | "beta.kubernetes.io/os"), Some("In")) => {
                !values.is_empty() && values.iter().all(|value| value == "windows")
            }
            (Some("kubernetes.io/os" | "beta.kubernetes.io/os"), Some("NotIn")) => {
                values.iter().any(|value| value == "linux")
            }
            (Some(WINDOWS_BUILD), Some("In" | "Exists")) => true,
            _ => false,
        }
    };
    let has_windows =
        |term: &Value| term["matchExpressions"].as_array().into_iter().flatten().any(is_windows);
    let terms = spec.pointer(TERMS).and_then(Value::as_array);
    terms.is_some_and(|terms| !terms.is_empty() && terms.iter().all(has_windows))
}

impl Container<'_> {
    /// An init container that keeps running.
    pub fn is_native_sidecar(&self) -> bool {
        self.restart_policy == "Always"
    }

    /// The container's probes, by the names of their fields.
    pub fn probes(&self) -> impl Iterator<Item = (&'static str, &Probe)> {
        let probes = [
            ("readinessProbe", &self.readiness_probe),
            ("livenessProbe", &self.liveness_probe),
            ("startupProbe", &self.startup_probe),
        ];
        probes.into_iter().filter_map(|(field, probe)| Some((field, probe.as_ref()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn null_is_as_good_as_absent() {
        let spec = json!({ "containers": null, "nodeSelector": null, "hostNetwork": null, "serviceAccountName": null,
            "initContainers": [{ "name": null, "env": null, "ports": null }], "os": null, "affinity": null });
        let spec = PodSpec::read(&spec, "spec").unwrap();
        assert_eq!(spec.service_account(), "default");
        assert_eq!(spec.init_containers.len(), 1);
    }

    #[test]
    fn wrong_types_are_named_by_their_place() {
        for (spec, place) in [
            (json!(3), "spec: "),
            (json!({ "containers": {} }), "spec.containers: "),
            (json!({ "containers": [1] }), "spec.containers[0]: "),
            (json!({ "containers": [{ "name": {} }] }), "spec.containers[0]: "),
            (json!({ "containers": [{ "ports": [{ "containerPort": "x" }] }] }), "spec.containers[0]: "),
            (json!({ "containers": [{}], "volumes": 3 }), "spec: "),
        ] {
            let error = PodSpec::read(&spec, "spec").unwrap_err().to_string();
            assert!(error.starts_with(place), "{spec}: {error}");
        }
    }

    #[test]
    fn pods_for_windows_say_so_in_several_ways() {
        let windows = |spec: Value| PodSpec::read(&spec, "spec").unwrap().windows();
        let affinity = |terms: Value| {
            let required = json!({ "nodeSelectorTerms": terms });
            json!({ "affinity": { "nodeAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": required } } })
        };
        let expression = |key: &str, operator: &str, values: &[&str]| json!({ "matchExpressions": [{ "key": key, "operator": operator, "values": values }] });
        let term = |os: &str| expression("kubernetes.io/os", "In", &[os]);
        assert_eq!(windows(json!({ "os": { "name": "windows" } })), Some("os.name"));
        assert_eq!(
            windows(json!({ "nodeSelector": { "kubernetes.io/os": "windows" } })),
            Some("nodeSelector[kubernetes.io/os]")
        );
        assert_eq!(windows(affinity(json!([term("windows")]))), Some("affinity.nodeAffinity"));
        assert_eq!(windows(affinity(json!([term("windows"), term("linux")]))), None);
        let build = "node.kubernetes.io/windows-build";
        for (term, expected) in [
            (expression("beta.kubernetes.io/os", "In", &["windows"]), true),
            (expression("kubernetes.io/os", "NotIn", &["linux"]), true),
            (expression(build, "Exists", &[]), true),
            (expression(build, "DoesNotExist", &[]), false),
            (expression("kubernetes.io/os", "In", &["windows", "linux"]), false),
            (expression("kubernetes.io/os", "NotIn", &["windows"]), false),
            (expression("zone", "In", &["windows"]), false),
        ] {
            assert_eq!(windows(affinity(json!([term]))).is_some(), expected, "{term}");
        }
        assert!(windows(json!({ "nodeSelector": { build: "10.0.20348" } })).is_some());
        assert_eq!(windows(affinity(json!([]))), None);
        assert_eq!(windows(json!({ "os": { "name": "linux" } })), None);
    }
}
