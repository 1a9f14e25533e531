//! Builds the admission requests that `kubectl apply` of a manifest would cause.

use clap::ValueEnum;
use serde_json::{Value, json};
use thiserror::Error;

use crate::{
    request::{AdmissionRequest, GroupVersionKind},
    workload,
};

/// Common kinds that are not namespaced.
const CLUSTER_SCOPED: [&str; 14] = [
    "APIService",
    "ClusterAdmissionPolicy",
    "ClusterAdmissionPolicyGroup",
    "ClusterRole",
    "ClusterRoleBinding",
    "CustomResourceDefinition",
    "IngressClass",
    "MutatingWebhookConfiguration",
    "Namespace",
    "PersistentVolume",
    "PolicyServer",
    "PriorityClass",
    "StorageClass",
    "ValidatingWebhookConfiguration",
];

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Operation {
    /// A new object.
    #[default]
    Create,
    /// An update in which the old object equals the new one.
    Update,
}

impl Operation {
    fn name(self) -> &'static str {
        match self {
            Self::Create => "CREATE",
            Self::Update => "UPDATE",
        }
    }
}

/// How requests are built from manifests.
#[derive(Clone, Debug)]
pub struct Options {
    /// The namespace of objects that have none.
    pub namespace: String,
    pub operation: Operation,
    /// Whether to add a request for the pod of each workload's template.
    pub with_pods: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { namespace: "default".to_owned(), operation: Operation::Create, with_pods: true }
    }
}

/// A request and its title.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// `Pod default/web`
    pub title: String,
    /// The workload that the pod belongs to: `Deployment default/web`
    pub template_of: Option<String>,
    /// What the policy's answer does not cover.
    pub note: Option<&'static str>,
    /// Whether the input was a manifest rather than a request.
    pub from_manifest: bool,
    pub request: AdmissionRequest,
}

impl From<AdmissionRequest> for Case {
    fn from(request: AdmissionRequest) -> Self {
        let mut title = title_of(&request);
        if request.object.is_none() {
            title = format!("{} {title}", request.operation);
        }
        Self { title, template_of: None, note: None, from_manifest: false, request }
    }
}

/// The answer for the object does not cover the pods that its controller creates.
const CUSTOM: &str = "if its controller creates pods, the policy sees each of them";
const CUSTOM_WITH_POD: &str =
    "the policy sees each pod that its controller creates; the pod of its template follows";

/// A document that is not a manifest.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ManifestError {
    #[error("document {document} is not a Kubernetes object: it has no `{missing}`")]
    NotAnObject { document: usize, missing: &'static str },
    #[error("it contains no document")]
    Empty,
}

/// Whether a document is a manifest rather than an admission request, whose `kind` is an
/// object, or a review, whose `kind` is `AdmissionReview`.
pub fn is_manifest(document: &Value) -> bool {
    document.get("kind").and_then(Value::as_str).is_some_and(|kind| kind != "AdmissionReview")
}

/// The requests for these documents.
pub fn cases(documents: Vec<Value>, options: &Options) -> Result<Vec<Case>, ManifestError> {
    let mut cases = Vec::new();
    for (index, document) in documents.into_iter().enumerate() {
        for object in flattened(document) {
            add(&mut cases, object, index + 1, options)?;
        }
    }
    if cases.is_empty() {
        return Err(ManifestError::Empty);
    }
    Ok(cases)
}

/// An object's title: `Pod default/web`.
pub fn title(object: &Value, namespace: Option<&str>) -> String {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
    let name = match (text("/metadata/name"), text("/metadata/generateName")) {
        (Some(name), _) => name.to_owned(),
        (None, Some(prefix)) => format!("{prefix}*"),
        (None, None) => "(no name)".to_owned(),
    };
    let kind = text("/kind").unwrap_or("object");
    match text("/metadata/namespace").or(namespace) {
        Some(namespace) => format!("{kind} {namespace}/{name}"),
        None => format!("{kind} {name}"),
    }
}

/// The title of a request's object, or of the old one if it is deleted.
pub fn title_of(request: &AdmissionRequest) -> String {
    match request.object.as_ref().or(request.old_object.as_ref()) {
        Some(object) => title(object, request.namespace.as_deref()),
        None => format!("{} {}", request.kind.kind, request.name.as_deref().unwrap_or("(no name)")),
    }
}

fn flattened(document: Value) -> Vec<Value> {
    let is_list = document.get("kind").and_then(Value::as_str).is_some_and(|kind| kind.ends_with("List"));
    match document {
        Value::Object(mut list) if is_list => match list.remove("items") {
            Some(Value::Array(items)) => items.into_iter().flat_map(flattened).collect(),
            _ => Vec::new(),
        },
        other => vec![other],
    }
}

fn add(
    cases: &mut Vec<Case>,
    mut object: Value,
    document: usize,
    options: &Options,
) -> Result<(), ManifestError> {
    let not = |missing| ManifestError::NotAnObject { document, missing };
    let field = |name| object.get(name).and_then(Value::as_str);
    let kind = field("kind").ok_or_else(|| not("kind"))?.to_owned();
    let api_version = field("apiVersion").ok_or_else(|| not("apiVersion"))?.to_owned();

    let namespace = (!CLUSTER_SCOPED.contains(&kind.as_str())).then(|| {
        let own = object.pointer("/metadata/namespace").and_then(Value::as_str);
        own.filter(|own| !own.is_empty()).unwrap_or(&options.namespace).to_owned()
    });
    // The API server sets the object's namespace before admission.
    if let (Some(namespace), Some(object)) = (&namespace, object.as_object_mut())
        && let Value::Object(metadata) = object.entry("metadata").or_insert_with(|| json!({}))
    {
        metadata.insert("namespace".to_owned(), json!(namespace));
    }

    let title = title(&object, namespace.as_deref());
    let pod = match (&namespace, options.with_pods) {
        (Some(namespace), true) => workload::template_pod(&object, namespace),
        _ => None,
    };
    let note = workload::is_custom(&object).then_some(if pod.is_some() { CUSTOM_WITH_POD } else { CUSTOM });
    cases.push(Case {
        request: request(cases.len(), &api_version, &kind, object, options.operation),
        title: title.clone(),
        template_of: None,
        note,
        from_manifest: true,
    });
    if let Some(pod) = pod {
        cases.push(Case {
            title: self::title(&pod, None),
            // Controllers replace pods instead of updating them.
            request: request(cases.len(), "v1", "Pod", pod, Operation::Create),
            template_of: Some(title),
            note: None,
            from_manifest: true,
        });
    }
    Ok(())
}

/// The fields that tell requests apart. Without the user and the resource's name, which only the
/// API server knows.
fn request(
    index: usize,
    api_version: &str,
    kind: &str,
    object: Value,
    operation: Operation,
) -> AdmissionRequest {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let text = |pointer: &str| Some(object.pointer(pointer)?.as_str()?.to_owned());
    AdmissionRequest {
        // Deterministic: a manifest always gives the same request.
        uid: format!("00000000-0000-4000-8000-{:012x}", index + 1),
        kind: GroupVersionKind {
            group: group.to_owned(),
            version: version.to_owned(),
            kind: kind.to_owned(),
        },
        name: text("/metadata/name"),
        namespace: text("/metadata/namespace"),
        operation: operation.name().to_owned(),
        old_object: (operation == Operation::Update).then(|| object.clone()),
        object: Some(object),
        ..AdmissionRequest::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(name: &str) -> Value {
        json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": name } })
    }

    #[test]
    fn a_pod_makes_one_request_with_its_namespace_set() {
        let cases = cases(vec![pod("web")], &Options::default()).unwrap();
        assert_eq!(cases.len(), 1);
        assert_eq!(cases[0].title, "Pod default/web");
        let request = &cases[0].request;
        assert_eq!(request.name.as_deref(), Some("web"));
        assert_eq!(request.namespace.as_deref(), Some("default"));
        assert_eq!(request.object.as_ref().unwrap()["metadata"]["namespace"], "default");
        assert_eq!(request.old_object, None);
    }

    #[test]
    fn a_list_makes_a_request_for_each_item() {
        let list = json!({ "apiVersion": "v1", "kind": "List", "items": [pod("a"), pod("b")] });
        let titles: Vec<_> =
            cases(vec![list], &Options::default()).unwrap().into_iter().map(|case| case.title).collect();
        assert_eq!(titles, ["Pod default/a", "Pod default/b"]);
    }

    #[test]
    fn a_workload_is_followed_by_its_pod() {
        let deployment = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": { "name": "web", "namespace": "shop" },
            "spec": { "template": { "spec": {} } },
        });
        let both = cases(vec![deployment.clone()], &Options::default()).unwrap();
        assert_eq!(both[1].title, "Pod shop/web-*");
        assert_eq!(both[1].template_of.as_deref(), Some("Deployment shop/web"));
        assert_eq!(both[1].request.name, None);
        assert_ne!(both[0].request.uid, both[1].request.uid);
        assert_eq!(
            cases(vec![deployment], &Options { with_pods: false, ..Options::default() }).unwrap().len(),
            1
        );
    }

    #[test]
    fn a_custom_resource_comes_with_a_note() {
        let rollout = json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": { "name": "web" },
            "spec": { "template": { "spec": { "containers": [{ "name": "web" }] } } },
        });
        let kafka =
            json!({ "apiVersion": "kafka.strimzi.io/v1", "kind": "Kafka", "metadata": { "name": "k" } });
        let cases = cases(vec![rollout, kafka, pod("web")], &Options::default()).unwrap();
        let notes: Vec<_> = cases.iter().map(|case| (case.title.as_str(), case.note)).collect();
        assert_eq!(
            notes,
            [
                ("Rollout default/web", Some(CUSTOM_WITH_POD)),
                ("Pod default/web-*", None),
                ("Kafka default/k", Some(CUSTOM)),
                ("Pod default/web", None),
            ]
        );
    }

    #[test]
    fn a_value_that_is_not_an_object_is_an_error() {
        let error = cases(vec![pod("a"), json!({ "kind": "Pod" })], &Options::default()).unwrap_err();
        assert_eq!(error.to_string(), "document 2 is not a Kubernetes object: it has no `apiVersion`");
        assert_eq!(cases(Vec::new(), &Options::default()), Err(ManifestError::Empty));
    }
}
