//! The ports that the injected containers always have. `default.rs` has those that settings and
//! annotations can change, and `overwrite_probes.rs` those of the app's probes.

/// The first Envoy's admin interface; each further proxy's port is one higher.
pub const ADMIN: u16 = 19000;
/// The first proxy's port for connections from other proxies; each further proxy's is one higher.
pub const INBOUND: u16 = 20000;
/// The first Envoy's port for its own probes; each further proxy's is one higher.
pub const READY: u16 = 21000;
/// Envoy's port for the app's connections, with transparent proxy.
pub const OUTBOUND: u16 = 15001;
/// consul-dataplane's DNS server.
pub const DNS: u16 = 8600;
