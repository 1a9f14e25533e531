//! The annotations' names, and which mode reads each.

use crate::settings::ModeName;

/// What every annotation of the injector begins with.
pub const PREFIX: &str = "consul.hashicorp.com/";

// The names without the prefix.
pub const INJECT: &str = "connect-inject";
pub const STATUS: &str = "connect-inject-status";
pub const SERVICE: &str = "connect-service";
pub const PORT: &str = "connect-service-port";
pub const UPSTREAMS: &str = "connect-service-upstreams";
pub const PROTOCOL: &str = "connect-service-protocol";
pub const SYNC_PERIOD: &str = "connect-sync-period";
pub const ENVOY_ARGS: &str = "envoy-extra-args";
pub const TAGS: &str = "service-tags";
pub const OLD_TAGS: &str = "connect-service-tags";
/// Begins a family of names: the rest is the metadata's key.
pub const META: &str = "service-meta-";
pub const CPU_LIMIT: &str = "sidecar-proxy-cpu-limit";
pub const CPU_REQUEST: &str = "sidecar-proxy-cpu-request";
pub const MEMORY_LIMIT: &str = "sidecar-proxy-memory-limit";
pub const MEMORY_REQUEST: &str = "sidecar-proxy-memory-request";
pub const NAMESPACE: &str = "consul-namespace";
pub const ENABLE_METRICS: &str = "enable-metrics";
pub const SCRAPE_PORT: &str = "prometheus-scrape-port";
pub const SCRAPE_PATH: &str = "prometheus-scrape-path";

/// Who reads an annotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    EveryMode,
    Only(ModeName),
    /// Other injectors of Consul's.
    Others,
}

use Reader::{EveryMode, Only, Others};

const AGENT: Reader = Only(ModeName::Agent);
const DATAPLANE: Reader = Only(ModeName::Dataplane);

/// Every known annotation.
pub const TABLE: &[(&str, Reader)] = &[
    (INJECT, EveryMode),
    (STATUS, EveryMode),
    (SERVICE, EveryMode),
    (PORT, EveryMode),
    (UPSTREAMS, EveryMode),
    (PROTOCOL, AGENT),
    (SYNC_PERIOD, AGENT),
    (ENVOY_ARGS, EveryMode),
    (TAGS, EveryMode),
    (OLD_TAGS, AGENT),
    (META, EveryMode),
    (CPU_LIMIT, EveryMode),
    (CPU_REQUEST, EveryMode),
    (MEMORY_LIMIT, EveryMode),
    (MEMORY_REQUEST, EveryMode),
    (NAMESPACE, EveryMode),
    (ENABLE_METRICS, EveryMode),
    (SCRAPE_PORT, EveryMode),
    (SCRAPE_PATH, EveryMode),
    ("transparent-proxy", DATAPLANE),
    ("transparent-proxy-exclude-inbound-ports", DATAPLANE),
    ("transparent-proxy-exclude-outbound-ports", DATAPLANE),
    ("transparent-proxy-exclude-outbound-cidrs", DATAPLANE),
    ("transparent-proxy-exclude-uids", DATAPLANE),
    ("transparent-proxy-overwrite-probes", DATAPLANE),
    ("enable-metrics-merging", DATAPLANE),
    ("merged-metrics-port", DATAPLANE),
    ("prometheus-ca-file", DATAPLANE),
    ("prometheus-ca-path", DATAPLANE),
    ("prometheus-cert-file", DATAPLANE),
    ("prometheus-key-file", DATAPLANE),
    ("service-metrics-port", DATAPLANE),
    ("service-metrics-path", DATAPLANE),
    ("connect-inject-mount-volume", DATAPLANE),
    ("connect-inject-mount-volumes", Others),
    ("consul-sidecar-user-volume", DATAPLANE),
    ("consul-sidecar-user-volume-mount", DATAPLANE),
    ("consul-sidecar-cpu-limit", Others),
    ("consul-sidecar-cpu-request", Others),
    ("consul-sidecar-memory-limit", Others),
    ("consul-sidecar-memory-request", Others),
    ("consul-envoy-proxy-concurrency", DATAPLANE),
    ("enable-sidecar-proxy-lifecycle", DATAPLANE),
    ("enable-sidecar-proxy-lifecycle-shutdown-drain-listeners", DATAPLANE),
    ("sidecar-proxy-lifecycle-shutdown-grace-period-seconds", DATAPLANE),
    ("sidecar-proxy-lifecycle-startup-grace-period-seconds", DATAPLANE),
    ("sidecar-proxy-lifecycle-graceful-port", DATAPLANE),
    ("sidecar-proxy-lifecycle-graceful-shutdown-path", DATAPLANE),
    ("sidecar-proxy-lifecycle-graceful-startup-path", DATAPLANE),
    ("sidecar-proxy-startup-failure-seconds", DATAPLANE),
    ("sidecar-proxy-liveness-failure-seconds", DATAPLANE),
    ("use-proxy-health-check", DATAPLANE),
    ("inject-init-first", Others),
    ("kubernetes-service", DATAPLANE),
    ("proxy-config-map", DATAPLANE),
    ("mesh-inject", Others),
    ("mesh-service-destinations", Others),
    ("connect-k8s-version", DATAPLANE),
];

/// Who reads the annotation; `None` if it is not known.
pub fn reader(name: &str) -> Option<Reader> {
    if name.starts_with(META) {
        return Some(EveryMode);
    }
    TABLE.iter().find(|(known, _)| *known == name).map(|(_, reader)| *reader)
}

/// Whether pods in `mode` can have the annotation.
pub fn is_known(name: &str, mode: ModeName) -> bool {
    matches!(reader(name), Some(EveryMode)) || reader(name) == Some(Only(mode))
}

/// The names that pods in `mode` can have.
pub fn known(mode: ModeName) -> impl Iterator<Item = &'static str> {
    TABLE.iter().map(|(name, _)| *name).filter(move |name| is_known(name, mode))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_stands_once() {
        for (index, (name, _)) in TABLE.iter().enumerate() {
            assert!(TABLE.iter().skip(index + 1).all(|(other, _)| other != name), "{name}");
        }
        assert!(is_known("service-meta-x", ModeName::Dataplane) && !is_known("service-met", ModeName::Agent));
        assert!(is_known(SYNC_PERIOD, ModeName::Agent) && !is_known(SYNC_PERIOD, ModeName::Dataplane));
    }
}
