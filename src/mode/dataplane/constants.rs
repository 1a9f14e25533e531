//! Names that people, tools and the endpoints controller know.

use crate::mode::shared::INIT_CONTAINER;

/// Begins the name of each init container, or is it.
pub const INIT: &str = INIT_CONTAINER;
pub const SIDECAR: &str = "consul-dataplane";

/// The controller registers the pods that have it as a label.
pub const MANAGED_BY_CONTROLLER: &str = "consul-k8s-endpoints-controller";
pub const INJECTED: &str = "injected";

/// Of Envoy's admin interface, counted up by the number of the proxy in the pod.
pub const ADMIN_PORT: u16 = 19000;
