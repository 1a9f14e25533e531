//! The input of a policy: an admission request, or any JSON for a raw policy.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::error::RequestError;

/// The `AdmissionRequest` of Kubernetes' `admission.k8s.io/v1`, with the fields
/// that the policy server passes on. Others are dropped, as it does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct AdmissionRequest {
    pub uid: String,
    pub kind: GroupVersionKind,
    pub resource: GroupVersionResource,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub_resource: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_kind: Option<GroupVersionKind>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_resource: Option<GroupVersionResource>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_sub_resource: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    pub operation: String,
    pub user_info: UserInfo,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old_object: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dry_run: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub options: Option<Value>,
}

/// A kind of the Kubernetes API.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct GroupVersionKind {
    pub group: String,
    pub version: String,
    pub kind: String,
}

/// A resource of the Kubernetes API.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct GroupVersionResource {
    pub group: String,
    pub version: String,
    pub resource: String,
}

/// The user who sent the request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(expecting = "UserInfo")]
#[allow(missing_docs)]
pub struct UserInfo {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extra: Option<BTreeMap<String, Vec<String>>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
}

/// The request half of a call to `validate`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum ValidateRequest {
    /// A request of the API server.
    Admission(Box<AdmissionRequest>),
    /// Any JSON, for a policy of type `raw`.
    Raw(Value),
}

impl ValidateRequest {
    /// Reads an `AdmissionRequest`, or the `AdmissionReview` around one.
    pub fn from_review(input: Value) -> Result<Self, RequestError> {
        let Value::Object(mut object) = input else {
            return Err(RequestError::NotAnObject);
        };
        let request = if object.get("kind").and_then(Value::as_str) == Some("AdmissionReview") {
            object.remove("request").ok_or(RequestError::NoRequest)?
        } else {
            Value::Object(object)
        };
        Ok(Self::Admission(Box::new(serde_json::from_value(request)?)))
    }

    /// The payload of a call to `validate`, for [`Policy::call`] and
    /// [`Policy::measure`].
    ///
    /// [`Policy::call`]: crate::Policy::call
    /// [`Policy::measure`]: crate::Policy::measure
    #[must_use]
    pub fn payload(&self, settings: &Value) -> Vec<u8> {
        json!({ "request": self, "settings": settings }).to_string().into_bytes()
    }

    /// The id that the response repeats.
    #[must_use]
    pub fn uid(&self) -> &str {
        match self {
            Self::Admission(request) => &request.uid,
            Self::Raw(value) => value.get("uid").and_then(Value::as_str).unwrap_or_default(),
        }
    }

    /// The object that a mutation changes. None for a `DELETE`.
    #[must_use]
    pub fn object(&self) -> Option<&Value> {
        match self {
            Self::Admission(request) => request.object.as_ref(),
            Self::Raw(value) => Some(value),
        }
    }
}
