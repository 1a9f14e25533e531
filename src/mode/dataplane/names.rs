//! Names that users, tools and the endpoints controller rely on.

use crate::mode::shared::INIT_CONTAINER;

/// The name of the init container. With several services, a prefix.
pub const INIT: &str = INIT_CONTAINER;
pub const SIDECAR: &str = "consul-dataplane";

/// The label value of pods that the controller registers.
pub const MANAGED_BY_CONTROLLER: &str = "consul-k8s-endpoints-controller";
pub const INJECTED: &str = "injected";
