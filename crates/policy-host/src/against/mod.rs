//! Compares the pod of the chart's webhook with the policy's.
//!
//! [`compare`] returns the differences, each with its reason if it is intended: [`REASONS`]
//! lists the intended ones.

mod cluster;
mod leaves;
mod reasons;
pub mod says;
mod webhooks_pod;

use std::collections::BTreeSet;

use serde_json::Value;

use crate::advice;
use webhooks_pod::WebhooksPod;

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

/// The differences between the webhook's pod as the API server returns it and the policy's.
#[must_use]
pub fn compare(theirs: &Value, ours: &Value) -> Vec<Difference> {
    differences(&cluster::without_additions(theirs), &cluster::without_additions(ours), &WebhooksPod(theirs))
}

/// The differences between the pods as the two injectors return them, with all fields.
#[must_use]
pub fn compare_injected(theirs: &Value, ours: &Value) -> Vec<Difference> {
    differences(theirs, ours, &WebhooksPod(theirs))
}

fn differences(theirs: &Value, ours: &Value, pod: &WebhooksPod<'_>) -> Vec<Difference> {
    let [theirs, ours] = [theirs, ours].map(leaves::of);
    let paths: BTreeSet<&String> = theirs.keys().chain(ours.keys()).collect();
    let mut differences = Vec::new();
    for path in paths {
        let (theirs, ours) = (theirs.get(path), ours.get(path));
        if theirs.zip(ours).is_some_and(|(theirs, ours)| same(path, theirs, ours)) {
            continue;
        }
        let mut difference =
            Difference { path: path.clone(), theirs: theirs.cloned(), ours: ours.cloned(), reason: None };
        difference.reason = REASONS.iter().find(|reason| (reason.covers)(&difference, pod));
        differences.push(difference);
    }
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
