//! The request from the policy server.
//!
//! <https://docs.kubewarden.io/reference/spec/validating-policies>,
//! <https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/>

use serde::Deserialize;
use serde_json::Value;

use crate::json::{Fields, Unreadable, null_as_default};

/// The payload of a `validate` call.
#[derive(Debug, Deserialize)]
pub struct Payload<'a> {
    #[serde(borrow)]
    pub request: Request<'a>,
    #[serde(default)]
    pub settings: Value,
}

/// The parts of an `AdmissionRequest` that the policy reads.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request<'a> {
    #[serde(default, deserialize_with = "null_as_default")]
    pub kind: Kind,
    #[serde(default, alias = "sub_resource", deserialize_with = "null_as_default")]
    pub sub_resource: String,
    #[serde(default, deserialize_with = "null_as_default")]
    pub operation: String,
    #[serde(default, deserialize_with = "null_as_default")]
    pub name: String,
    #[serde(default, deserialize_with = "null_as_default")]
    pub namespace: String,
    #[serde(borrow, default)]
    pub object: Option<Fields<'a>>,
    #[serde(borrow, default, alias = "old_object")]
    pub old_object: Option<Fields<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(expecting = "an object")]
pub struct Kind {
    #[serde(default, deserialize_with = "null_as_default")]
    pub group: String,
    #[serde(default, deserialize_with = "null_as_default")]
    pub version: String,
    #[serde(default, deserialize_with = "null_as_default")]
    pub kind: String,
}

impl<'a> Request<'a> {
    /// The object of the request, which a request of this kind must have.
    pub fn object(&self) -> Result<&Fields<'a>, Unreadable> {
        self.object
            .as_ref()
            .ok_or_else(|| Unreadable::new("object", format!("is required: a {}", self.kind.kind)))
    }
}
