//! The ports that the injected containers always have. Those that settings and annotations can
//! change are in `default.rs` and `shared/scrape.rs`, and those of the app's probes in
//! `overwrite_probes.rs`.

use crate::problem::Flaw;

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
/// consul-dataplane's own metrics, which Envoy merges into its own.
pub const DATAPLANE_METRICS: u16 = 20101;

/// What listens on the ports of the first proxy.
pub const OWNERS: [(u16, &str); 5] = [
    (ADMIN, "Envoy's admin interface"),
    (INBOUND, "Envoy's listener for other proxies"),
    (OUTBOUND, "transparent proxy"),
    (DNS, "Consul DNS"),
    (DATAPLANE_METRICS, "consul-dataplane's metrics"),
];

/// What listens on the ports that can be chosen.
pub const GRACEFUL_OWNER: &str = "the proxy's shutdown endpoint";
pub const SCRAPE_OWNER: &str = "Envoy's metrics";
pub const MERGED_OWNER: &str = "consul-dataplane's port for merged metrics";

/// What is wrong with a port that another part of the proxy uses.
pub fn taken(owner: &str) -> Flaw {
    Flaw::new(format!("is already used by {owner}"), "use another port")
}
