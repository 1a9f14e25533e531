//! Reviews requests: pods and workloads.

mod decision;
pub mod kind;
mod misplaced;
pub mod pod;
pub mod workload;
