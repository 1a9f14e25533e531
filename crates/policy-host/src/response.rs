//! The answer of a policy, and the response that the API server gets.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{error::CallError, policies::Mode};

/// The guest's own answer to `validate`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PolicyAnswer {
    pub accepted: bool,
    pub message: Option<String>,
    /// The HTTP status that goes with the message.
    pub code: Option<u16>,
    /// The whole object with the policy's changes, if there are any.
    pub mutated_object: Option<Value>,
    pub audit_annotations: Option<BTreeMap<String, String>>,
    pub warnings: Option<Vec<String>>,
}

/// The guest's answer to `validate_settings`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingsAnswer {
    /// Whether a policy server would start with these settings.
    pub valid: bool,
    pub message: Option<String>,
}

/// The `AdmissionResponse` of `admission.k8s.io/v1`, as the policy server and
/// kwctl write it: fields in this order, `null` where they write `null`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AdmissionResponse {
    pub uid: String,
    pub allowed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patch_type: Option<PatchType>,
    /// A JSON patch in base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patch: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<AdmissionStatus>,
    pub audit_annotations: Option<BTreeMap<String, String>>,
    pub warnings: Option<Vec<String>>,
}

/// The only patch type that Kubernetes has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PatchType {
    #[serde(rename = "JSONPatch")]
    JsonPatch,
}

/// Why a request was rejected.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdmissionStatus {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details: Option<StatusDetails>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<u16>,
}

/// Keeps the policy's own message when the administrator's replaces it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusDetails {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<StatusCause>,
}

/// One reason among several.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusCause {
    pub reason: Option<String>,
    pub message: Option<String>,
    pub field: Option<String>,
}

impl AdmissionResponse {
    /// Turns the guest's answer about `object` into a response: a mutated object
    /// becomes a patch.
    pub fn from_answer(uid: &str, object: Option<&Value>, answer: PolicyAnswer) -> Self {
        let patch = match (&answer.mutated_object, object) {
            (None, _) => None,
            (Some(mutated), Some(object)) => encode_patch(object, mutated),
            (Some(_), None) => {
                return Self::refusal(
                    uid,
                    "Incoming object is null, which happens only with DELETE operations, \
                     but the policy is attempting a mutation. This is not allowed",
                    None,
                );
            }
        };
        let status = (answer.message.is_some() || answer.code.is_some()).then_some(AdmissionStatus {
            message: answer.message,
            code: answer.code,
            details: None,
        });
        Self {
            uid: uid.to_owned(),
            allowed: answer.accepted,
            patch_type: patch.as_ref().map(|_| PatchType::JsonPatch),
            patch,
            status,
            audit_annotations: answer.audit_annotations,
            warnings: answer.warnings,
        }
    }

    /// The response to the API server if the policy gave no answer.
    pub fn from_failure(uid: &str, failure: &CallError) -> Self {
        let message = match failure {
            CallError::Timeout { .. } => failure.as_reported(),
            _ => format!("internal server error: {}", failure.as_reported()),
        };
        Self::refusal(uid, &message, Some(500))
    }

    fn refusal(uid: &str, message: &str, code: Option<u16>) -> Self {
        Self {
            uid: uid.to_owned(),
            status: Some(AdmissionStatus { message: Some(message.to_owned()), code, details: None }),
            ..Self::default()
        }
    }

    /// The message of a rejection.
    pub fn message(&self) -> Option<&str> {
        self.status.as_ref()?.message.as_deref()
    }

    pub fn decoded_patch(&self) -> Result<Option<json_patch::Patch>, PatchError> {
        let Some(patch) = &self.patch else {
            return Ok(None);
        };
        let json = STANDARD.decode(patch)?;
        Ok(Some(serde_json::from_slice(&json)?))
    }

    /// The object with the patch applied.
    pub fn patched(&self, object: &Value) -> Result<Value, PatchError> {
        let mut object = object.clone();
        if let Some(patch) = self.decoded_patch()? {
            json_patch::patch(&mut object, &patch)?;
        }
        Ok(object)
    }

    /// Applies the policy's configuration in the policy server's order: monitor mode,
    /// permission to mutate, and the administrator's message.
    #[must_use]
    pub fn constrained(
        mut self,
        policy: &str,
        mode: Mode,
        allowed_to_mutate: bool,
        message: Option<&str>,
    ) -> Self {
        match mode {
            Mode::Monitor => {
                self.allowed = true;
                self.patch = None;
                self.patch_type = None;
                self.status = None;
            }
            Mode::Protect if !allowed_to_mutate && self.patch.is_some() => {
                self.allowed = false;
                self.patch = None;
                self.patch_type = None;
                self.status = Some(AdmissionStatus {
                    message: Some(format!(
                        "Request rejected by policy {policy}. The policy attempted to mutate the \
                         request, but it is currently configured to not allow mutations."
                    )),
                    ..AdmissionStatus::default()
                });
            }
            Mode::Protect => {}
        }
        if let Some(message) = message.filter(|_| !self.allowed) {
            let mut status = self.status.unwrap_or_default();
            let own = status.message.replace(message.to_owned());
            let details = status.details.get_or_insert_default();
            details
                .causes
                .push(StatusCause { message: Some(own.unwrap_or_default()), ..StatusCause::default() });
            self.status = Some(status);
        }
        self
    }
}

/// A patch that cannot be applied to its object. Only a hand-made response has one.
#[derive(Debug, thiserror::Error)]
pub enum PatchError {
    #[error("the patch is not base64: {0}")]
    Base64(#[from] base64::DecodeError),
    #[error("the patch is not a JSON patch: {0}")]
    Json(#[from] serde_json::Error),
    #[error("the patch does not apply: {0}")]
    Apply(#[from] json_patch::PatchError),
}

fn encode_patch(object: &Value, mutated: &Value) -> Option<String> {
    let patch = json_patch::diff(object, mutated);
    if patch.0.is_empty() {
        return None;
    }
    // Serializing a patch cannot fail: it is made of strings and JSON values.
    serde_json::to_vec(&patch).ok().map(|json| STANDARD.encode(json))
}
