//! What the administrator configures.
//!
//! The names are those of the `connectInject` block of Consul's Helm chart, so
//! that a values file can be copied. Everything is parsed once: what the rest of
//! the policy sees cannot be wrong.

pub mod blocks;
mod certificates;
pub mod common;
pub mod image;
mod keys;
pub mod mode_name;
pub mod reader;
pub mod resources;

pub use common::Common;
pub use mode_name::ModeName;
