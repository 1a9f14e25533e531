//! Decides by namespace, annotation and status whether a pod is a candidate for injection. The
//! same in every mode.

use crate::annotations::names::{INJECT, STATUS};
use crate::annotations::reader::{BOOLEAN, parse_bool};
use crate::annotations::{Annotations, full, unknown};
use crate::k8s::pod::Metadata;
use crate::problem::Problem;
use crate::reason::Reason;
use crate::settings::{Common, ModeName};
use crate::text::Quoted;
use crate::warning::Warning;

/// The decision by the pod's metadata.
#[derive(Debug)]
pub enum Gate {
    Skip {
        reason: Reason,
        warnings: Vec<Warning>,
    },
    /// Injection is requested. A problem rejects the pod, as others found later do.
    Open(Option<Problem>),
}

/// Decides by the metadata of a pod or of a workload's pod template. The first rule that matches
/// decides.
pub fn check(
    annotations: &Annotations<'_>,
    metadata: &Metadata,
    namespace: &str,
    common: &Common,
    mode: ModeName,
) -> Gate {
    let inject = annotations.get(INJECT).map(|written| (written, parse_bool(written)));
    if let Some(reason) = excluded(namespace, common, mode) {
        let asked = requests_injection(annotations);
        let warnings = if asked { vec![excluded_warning(namespace, reason)] } else { Vec::new() };
        return Gate::Skip { reason, warnings };
    }
    let skip = |reason| Gate::Skip { reason, warnings: Vec::new() };
    if annotations.get(STATUS).is_some_and(|status| !status.is_empty()) {
        return skip(Reason::AlreadyInjected);
    }
    if metadata.annotations.contains_key("kubernetes.io/config.mirror") {
        return skip(Reason::MirrorPod);
    }
    match inject {
        Some((_, Some(false))) => skip(Reason::OptedOut),
        Some((_, Some(true))) => Gate::Open(None),
        Some((written, None)) => Gate::Open(Some(Problem::new(full(INJECT), BOOLEAN).value(written))),
        None if common.default_inject => Gate::Open(None),
        None => {
            Gate::Skip { reason: Reason::NotRequested, warnings: unknown::without_inject(annotations, mode) }
        }
    }
}

/// Whether the pod requests injection by its annotation.
pub fn requests_injection(annotations: &Annotations<'_>) -> bool {
    annotations.get(INJECT).and_then(parse_bool) == Some(true)
}

/// Whether pods in a namespace are never injected, regardless of the settings.
fn is_system(namespace: &str, mode: ModeName) -> bool {
    match namespace {
        "kube-system" | "kube-public" => true,
        // The chart's controllers do not register pods in it.
        "local-path-storage" => mode == ModeName::Dataplane,
        _ => false,
    }
}

fn excluded(namespace: &str, common: &Common, mode: ModeName) -> Option<Reason> {
    if is_system(namespace, mode) {
        return Some(Reason::SystemNamespace);
    }
    if common.deny_namespaces.iter().any(|denied| denied == namespace) {
        return Some(Reason::NamespaceDenied);
    }
    let allowed = common.allow_namespaces.iter().any(|allowed| allowed == "*" || allowed == namespace);
    (!allowed).then_some(Reason::NamespaceNotAllowed)
}

fn excluded_warning(namespace: &str, reason: Reason) -> Warning {
    let namespace = Quoted(namespace, 63);
    Warning::new(&match reason {
        Reason::SystemNamespace => {
            format!(
                "not injected: pods in the namespace {namespace} are never injected; use another namespace"
            )
        }
        Reason::NamespaceDenied => format!(
            "not injected: the namespace {namespace} is in the policy's setting k8sDenyNamespaces; ask the policy's administrator to remove it"
        ),
        _ => format!(
            "not injected: the namespace {namespace} is not in the policy's setting k8sAllowNamespaces; ask the policy's administrator to add it"
        ),
    })
}
