//! The pod that a workload's controller would create from its template.
//!
//! A policy sees a Deployment twice: once itself, and once for each pod that
//! the controllers make of it. This module makes such a pod the way they do,
//! with their owner references, labels and generated names.

use serde_json::{Map, Value, json};

/// Stands in for the ids that a cluster would assign.
const OWNER_UID: &str = "00000000-0000-4000-8000-0000000000aa";
/// Stands in for the hash of the template, in the controllers' alphabet.
const TEMPLATE_HASH: &str = "5d4f8c7b9d";
/// Stands in for the minute that a `CronJob`'s run is named after.
const SCHEDULED_MINUTE: &str = "29000000";

/// A pod as a controller would create it.
#[derive(Clone, Debug, PartialEq)]
pub struct TemplatePod {
    /// The pod, not yet admitted.
    pub pod: Value,
    /// The service account that creates it.
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
            _ => return None,
        })
    }
}

/// The pod of a workload's template. `None` for what is no workload, and for
/// one that has no template.
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

    let mut label = |key: &str, value: &str| {
        if let Value::Object(labels) = metadata
            .entry("labels")
            .or_insert_with(|| Value::Object(Map::new()))
        {
            labels.insert(key.to_owned(), json!(value));
        }
    };
    let (owner_api, owner_kind, owner, created_by) = match kind {
        Kind::Deployment => {
            label("pod-template-hash", TEMPLATE_HASH);
            let replica_set = format!("{name}-{TEMPLATE_HASH}");
            (
                "apps/v1",
                "ReplicaSet",
                replica_set,
                "replicaset-controller",
            )
        }
        Kind::ReplicaSet => (
            "apps/v1",
            "ReplicaSet",
            name.to_owned(),
            "replicaset-controller",
        ),
        Kind::ReplicationController => (
            "v1",
            "ReplicationController",
            name.to_owned(),
            "replication-controller",
        ),
        Kind::DaemonSet => {
            label("controller-revision-hash", TEMPLATE_HASH);
            label("pod-template-generation", "1");
            (
                "apps/v1",
                "DaemonSet",
                name.to_owned(),
                "daemon-set-controller",
            )
        }
        Kind::StatefulSet => {
            label(
                "controller-revision-hash",
                &format!("{name}-{TEMPLATE_HASH}"),
            );
            label("statefulset.kubernetes.io/pod-name", &format!("{name}-0"));
            label("apps.kubernetes.io/pod-index", "0");
            identify(&mut spec, workload, name);
            (
                "apps/v1",
                "StatefulSet",
                name.to_owned(),
                "statefulset-controller",
            )
        }
        Kind::Job | Kind::CronJob => {
            let job = match kind {
                Kind::CronJob => format!("{name}-{SCHEDULED_MINUTE}"),
                _ => name.to_owned(),
            };
            for prefix in ["", "batch.kubernetes.io/"] {
                label(&format!("{prefix}job-name"), &job);
                label(&format!("{prefix}controller-uid"), OWNER_UID);
            }
            ("batch/v1", "Job", job, "job-controller")
        }
    };
    // Only a StatefulSet names its pods itself. The others leave it to the API
    // server, which does so after admission: the policy sees no name.
    if kind == Kind::StatefulSet {
        metadata.insert("name".to_owned(), json!(format!("{name}-0")));
    }
    metadata.insert("generateName".to_owned(), json!(format!("{owner}-")));
    metadata.insert(
        "ownerReferences".to_owned(),
        json!([{
            "apiVersion": owner_api,
            "kind": owner_kind,
            "name": owner,
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

/// What a `StatefulSet` adds to make its pod the one of its ordinal.
fn identify(spec: &mut Value, set: &Value, name: &str) {
    let Some(spec) = spec.as_object_mut() else {
        return;
    };
    spec.insert("hostname".to_owned(), json!(format!("{name}-0")));
    if let Some(service) = set.pointer("/spec/serviceName").filter(|name| **name != "") {
        spec.insert("subdomain".to_owned(), service.clone());
    }
    let claims = set
        .pointer("/spec/volumeClaimTemplates")
        .and_then(Value::as_array);
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
    let own = spec
        .entry("volumes")
        .or_insert_with(|| Value::Array(Vec::new()));
    if let Value::Array(own) = own {
        // A claim takes the place of a volume of the same name.
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
        assert_eq!(
            pod["metadata"]["labels"],
            json!({ "app": "web", "pod-template-hash": "5d4f8c7b9d" })
        );
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
        assert_eq!(
            (&owner["kind"], &owner["name"]),
            (&json!("Job"), &json!("web-29000000"))
        );
    }

    #[test]
    fn other_kinds_have_no_pod() {
        assert_eq!(
            template_pod(&json!({ "apiVersion": "v1", "kind": "Pod" }), "default"),
            None
        );
        assert_eq!(
            template_pod(&workload("example.com/v1", "Deployment"), "default"),
            None
        );
        assert_eq!(template_pod(&json!([]), "default"), None);
    }
}
