//! What the modes have in common.

pub mod env;
pub mod obstacles;
pub mod pod_resources;
pub mod resources;
pub mod security;
pub mod upstream_env;
