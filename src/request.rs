//! The request from the policy server.
//!
//! <https://docs.kubewarden.io/reference/spec/validating-policies>,
//! <https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/>

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::json::{Unreadable, null_as_default, read_text};

/// The payload of a `validate` call.
#[derive(Debug, Deserialize)]
pub struct Payload<'a> {
    #[serde(borrow)]
    pub request: Request<'a>,
    #[serde(borrow, default)]
    pub settings: Option<&'a RawValue>,
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
    pub object: Option<Object<'a>>,
    #[serde(borrow, default, alias = "old_object")]
    pub old_object: Option<Object<'a>>,
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

/// An object whose fields are still text: for most pods, the metadata decides.
#[derive(Debug, Deserialize)]
pub struct Object<'a>(#[serde(borrow)] BTreeMap<String, &'a RawValue>);

impl<'a> Request<'a> {
    /// The object of the request, which a request of this kind must have.
    pub fn object(&self) -> Result<&Object<'a>, Unreadable> {
        self.object.as_ref().ok_or_else(|| {
            Unreadable::new("object", format!("the request has no object, expected a {}", self.kind.kind))
        })
    }
}

impl<'a> Object<'a> {
    /// Reads one field. A field that is absent or null has the default value.
    pub fn field<T: Default + Deserialize<'a>>(&self, name: &str) -> Result<T, Unreadable> {
        let Some(text) = self.0.get(name) else { return Ok(T::default()) };
        let value: Option<T> = read_text(text.get(), &format!("object.{name}"))?;
        Ok(value.unwrap_or_default())
    }

    /// Reads all fields.
    pub fn value(&self) -> Result<Value, Unreadable> {
        let field = |(name, text): (&String, &&RawValue)| {
            Ok((name.clone(), read_text(text.get(), &format!("object.{name}"))?))
        };
        self.0.iter().map(field).collect::<Result<_, _>>().map(Value::Object)
    }
}
