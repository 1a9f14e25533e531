//! The policy's settings.
//!
//! The names are those of the `connectInject` block of Consul's Helm chart, so that a values
//! file can be copied. Settings are parsed once, into types that are always valid.

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
