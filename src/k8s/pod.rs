//! A pod, or a workload's pod template. `SpecFields` has all fields, as text, and is edited. The
//! other types have only what the policy reads.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ContainerPort, Probe, ResourceRequirements};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::json::{Fields, Unreadable, null_as_default};

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", expecting = "an object")]
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

impl Metadata {
    pub fn is_owned_by_job(&self) -> bool {
        self.owner_references.iter().any(|owner| owner.kind == "Job")
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, expecting = "an object")]
pub struct Owner {
    #[serde(deserialize_with = "null_as_default")]
    pub kind: String,
}

/// A pod's specification. Its fields and those of its containers are still text.
#[derive(Debug)]
pub struct SpecFields<'a> {
    pub fields: Fields<'a>,
    pub containers: Vec<Fields<'a>>,
    pub init_containers: Vec<Fields<'a>>,
}

impl<'a> SpecFields<'a> {
    pub fn read(pod: &Fields<'a>) -> Result<Self, Unreadable> {
        let fields = pod.object("spec")?;
        let fields = fields.ok_or_else(|| Unreadable::new(pod.path_of("spec"), "is required"))?;
        let containers = fields.objects("containers")?;
        let init_containers = fields.objects("initContainers")?;
        Ok(SpecFields { fields, containers, init_containers })
    }

    /// The names of all containers. Those that cannot be read are left out.
    pub fn container_names(&self) -> impl Iterator<Item = String> {
        let containers = self.containers.iter().chain(&self.init_containers);
        containers.filter_map(|container| container.find("name").ok()?)
    }
}

/// What the policy reads of a specification.
#[derive(Debug)]
pub struct PodSpec {
    pub containers: Vec<Container>,
    pub init_containers: Vec<Container>,
    pub volumes: Vec<Named>,
    service_account_name: String,
    service_account: String,
    pub host_network: bool,
    os: Named,
    node_selector: BTreeMap<String, Option<String>>,
    has_windows_affinity: bool,
    pub restart_policy: String,
    pub termination_grace_period_seconds: Option<i64>,
    /// Pod-level resources.
    pub resources: Option<ResourceRequirements>,
    pub security_context: Option<Security>,
    pub dns_config: Option<IgnoredAny>,
}

#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default, expecting = "an object")]
pub struct Named {
    #[serde(deserialize_with = "null_as_default")]
    pub name: String,
}

/// The parts of a security context that the policy reads.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", expecting = "an object")]
pub struct Security {
    pub run_as_user: Option<i64>,
}

#[derive(Debug)]
pub struct Container {
    pub name: String,
    pub image: String,
    pub ports: Vec<ContainerPort>,
    pub env: Vec<Variable>,
    pub readiness_probe: Option<Probe>,
    pub liveness_probe: Option<Probe>,
    pub startup_probe: Option<Probe>,
    pub resources: Option<ResourceRequirements>,
    pub security_context: Option<Security>,
    restart_policy: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, expecting = "an object")]
pub struct Variable {
    #[serde(deserialize_with = "null_as_default")]
    pub name: String,
    #[serde(deserialize_with = "null_as_default")]
    pub value: String,
}

impl PodSpec {
    pub fn read(spec: &SpecFields<'_>) -> Result<Self, Unreadable> {
        let SpecFields { fields, containers, init_containers } = spec;
        Ok(PodSpec {
            containers: containers.iter().map(Container::read).collect::<Result<_, _>>()?,
            init_containers: init_containers.iter().map(Container::read).collect::<Result<_, _>>()?,
            volumes: fields.read("volumes")?,
            service_account_name: fields.read("serviceAccountName")?,
            service_account: fields.read("serviceAccount")?,
            host_network: fields.read("hostNetwork")?,
            os: fields.read("os")?,
            node_selector: fields.read("nodeSelector")?,
            has_windows_affinity: has_windows_affinity(&fields.read("affinity")?),
            restart_policy: fields.read("restartPolicy")?,
            termination_grace_period_seconds: fields.read("terminationGracePeriodSeconds")?,
            resources: fields.read("resources")?,
            security_context: fields.read("securityContext")?,
            dns_config: fields.read("dnsConfig")?,
        })
    }

    pub fn service_account(&self) -> &str {
        let names = [&self.service_account_name, &self.service_account];
        names.into_iter().find(|name| !name.is_empty()).map_or("default", String::as_str)
    }

    /// All init containers, then the containers.
    pub fn all_containers(&self) -> impl Iterator<Item = &Container> {
        self.init_containers.iter().chain(&self.containers)
    }

    /// The containers that run at the same time: the ordinary ones, then native sidecars.
    pub fn running(&self) -> impl Iterator<Item = &Container> {
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
        if self.os.name == "windows" {
            return Some("os.name");
        }
        let value = |label| self.node_selector.get(label).and_then(Option::as_deref);
        let selected = LABELS.iter().find(|(label, _)| value(*label) == Some("windows"));
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
fn has_windows_affinity(affinity: &Value) -> bool {
    const TERMS: &str = "/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms";
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
    let terms = affinity.pointer(TERMS).and_then(Value::as_array);
    terms.is_some_and(|terms| !terms.is_empty() && terms.iter().all(has_windows))
}

impl Container {
    fn read(fields: &Fields<'_>) -> Result<Self, Unreadable> {
        Ok(Container {
            name: fields.read("name")?,
            image: fields.read("image")?,
            ports: fields.read("ports")?,
            env: fields.read("env")?,
            readiness_probe: fields.read("readinessProbe")?,
            liveness_probe: fields.read("livenessProbe")?,
            startup_probe: fields.read("startupProbe")?,
            resources: fields.read("resources")?,
            security_context: fields.read("securityContext")?,
            restart_policy: fields.read("restartPolicy")?,
        })
    }

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
impl PodSpec {
    pub fn of(spec: &Value) -> Result<Self, Unreadable> {
        let pod = serde_json::json!({ "spec": spec }).to_string();
        let pod = serde_json::from_str(&pod).unwrap();
        PodSpec::read(&SpecFields::read(&pod)?)
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
        let spec = PodSpec::of(&spec).unwrap();
        assert_eq!(spec.service_account(), "default");
        assert_eq!(spec.init_containers.len(), 1);
    }

    #[test]
    fn wrong_types_are_named_by_their_place() {
        for (spec, place) in [
            (json!(3), "spec: "),
            (json!({ "containers": {} }), "spec.containers: "),
            (json!({ "containers": [1] }), "spec.containers[0]: "),
            (json!({ "containers": [{ "name": {} }] }), "spec.containers[0].name: "),
            (
                json!({ "containers": [{ "ports": [{ "containerPort": "x" }] }] }),
                "spec.containers[0].ports: ",
            ),
            (json!({ "containers": [{}], "volumes": 3 }), "spec.volumes: "),
        ] {
            let error = PodSpec::of(&spec).unwrap_err().to_string();
            assert!(error.starts_with(place), "{spec}: {error}");
        }
    }

    #[test]
    fn pods_for_windows_say_so_in_several_ways() {
        let windows = |spec: Value| PodSpec::of(&spec).unwrap().windows();
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
