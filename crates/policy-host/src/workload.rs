//! The pod that a workload's controller would create from its template.
//!
//! A policy gets a Deployment itself, and later each pod that the controllers create for it.
//! Such a pod has an owner, and its name is completed only after admission.

use serde_json::{Map, Value, json};

/// The group and the kind of an object.
fn group_and_kind(object: &Value) -> Option<(&str, &str)> {
    let (group, _) = object.get("apiVersion")?.as_str()?.rsplit_once('/').unwrap_or_default();
    Some((group, object.get("kind")?.as_str()?))
}

/// Whether an object is a custom resource. Its controller may create pods even if the object
/// has no pod template.
pub fn is_custom(object: &Value) -> bool {
    group_and_kind(object).is_some_and(|(group, _)| group.contains('.') && !group.ends_with(".k8s.io"))
}

/// The pod of a workload's template, not yet admitted. `None` for objects that are not workloads,
/// and for workloads without a template.
pub fn template_pod(workload: &Value, namespace: &str) -> Option<Value> {
    let (group, kind) = group_and_kind(workload)?;
    let (template, owner) = match (group, kind) {
        ("apps", "Deployment") => ("/spec/template", "ReplicaSet"),
        ("batch", "CronJob") => ("/spec/jobTemplate/spec/template", "Job"),
        ("apps", "StatefulSet" | "DaemonSet" | "ReplicaSet")
        | ("", "ReplicationController")
        | ("batch", "Job") => ("/spec/template", kind),
        // Custom resources that have their pod template at the same path.
        _ if is_custom(workload) && workload.pointer("/spec/template/spec/containers")?.is_array() => {
            ("/spec/template", kind)
        }
        _ => return None,
    };
    let template = workload.pointer(template)?;
    let name = workload
        .pointer("/metadata/name")
        .or_else(|| workload.pointer("/metadata/generateName"))
        .and_then(Value::as_str)
        .unwrap_or("unnamed");

    let mut metadata = Map::new();
    for field in ["annotations", "labels"] {
        if let Some(value) = template.pointer(&format!("/metadata/{field}")) {
            metadata.insert(field.to_owned(), value.clone());
        }
    }
    metadata.insert("namespace".to_owned(), json!(namespace));
    metadata.insert("generateName".to_owned(), json!(format!("{name}-")));
    let owner =
        json!({ "apiVersion": workload["apiVersion"], "kind": owner, "name": name, "controller": true });
    metadata.insert("ownerReferences".to_owned(), json!([owner]));
    let mut spec = template.get("spec").cloned().unwrap_or_else(|| json!({}));
    let claims = workload.pointer("/spec/volumeClaimTemplates").and_then(Value::as_array);
    for claim in claims.into_iter().flatten().filter_map(|claim| claim.pointer("/metadata/name")) {
        let volume = json!({ "name": claim, "persistentVolumeClaim": { "claimName": claim } });
        match spec["volumes"].as_array_mut() {
            Some(volumes) => volumes.push(volume),
            None => spec["volumes"] = json!([volume]),
        }
    }
    Some(json!({ "apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec }))
}

#[cfg(test)]
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
    fn a_pod_has_an_owner_and_no_complete_name() {
        for (api_version, kind, owner) in [
            ("apps/v1", "Deployment", ["apps/v1", "ReplicaSet"]),
            ("apps/v1", "StatefulSet", ["apps/v1", "StatefulSet"]),
            ("batch/v1", "Job", ["batch/v1", "Job"]),
            ("argoproj.io/v1alpha1", "Rollout", ["argoproj.io/v1alpha1", "Rollout"]),
            ("apps.openshift.io/v1", "DeploymentConfig", ["apps.openshift.io/v1", "DeploymentConfig"]),
        ] {
            let pod = template_pod(&workload(api_version, kind), "shop").unwrap();
            assert_eq!(
                pod["metadata"],
                json!({
                    "namespace": "shop", "generateName": "web-",
                    "labels": { "app": "web" }, "annotations": { "a": "b" },
                    "ownerReferences": [{
                        "apiVersion": owner[0], "kind": owner[1], "name": "web", "controller": true,
                    }],
                })
            );
            assert_eq!(pod["spec"]["containers"][0]["name"], "web");
        }
    }

    #[test]
    fn a_cron_jobs_pod_belongs_to_a_job() {
        let job = workload("batch/v1", "Job");
        let cron_job = json!({
            "apiVersion": "batch/v1", "kind": "CronJob", "metadata": { "name": "web" },
            "spec": { "jobTemplate": { "spec": job["spec"] } },
        });
        let pod = template_pod(&cron_job, "default").unwrap();
        assert_eq!(pod["metadata"]["ownerReferences"][0]["kind"], "Job");
    }

    #[test]
    fn other_kinds_have_no_pod() {
        assert_eq!(template_pod(&json!({ "apiVersion": "v1", "kind": "Pod" }), "default"), None);
        assert_eq!(template_pod(&workload("policy/v1", "Deployment"), "default"), None);
        assert_eq!(template_pod(&workload("gateway.networking.k8s.io/v1", "Gateway"), "default"), None);
        assert_eq!(template_pod(&json!([]), "default"), None);
        // A template that is not of a pod, as in cert-manager's and Flux's kinds.
        let mut certificate = workload("example.com/v1", "Bundle");
        certificate["spec"]["template"] = json!({ "spec": { "secretName": "tls" } });
        assert_eq!(template_pod(&certificate, "shop"), None);
    }
}
