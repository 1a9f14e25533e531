//! The request from the policy server.
//!
//! <https://docs.kubewarden.io/reference/spec/validating-policies>,
//! <https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/>

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::json::{Unreadable, null_as_default};

/// The payload of a `validate` call.
#[derive(Debug, Deserialize)]
pub struct Payload<'a> {
    #[serde(borrow)]
    pub request: Request<'a>,
    #[serde(borrow, default)]
    pub settings: Option<&'a RawValue>,
}

/// The parts of an `AdmissionRequest` that the policy reads. The objects are not parsed until they
/// are needed: most requests are answered before that.
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
    pub object: Option<&'a RawValue>,
    #[serde(borrow, default, alias = "old_object")]
    pub old_object: Option<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
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
    pub fn object(&self) -> Result<&'a RawValue, Unreadable> {
        self.object.ok_or_else(|| Unreadable::new("object", format!("is required: a {}", self.kind.kind)))
    }
}
