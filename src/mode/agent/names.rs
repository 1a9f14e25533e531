//! The names of the injected containers and volumes. They are the original injector's, so that
//! dashboards and scripts keep working.

use crate::mode::shared::INIT_CONTAINER;
use crate::mode::shared::volumes::{DATA, TOKEN};

pub const INIT: &str = INIT_CONTAINER;
pub const ENVOY: &str = "consul-connect-envoy-sidecar";
pub const LIFECYCLE: &str = "consul-connect-lifecycle-sidecar";
pub const CONTAINERS: &[&str] = &[INIT, ENVOY, LIFECYCLE];

/// An empty volume where the API server would otherwise mount the app's own token.
pub const NO_TOKEN_VOLUME: &str = "consul-connect-inject-no-token";
pub const VOLUMES: &[&str] = &[DATA, TOKEN, NO_TOKEN_VOLUME];
