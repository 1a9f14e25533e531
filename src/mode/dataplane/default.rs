//! The defaults and bounds of dataplane mode's settings.

use crate::settings::resources::Defaults;

pub const IMAGE_K8S: &str = "hashicorp/consul-k8s-control-plane:2.0.3";
pub const IMAGE_DATAPLANE: &str = "hashicorp/consul-dataplane:2.0.3";
/// The version in the annotations of injected pods.
pub const K8S_VERSION: &str = "v2.0.3";
/// The address for a release `consul` in the namespace `consul`.
pub const ADDRESS: &str = "consul-server.consul.svc";
pub const HTTP_PORT: u16 = 8500;
pub const HTTPS_PORT: u16 = 8501;
pub const GRPC_PORT: u16 = 8502;
pub const API_TIMEOUT: &str = "5s";
pub const LOG_LEVEL: &str = "info";
pub const PARTITION: &str = "default";
pub const CONCURRENCY: u32 = 2;
pub const SHUTDOWN_GRACE_SECONDS: u32 = 30;
pub const GRACEFUL_PORT: u16 = 20600;
pub const GRACEFUL_SHUTDOWN_PATH: &str = "/graceful_shutdown";
pub const GRACEFUL_STARTUP_PATH: &str = "/graceful_startup";
pub const MERGED_METRICS_PORT: u16 = 20100;
pub const CLUSTER_DOMAIN: &str = "cluster.local";
pub const DNS_OPTIONS: &[&str] = &["ndots:5"];

pub const SIDECAR: Defaults = Defaults { requests: &[], limits: &[] };
pub const INIT: Defaults =
    Defaults { requests: &[("cpu", "50m"), ("memory", "25Mi")], limits: &[("memory", "150Mi")] };

/// The maximum of times in settings and annotations, in seconds.
pub const SECONDS_LIMIT: u32 = 86_400;
pub const CONCURRENCY_LIMIT: u32 = 1024;
