//! The annotations and labels of an injected pod, for the chart's controllers, the CNI plugin and
//! users.

use std::collections::BTreeMap;

use super::injection::Injection;
use super::names::{INJECTED, MANAGED_BY_CONTROLLER};
use super::overwrite_probes::OriginalPod;
use crate::annotations::names::{
    ACCESS_LOG_ENABLED, ACCESS_LOG_PATH, DUAL_STACK, ENABLE_METRICS, K8S_VERSION, LIFECYCLE, MANAGED_BY,
    NAMESPACE, OLD_K8S_VERSION, ORIGINAL_POD, OVERWRITE_PROBES, PORT, PREFIX, REDIRECT_TRAFFIC, SCRAPE_PORT,
    SHUTDOWN_GRACE, STATUS, TRANSPARENT_PROXY, TRANSPARENT_PROXY_STATUS,
};
use crate::annotations::reader::parse_bool;
use crate::mode::candidate::Candidate;

/// The container that kubectl uses for `logs` and `exec` by default.
const DEFAULT_CONTAINER: &str = "kubectl.kubernetes.io/default-container";

pub fn annotations(
    pod: &Candidate<'_>,
    injection: &Injection<'_>,
) -> anyhow::Result<BTreeMap<String, String>> {
    let Injection { settings, options, .. } = injection;
    let version = settings.k8s_version();
    let mut annotations = BTreeMap::new();
    let mut write = |name: &str, value: String| {
        annotations.insert(format!("{PREFIX}{name}"), value);
    };
    write(STATUS, INJECTED.to_owned());
    write(K8S_VERSION, version.clone());
    write(OLD_K8S_VERSION, version);
    write(DUAL_STACK, settings.addresses.dual_stack.to_string());
    write(ORIGINAL_POD, original_pod(pod, injection)?);
    if let Some(ports) = &options.services.written_back {
        write(PORT, ports.clone());
    }
    if injection.redirection.is_some() {
        write(TRANSPARENT_PROXY_STATUS, "enabled".to_owned());
    }
    if let Some(config) = injection.redirection.as_ref().filter(|_| settings.cni) {
        write(REDIRECT_TRAFFIC, config.clone());
    }
    if let Some(namespace) = injection.namespace {
        write(NAMESPACE, namespace.name.clone());
    }
    if let Some(log) = &options.access_log {
        write(ACCESS_LOG_ENABLED, "true".to_owned());
        write(ACCESS_LOG_PATH, log.path.clone());
    }
    resolved(pod, injection, &mut write);
    annotations.extend(options.metrics.scrape.annotations());
    let first =
        pod.spec.containers.first().filter(|_| !pod.metadata.annotations.contains_key(DEFAULT_CONTAINER));
    annotations.extend(first.map(|first| (DEFAULT_CONTAINER.to_owned(), first.name.clone())));
    Ok(annotations)
}

/// Options for which the controller would otherwise use the chart's defaults and the namespace's
/// labels.
fn resolved(pod: &Candidate<'_>, injection: &Injection<'_>, write: &mut impl FnMut(&str, String)) {
    let options = injection.options;
    let written = |name: &str| pod.annotations.get(name).filter(|written| !written.is_empty());
    let mut resolve = |name: &str, value: bool| {
        if written(name).and_then(parse_bool) != Some(value) {
            write(name, value.to_string());
        }
    };
    resolve(TRANSPARENT_PROXY, options.transparent_proxy.is_some());
    if let Some(transparent_proxy) = &options.transparent_proxy {
        resolve(OVERWRITE_PROBES, transparent_proxy.overwrite_probes);
    }
    resolve(ENABLE_METRICS, options.metrics.scrape.enabled);
    resolve(LIFECYCLE, options.lifecycle.managed.is_some());
    // The controller does not remove spaces.
    let has_port = written(SCRAPE_PORT).is_some_and(|written| written == written.trim());
    if options.metrics.scrape.enabled && !has_port {
        write(SCRAPE_PORT, options.metrics.scrape.port.to_string());
    }
    if let Some(managed) = options.lifecycle.managed.as_ref().filter(|_| written(SHUTDOWN_GRACE).is_none()) {
        write(SHUTDOWN_GRACE, managed.shutdown_grace_seconds.to_string());
    }
}

/// The controller reads it only if probes are overwritten.
fn original_pod(pod: &Candidate<'_>, injection: &Injection<'_>) -> serde_json::Result<String> {
    let overwritten = injection.options.transparent_proxy.as_ref();
    serde_json::to_string(&match overwritten.is_some_and(|proxy| !proxy.probe_ports.is_empty()) {
        true => OriginalPod::of(pod.spec),
        false => OriginalPod::default(),
    })
}

pub fn labels() -> BTreeMap<String, String> {
    BTreeMap::from([
        (format!("{PREFIX}{STATUS}"), INJECTED.to_owned()),
        (format!("{PREFIX}{MANAGED_BY}"), MANAGED_BY_CONTROLLER.to_owned()),
    ])
}
