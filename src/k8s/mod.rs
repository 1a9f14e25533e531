//! The Kubernetes side: what the policy reads of a pod, and how it changes one. Nothing
//! here knows Consul.

pub mod edit;
pub mod job;
pub mod kubelet;
pub mod names;
pub mod pod;
pub mod ports;
pub mod probe_path;
pub mod quantity;
