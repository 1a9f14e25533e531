//! The annotations' names, and which mode reads each.

use crate::settings::ModeName;

/// The prefix of the injector's annotations.
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
/// A prefix: the rest of the name is the metadata's key.
pub const META: &str = "service-meta-";
pub const CPU_LIMIT: &str = "sidecar-proxy-cpu-limit";
pub const CPU_REQUEST: &str = "sidecar-proxy-cpu-request";
pub const MEMORY_LIMIT: &str = "sidecar-proxy-memory-limit";
pub const MEMORY_REQUEST: &str = "sidecar-proxy-memory-request";
pub const NAMESPACE: &str = "consul-namespace";
pub const ENABLE_METRICS: &str = "enable-metrics";
pub const SCRAPE_PORT: &str = "prometheus-scrape-port";
pub const SCRAPE_PATH: &str = "prometheus-scrape-path";

// Annotations of dataplane mode.
pub const DEFAULT_PORT: &str = "connect-service-default-port";
pub const KUBERNETES_SERVICE: &str = "kubernetes-service";
pub const PROXY_CONFIG: &str = "proxy-config-map";
pub const TRANSPARENT_PROXY: &str = "transparent-proxy";
pub const EXCLUDE_INBOUND_PORTS: &str = "transparent-proxy-exclude-inbound-ports";
pub const EXCLUDE_OUTBOUND_PORTS: &str = "transparent-proxy-exclude-outbound-ports";
pub const EXCLUDE_OUTBOUND_CIDRS: &str = "transparent-proxy-exclude-outbound-cidrs";
pub const EXCLUDE_UIDS: &str = "transparent-proxy-exclude-uids";
pub const OVERWRITE_PROBES: &str = "transparent-proxy-overwrite-probes";
pub const CONSUL_DNS: &str = "consul-dns";
pub const METRICS_MERGING: &str = "enable-metrics-merging";
pub const MERGED_METRICS_PORT: &str = "merged-metrics-port";
pub const SERVICE_METRICS_PORT: &str = "service-metrics-port";
pub const SERVICE_METRICS_PATH: &str = "service-metrics-path";
pub const PROMETHEUS_CA_FILE: &str = "prometheus-ca-file";
pub const PROMETHEUS_CA_PATH: &str = "prometheus-ca-path";
pub const PROMETHEUS_CERT_FILE: &str = "prometheus-cert-file";
pub const PROMETHEUS_KEY_FILE: &str = "prometheus-key-file";
pub const MOUNT_VOLUME: &str = "connect-inject-mount-volume";
pub const USER_VOLUMES: &str = "consul-sidecar-user-volume";
pub const USER_MOUNTS: &str = "consul-sidecar-user-volume-mount";
pub const ACCESS_LOG_ENABLED: &str = "consul-sidecar-access-log-enabled";
pub const ACCESS_LOG_PATH: &str = "consul-sidecar-access-log-path";
pub const CONCURRENCY: &str = "consul-envoy-proxy-concurrency";
pub const PROXY_HEALTH_CHECK: &str = "use-proxy-health-check";
pub const STARTUP_FAILURE_SECONDS: &str = "sidecar-proxy-startup-failure-seconds";
pub const LIVENESS_FAILURE_SECONDS: &str = "sidecar-proxy-liveness-failure-seconds";
pub const LIFECYCLE: &str = "enable-sidecar-proxy-lifecycle";
pub const DRAIN_LISTENERS: &str = "enable-sidecar-proxy-lifecycle-shutdown-drain-listeners";
pub const SHUTDOWN_GRACE: &str = "sidecar-proxy-lifecycle-shutdown-grace-period-seconds";
pub const STARTUP_GRACE: &str = "sidecar-proxy-lifecycle-startup-grace-period-seconds";
pub const GRACEFUL_PORT: &str = "sidecar-proxy-lifecycle-graceful-port";
pub const GRACEFUL_SHUTDOWN_PATH: &str = "sidecar-proxy-lifecycle-graceful-shutdown-path";
pub const GRACEFUL_STARTUP_PATH: &str = "sidecar-proxy-lifecycle-graceful-startup-path";
pub const NATIVE_SIDECAR: &str = "enable-consul-dataplane-as-sidecar";
pub const NATIVE_PROBE_DELAY: &str = "sidecar-initial-probe-check-delay-seconds";
pub const NATIVE_PROBE_PERIOD: &str = "sidecar-probe-period-seconds";
pub const NATIVE_PROBE_FAILURES: &str = "sidecar-probe-failure-threshold";
pub const NATIVE_PROBE_TIMEOUT: &str = "sidecar-probe-check-timeout-seconds";
pub const TRANSPARENT_PROXY_STATUS: &str = "transparent-proxy-status";
pub const REDIRECT_TRAFFIC: &str = "redirect-traffic-config";
pub const DUAL_STACK: &str = "dual-stack";
pub const ORIGINAL_POD: &str = "original-pod";
pub const K8S_VERSION: &str = "consul-k8s-version";
pub const OLD_K8S_VERSION: &str = "connect-k8s-version";
/// The name of a label.
pub const MANAGED_BY: &str = "connect-inject-managed-by";

/// Who reads an annotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadBy {
    EveryMode,
    Only(ModeName),
    /// Other versions of Consul's injector.
    Others,
}

use ReadBy::{EveryMode, Only, Others};

const AGENT: ReadBy = Only(ModeName::Agent);
const DATAPLANE: ReadBy = Only(ModeName::Dataplane);

/// Every known annotation.
pub const TABLE: &[(&str, ReadBy)] = &[
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
    (DEFAULT_PORT, DATAPLANE),
    (KUBERNETES_SERVICE, DATAPLANE),
    (PROXY_CONFIG, DATAPLANE),
    (TRANSPARENT_PROXY, DATAPLANE),
    (EXCLUDE_INBOUND_PORTS, DATAPLANE),
    (EXCLUDE_OUTBOUND_PORTS, DATAPLANE),
    (EXCLUDE_OUTBOUND_CIDRS, DATAPLANE),
    (EXCLUDE_UIDS, DATAPLANE),
    (OVERWRITE_PROBES, DATAPLANE),
    (CONSUL_DNS, DATAPLANE),
    (METRICS_MERGING, DATAPLANE),
    (MERGED_METRICS_PORT, DATAPLANE),
    (SERVICE_METRICS_PORT, DATAPLANE),
    (SERVICE_METRICS_PATH, DATAPLANE),
    (PROMETHEUS_CA_FILE, DATAPLANE),
    (PROMETHEUS_CA_PATH, DATAPLANE),
    (PROMETHEUS_CERT_FILE, DATAPLANE),
    (PROMETHEUS_KEY_FILE, DATAPLANE),
    (MOUNT_VOLUME, DATAPLANE),
    (USER_VOLUMES, DATAPLANE),
    (USER_MOUNTS, DATAPLANE),
    (ACCESS_LOG_ENABLED, DATAPLANE),
    (ACCESS_LOG_PATH, DATAPLANE),
    (CONCURRENCY, DATAPLANE),
    (PROXY_HEALTH_CHECK, DATAPLANE),
    (STARTUP_FAILURE_SECONDS, DATAPLANE),
    (LIVENESS_FAILURE_SECONDS, DATAPLANE),
    (LIFECYCLE, DATAPLANE),
    (DRAIN_LISTENERS, DATAPLANE),
    (SHUTDOWN_GRACE, DATAPLANE),
    (STARTUP_GRACE, DATAPLANE),
    (GRACEFUL_PORT, DATAPLANE),
    (GRACEFUL_SHUTDOWN_PATH, DATAPLANE),
    (GRACEFUL_STARTUP_PATH, DATAPLANE),
    (NATIVE_SIDECAR, DATAPLANE),
    (NATIVE_PROBE_DELAY, DATAPLANE),
    (NATIVE_PROBE_PERIOD, DATAPLANE),
    (NATIVE_PROBE_FAILURES, DATAPLANE),
    (NATIVE_PROBE_TIMEOUT, DATAPLANE),
    (TRANSPARENT_PROXY_STATUS, DATAPLANE),
    (REDIRECT_TRAFFIC, DATAPLANE),
    (DUAL_STACK, DATAPLANE),
    (ORIGINAL_POD, DATAPLANE),
    (K8S_VERSION, DATAPLANE),
    (OLD_K8S_VERSION, DATAPLANE),
    ("connect-inject-mount-volumes", Others),
    ("consul-sidecar-cpu-limit", Others),
    ("consul-sidecar-cpu-request", Others),
    ("consul-sidecar-memory-limit", Others),
    ("consul-sidecar-memory-request", Others),
    ("inject-init-first", Others),
    ("mesh-inject", Others),
    ("mesh-service-destinations", Others),
];

/// Annotations that the policy sets.
pub const WRITTEN: &[&str] = &[
    STATUS,
    NAMESPACE,
    TRANSPARENT_PROXY_STATUS,
    REDIRECT_TRAFFIC,
    DUAL_STACK,
    ORIGINAL_POD,
    K8S_VERSION,
    OLD_K8S_VERSION,
];

/// Who reads the annotation; `None` if it is not known.
pub fn read_by(name: &str) -> Option<ReadBy> {
    if name.starts_with(META) {
        return Some(EveryMode);
    }
    TABLE.iter().find(|(known, _)| *known == name).map(|(_, read_by)| *read_by)
}

/// Whether pods in `mode` can have the annotation.
pub fn is_known(name: &str, mode: ModeName) -> bool {
    match read_by(name) {
        Some(EveryMode) => true,
        Some(Only(other)) => other == mode,
        Some(Others) | None => false,
    }
}

/// The names that pods in `mode` can have.
pub fn known(mode: ModeName) -> impl Iterator<Item = &'static str> {
    TABLE.iter().map(|(name, _)| *name).filter(move |name| is_known(name, mode))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_appears_once() {
        for (index, (name, _)) in TABLE.iter().enumerate() {
            assert!(TABLE.iter().skip(index + 1).all(|(other, _)| other != name), "{name}");
        }
        assert!(is_known("service-meta-x", ModeName::Dataplane) && !is_known("service-met", ModeName::Agent));
        assert!(is_known(SYNC_PERIOD, ModeName::Agent) && !is_known(SYNC_PERIOD, ModeName::Dataplane));
    }
}
