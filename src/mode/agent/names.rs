//! The names of the injected containers and volumes: the original injector's, so that
//! people's dashboards and habits keep working.

pub const INIT: &str = "consul-connect-inject-init";
pub const ENVOY: &str = "consul-connect-envoy-sidecar";
pub const LIFECYCLE: &str = "consul-connect-lifecycle-sidecar";
pub const CONTAINERS: &[&str] = &[INIT, ENVOY, LIFECYCLE];

/// What the injected containers share.
pub const DATA_VOLUME: &str = "consul-connect-inject-data";
/// The pod's identity for Consul's auth method.
pub const TOKEN_VOLUME: &str = "consul-connect-inject-token";
/// Takes the place where the API server would mount the app's own token.
pub const NO_TOKEN_VOLUME: &str = "consul-connect-inject-no-token";
pub const VOLUMES: &[&str] = &[DATA_VOLUME, TOKEN_VOLUME, NO_TOKEN_VOLUME];
