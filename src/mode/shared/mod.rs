//! Code that both modes use.

pub mod consul_namespace;
pub mod env;
pub mod obstacles;
pub mod pod_resources;
pub mod resources;
pub mod scrape;
pub mod security;
pub mod unfinished_job;
pub mod upstream_env;
pub mod upstream_ports;
pub mod volumes;

/// The name of the init container, or its prefix, in both modes.
pub const INIT_CONTAINER: &str = "consul-connect-inject-init";
