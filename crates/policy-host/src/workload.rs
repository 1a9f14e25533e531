//! The pod that a workload's controller would create from its template.
//!
//! A policy gets a Deployment itself, and later each pod that the controllers
//! create for it. This module creates such a pod as they do, with owner
//! references, labels and generated names.

use serde_json::{Map, Value, json};

/// Placeholder for the UIDs that a cluster would assign.
const OWNER_UID: &str = "00000000-0000-4000-8000-0000000000aa";
/// Placeholder for the hash of the template, in the controllers' alphabet.
const TEMPLATE_HASH: &str = "5d4f8c7b9d";
/// Placeholder for the minute in the name of a `CronJob`'s run.
const SCHEDULED_MINUTE: &str = "29000000";

/// A pod as a controller would create it.
#[derive(Clone, Debug, PartialEq)]
pub struct TemplatePod {
    /// The pod, not yet admitted.
    pub pod: Value,
    /// The service account in `kube-system` that creates it.
    pub created_by: &'static str,
}

/// The kinds that have a pod template, by group and kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Deployment,
    StatefulSet,
    DaemonSet,
    ReplicaSet,
    ReplicationController,
    Job,
    CronJob,
    /// A custom resource that has its pod template at the same path as Kubernetes' own kinds.
    Custom,
}

impl Kind {
    fn of(object: &Value) -> Option<Self> {
        let api_version = object.get("apiVersion")?.as_str()?;
        let group = api_version.split_once('/').map_or("", |(group, _)| group);
        Some(match (group, object.get("kind")?.as_str()?) {
            ("apps", "Deployment") => Self::Deployment,
            ("apps", "StatefulSet") => Self::StatefulSet,
            ("apps", "DaemonSet") => Self::DaemonSet,
            ("apps", "ReplicaSet") => Self::ReplicaSet,
            ("", "ReplicationController") => Self::ReplicationController,
            ("batch", "Job") => Self::Job,
            ("batch", "CronJob") => Self::CronJob,
            _ if is_custom(object) && object.pointer("/spec/template/spec/containers")?.is_array() => {
                Self::Custom
            }
            _ => return None,
        })
    }

    /// The pod's owner, and the controller that creates it.
    fn owner(self, object: &Value, workload: &str) -> (Owner, &'static str) {
        let owner = |api_version: &str, kind: &str, name: String| Owner {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            name,
        };
        let name = workload.to_owned();
        match self {
            Self::Deployment => {
                (owner("apps/v1", "ReplicaSet", format!("{name}-{TEMPLATE_HASH}")), "replicaset-controller")
            }
            Self::ReplicaSet => (owner("apps/v1", "ReplicaSet", name), "replicaset-controller"),
            Self::ReplicationController => {
                (owner("v1", "ReplicationController", name), "replication-controller")
            }
            Self::DaemonSet => (owner("apps/v1", "DaemonSet", name), "daemon-set-controller"),
            Self::StatefulSet => (owner("apps/v1", "StatefulSet", name), "statefulset-controller"),
            Self::Job => (owner("batch/v1", "Job", name), "job-controller"),
            Self::CronJob => {
                (owner("batch/v1", "Job", format!("{name}-{SCHEDULED_MINUTE}")), "job-controller")
            }
            Self::Custom => {
                let text = |field: &str| object.get(field).and_then(Value::as_str).unwrap_or_default();
                (owner(text("apiVersion"), text("kind"), name), "custom-controller")
            }
        }
    }

    /// The labels that the controller adds to the template's.
    fn labels(self, workload: &str, owner: &str) -> Vec<(&'static str, String)> {
        let hash = TEMPLATE_HASH.to_owned();
        match self {
            Self::ReplicaSet | Self::ReplicationController | Self::Custom => Vec::new(),
            Self::Deployment => vec![("pod-template-hash", hash)],
            Self::DaemonSet => {
                vec![("controller-revision-hash", hash), ("pod-template-generation", "1".to_owned())]
            }
            Self::StatefulSet => vec![
                ("controller-revision-hash", format!("{workload}-{hash}")),
                ("statefulset.kubernetes.io/pod-name", format!("{workload}-0")),
                ("apps.kubernetes.io/pod-index", "0".to_owned()),
            ],
            Self::Job | Self::CronJob => vec![
                ("job-name", owner.to_owned()),
                ("batch.kubernetes.io/job-name", owner.to_owned()),
                ("controller-uid", OWNER_UID.to_owned()),
                ("batch.kubernetes.io/controller-uid", OWNER_UID.to_owned()),
            ],
        }
    }
}

struct Owner {
    api_version: String,
    kind: String,
    name: String,
}

/// Whether an object is a custom resource. Its controller may create pods even if the object
/// has no pod template.
#[must_use]
pub fn is_custom(object: &Value) -> bool {
    let api_version = object.get("apiVersion").and_then(Value::as_str).unwrap_or_default();
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    group.contains('.') && !group.ends_with(".k8s.io")
}

/// The pod of a workload's template. `None` for objects that are not workloads, and for
/// workloads without a template.
#[must_use]
pub fn template_pod(workload: &Value, namespace: &str) -> Option<TemplatePod> {
    let kind = Kind::of(workload)?;
    let name = workload
        .pointer("/metadata/name")
        .or_else(|| workload.pointer("/metadata/generateName"))
        .and_then(Value::as_str)
        .unwrap_or("unnamed");
    let template = workload.pointer(match kind {
        Kind::CronJob => "/spec/jobTemplate/spec/template",
        _ => "/spec/template",
    })?;

    let mut metadata = Map::new();
    for field in ["annotations", "labels", "finalizers"] {
        if let Some(value) = template.pointer(&format!("/metadata/{field}")) {
            metadata.insert(field.to_owned(), value.clone());
        }
    }
    metadata.insert("namespace".to_owned(), json!(namespace));
    let mut spec = template.get("spec").cloned().unwrap_or_else(|| json!({}));

    let (owner, created_by) = kind.owner(workload, name);
    if kind == Kind::StatefulSet {
        identify(&mut spec, workload, name);
    }
    let labels = metadata.entry("labels").or_insert_with(|| Value::Object(Map::new()));
    if let Value::Object(labels) = labels {
        for (key, value) in kind.labels(name, &owner.name) {
            labels.insert(key.to_owned(), json!(value));
        }
        if labels.is_empty() {
            metadata.remove("labels");
        }
    }
    // Only a StatefulSet names its pods. The others leave it to the API server, which does so
    // after admission: the policy sees no name.
    if kind == Kind::StatefulSet {
        metadata.insert("name".to_owned(), json!(format!("{name}-0")));
    }
    metadata.insert("generateName".to_owned(), json!(format!("{}-", owner.name)));
    metadata.insert(
        "ownerReferences".to_owned(),
        json!([{
            "apiVersion": owner.api_version,
            "kind": owner.kind,
            "name": owner.name,
            "uid": OWNER_UID,
            "controller": true,
            "blockOwnerDeletion": true,
        }]),
    );
    Some(TemplatePod {
        pod: json!({ "apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec }),
        created_by,
    })
}

/// Adds the parts of a `StatefulSet`'s pod that depend on its ordinal.
fn identify(spec: &mut Value, set: &Value, name: &str) {
    let Some(spec) = spec.as_object_mut() else {
        return;
    };
    spec.insert("hostname".to_owned(), json!(format!("{name}-0")));
    if let Some(service) = set.pointer("/spec/serviceName").filter(|name| **name != "") {
        spec.insert("subdomain".to_owned(), service.clone());
    }
    let claims = set.pointer("/spec/volumeClaimTemplates").and_then(Value::as_array);
    let volumes = claims.into_iter().flatten().filter_map(|claim| {
        let claim = claim.pointer("/metadata/name")?.as_str()?;
        Some(json!({
            "name": claim,
            "persistentVolumeClaim": { "claimName": format!("{claim}-{name}-0") },
        }))
    });
    let mut volumes: Vec<Value> = volumes.collect();
    if volumes.is_empty() {
        return;
    }
    let own = spec.entry("volumes").or_insert_with(|| Value::Array(Vec::new()));
    if let Value::Array(own) = own {
        // A claim replaces a volume of the same name.
        own.retain(|volume| volumes.iter().all(|claim| claim["name"] != volume["name"]));
        volumes.append(own);
        *own = volumes;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn workload(api_version: &str, kind: &str) -> Value {
        json!({
            "apiVersion": api_version, "kind": kind,
            "metadata": { "name": "web" },
            "spec": { "template": {
                "metadata": { "labels": { "app": "web" }, "annotations": { "a": "b" } },
                "spec": { "containers": [{ "name": "web", "volumeMounts": [] }] },
            }},
        })
    }

    #[test]
    fn a_deployments_pod_belongs_to_its_replica_set() {
        let TemplatePod { pod, created_by } =
            template_pod(&workload("apps/v1", "Deployment"), "shop").unwrap();
        assert_eq!(created_by, "replicaset-controller");
        assert_eq!(pod["metadata"]["namespace"], "shop");
        assert_eq!(pod["metadata"]["generateName"], "web-5d4f8c7b9d-");
        assert_eq!(pod["metadata"].get("name"), None);
        assert_eq!(pod["metadata"]["ownerReferences"][0]["kind"], "ReplicaSet");
        assert_eq!(pod["metadata"]["labels"], json!({ "app": "web", "pod-template-hash": "5d4f8c7b9d" }));
        assert_eq!(pod["metadata"]["annotations"], json!({ "a": "b" }));
    }

    #[test]
    fn a_stateful_sets_pod_has_its_name_and_its_claims() {
        let mut set = workload("apps/v1", "StatefulSet");
        set["spec"]["serviceName"] = json!("web");
        set["spec"]["volumeClaimTemplates"] = json!([{ "metadata": { "name": "data" } }]);
        let pod = template_pod(&set, "default").unwrap().pod;
        assert_eq!(pod["metadata"]["name"], "web-0");
        assert_eq!(pod["spec"]["subdomain"], "web");
        assert_eq!(
            pod["spec"]["volumes"],
            json!([{ "name": "data", "persistentVolumeClaim": { "claimName": "data-web-0" } }])
        );
    }

    #[test]
    fn a_cron_jobs_pod_belongs_to_the_job_of_its_run() {
        let job = workload("batch/v1", "Job");
        let cron_job = json!({
            "apiVersion": "batch/v1", "kind": "CronJob", "metadata": { "name": "web" },
            "spec": { "jobTemplate": { "spec": job["spec"] } },
        });
        let pod = template_pod(&cron_job, "default").unwrap().pod;
        let owner = &pod["metadata"]["ownerReferences"][0];
        assert_eq!((&owner["kind"], &owner["name"]), (&json!("Job"), &json!("web-29000000")));
    }

    #[test]
    fn a_custom_resource_with_a_pod_template_has_a_pod() {
        for (api_version, kind) in
            [("argoproj.io/v1alpha1", "Rollout"), ("apps.openshift.io/v1", "DeploymentConfig")]
        {
            let pod = template_pod(&workload(api_version, kind), "shop").unwrap().pod;
            let owner = &pod["metadata"]["ownerReferences"][0];
            assert_eq!((&owner["apiVersion"], &owner["kind"]), (&json!(api_version), &json!(kind)));
            assert_eq!(pod["metadata"]["labels"], json!({ "app": "web" }));
            assert_eq!(pod["metadata"]["generateName"], "web-");
        }
        // A template that is not of a pod, as in cert-manager's and Flux's kinds.
        let mut certificate = workload("example.com/v1", "Bundle");
        certificate["spec"]["template"] = json!({ "spec": { "secretName": "tls" } });
        assert_eq!(template_pod(&certificate, "shop"), None);
    }

    #[test]
    fn other_kinds_have_no_pod() {
        assert_eq!(template_pod(&json!({ "apiVersion": "v1", "kind": "Pod" }), "default"), None);
        assert_eq!(template_pod(&workload("policy/v1", "Deployment"), "default"), None);
        assert_eq!(template_pod(&workload("gateway.networking.k8s.io/v1", "Gateway"), "default"), None);
        assert_eq!(template_pod(&json!([]), "default"), None);
    }
}
