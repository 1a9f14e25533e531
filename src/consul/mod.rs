//! Consul's terms: names, upstreams, protocols, namespaces, Envoy's arguments. Independent of
//! Kubernetes.

pub mod catalog_upstream;
pub mod duration;
pub mod envoy_args;
pub mod namespace;
pub mod protocol;
pub mod service_name;
pub mod upstream;
pub mod upstream_list;
