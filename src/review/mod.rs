//! What happens to each kind of object.

mod decision;
pub mod pod;
pub mod workload;
