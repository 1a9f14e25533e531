//! Kubernetes: the parts of a pod that the policy reads, and changes to a pod. Independent of
//! Consul.

pub mod edit;
pub mod kubelet;
pub mod names;
pub mod pod;
pub mod ports;
pub mod probe_path;
pub mod quantity;
