//! The defaults of agent mode's settings.

use crate::settings::resources::Defaults;

pub const IMAGE_CONSUL: &str = "hashicorp/consul:1.22.7";
pub const IMAGE_ENVOY: &str = "envoyproxy/envoy:v1.35.9";
pub const HTTP_PORT: u16 = 8500;
pub const HTTPS_PORT: u16 = 8501;
pub const GRPC_PORT: u16 = 8502;
pub const CONCURRENCY: u32 = 2;
pub const SYNC_PERIOD: &str = "10s";

pub const ENVOY: Defaults = Defaults { requests: &[("cpu", "50m"), ("memory", "80Mi")], limits: &[] };
// The Consul CLI needs 85 MB while it runs.
pub const INIT: Defaults =
    Defaults { requests: &[("cpu", "50m"), ("memory", "100Mi")], limits: &[("memory", "250Mi")] };
pub const LIFECYCLE: Defaults =
    Defaults { requests: &[("cpu", "10m"), ("memory", "10Mi")], limits: &[("memory", "250Mi")] };
