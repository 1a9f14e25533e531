//! Compares the pod of the chart's webhook with the policy's.
//!
//! [`compare`] returns the differences, each with its reason if it is intended: [`REASONS`]
//! lists the intended ones.

mod cluster;
mod leaves;
mod reasons;
#[allow(missing_docs)] // Each sentence says what it is.
pub mod says;

use serde_json::Value;

use crate::advice;

pub use reasons::{REASONS, Reason};

/// A value that differs between the two pods, or that one of them does not have.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// `containers[consul-dataplane].args[-log-level]`
    pub path: String,
    /// In the webhook's pod.
    pub theirs: Option<Value>,
    /// In the policy's pod.
    pub ours: Option<Value>,
    /// The reason; `None` for an unintended difference.
    pub reason: Option<&'static Reason>,
}

/// The differences between the webhook's pod and the policy's.
#[must_use]
pub fn compare(theirs: &Value, ours: &Value) -> Vec<Difference> {
    let [mut theirs, mut ours] = [theirs, ours].map(|pod| leaves::of(&cluster::without_additions(pod)));
    let common: Vec<String> = theirs
        .iter()
        .filter(|(path, value)| ours.get(*path).is_some_and(|own| same(path, value, own)))
        .map(|(path, _)| path.clone())
        .collect();
    for path in common {
        theirs.remove(&path);
        ours.remove(&path);
    }
    let mut differences: Vec<Difference> = theirs
        .into_iter()
        .map(|(path, value)| {
            let ours = ours.remove(&path);
            Difference { path, theirs: Some(value), ours, reason: None }
        })
        .collect();
    let added = ours.into_iter();
    differences.extend(added.map(|(path, value)| Difference {
        path,
        theirs: None,
        ours: Some(value),
        reason: None,
    }));
    for difference in &mut differences {
        difference.reason = REASONS.iter().find(|reason| reason.covers(difference));
    }
    differences.sort_by(|a, b| a.path.cmp(&b.path));
    differences
}

/// Whether two values mean the same: the API server turns `1024Mi` into `1Gi`.
fn same(path: &str, theirs: &Value, ours: &Value) -> bool {
    let amounts = || {
        let [theirs, ours] = [theirs, ours].map(advice::quantity);
        let (theirs, ours) = (theirs?, ours?);
        Some((theirs - ours).abs() <= theirs.abs() * f64::EPSILON)
    };
    theirs == ours || (path.contains("].resources.") && amounts() == Some(true))
}

/// The pod as the webhook received it, which it keeps in an annotation.
#[must_use]
pub fn original(pod: &Value) -> Option<Value> {
    let written = pod.pointer("/metadata/annotations/consul.hashicorp.com~1original-pod")?.as_str()?;
    let mut original: Value = serde_json::from_str(written).ok()?;
    if !original.get("spec")?.is_object() {
        return None;
    }
    // Go omits kind and version.
    original["apiVersion"] = "v1".into();
    original["kind"] = "Pod".into();
    for field in ["name", "namespace"] {
        if let Some(value) = pod.pointer(&format!("/metadata/{field}"))
            && original.pointer(&format!("/metadata/{field}")).is_none_or(|own| own == "")
        {
            original["metadata"][field] = value.clone();
        }
    }
    Some(original)
}
