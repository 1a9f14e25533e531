//! Reviews requests: pods and workloads.

mod decision;
pub mod pod;
pub mod workload;
