//! The scripts of the injected containers. `build.rs` takes them from
//! `scripts/*.sh`, without their comments and escaped as the inside of a JSON
//! string, so that nothing is left to do for each pod.

/// For `command` and `args`, where the kubelet makes `$` of `$$`: doubled.
///
/// The init container is given the common part, and leaves it in the shared volume
/// for the lifecycle sidecar: the pod carries it once.
pub const COMMON: &str = include_str!(concat!(env!("OUT_DIR"), "/common.sh"));
pub const INIT: &str = include_str!(concat!(env!("OUT_DIR"), "/init.sh"));
pub const LIFECYCLE: &str = include_str!(concat!(env!("OUT_DIR"), "/lifecycle.sh"));

/// For lifecycle hooks, which the kubelet does not expand: as they are.
pub const LIFECYCLE_PRE_STOP: &str = include_str!(concat!(env!("OUT_DIR"), "/lifecycle-pre-stop.sh"));
pub const ENVOY_PRE_STOP: &str = include_str!(concat!(env!("OUT_DIR"), "/envoy-pre-stop.sh"));
