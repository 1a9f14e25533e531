//! The Consul side: what a pod's service is, in Consul's terms.

pub mod namespace;
pub mod protocol;
pub mod readiness;
pub mod registration;
pub mod service_name;
pub mod upstream;
