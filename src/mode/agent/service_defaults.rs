//! The `service-defaults` entry with the service's protocol.
//!
//! <https://developer.hashicorp.com/consul/docs/reference/config-entry/service-defaults>

use serde::Serialize;

use super::service_spec::ServiceSpec;
use crate::consul::namespace::Namespace;

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ServiceDefaults<'a> {
    kind: &'static str,
    name: &'a str,
    protocol: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'a str>,
}

impl<'a> ServiceDefaults<'a> {
    /// The entry of a service that has a protocol.
    pub fn new(service: &'a ServiceSpec, namespace: Option<&'a Namespace>) -> Option<Self> {
        Some(ServiceDefaults {
            kind: "service-defaults",
            name: service.name.as_str(),
            protocol: service.protocol?.to_string(),
            namespace: namespace.map(|namespace| namespace.name.as_str()),
        })
    }
}
