//! Defaults of the charts that the policy's own defaults override.
//!
//! `helm get values --all` also prints the defaults of the release's chart. Those for the init
//! container and the lifecycle sidecar are too low for the policy's, which run Consul's CLI.

use serde_json::Value;

/// A chart's key and its default.
const DEFAULTS: &[(&str, &str)] = &[
    // The charts before 0.49.6, 1.0.6 and 1.1.1.
    ("connectInject.initContainer.resources.limits.cpu", "50m"),
    // Also today's chart.
    ("connectInject.initContainer.resources.limits.memory", "150Mi"),
    ("connectInject.initContainer.resources.requests.cpu", "50m"),
    ("connectInject.initContainer.resources.requests.memory", "25Mi"),
    // The charts of 0.x, under two names.
    ("global.lifecycleSidecarContainer.resources.limits.cpu", "20m"),
    ("global.lifecycleSidecarContainer.resources.limits.memory", "50Mi"),
    ("global.lifecycleSidecarContainer.resources.requests.cpu", "20m"),
    ("global.lifecycleSidecarContainer.resources.requests.memory", "25Mi"),
    ("global.consulSidecarContainer.resources.limits.cpu", "20m"),
    ("global.consulSidecarContainer.resources.limits.memory", "50Mi"),
    ("global.consulSidecarContainer.resources.requests.cpu", "20m"),
    ("global.consulSidecarContainer.resources.requests.memory", "25Mi"),
];

/// Why a chart's default is omitted from the settings.
pub fn left_out(key: &str, value: &Value, setting: &str) -> Option<String> {
    let (_, default) = DEFAULTS.iter().find(|(known, default)| *known == key && value == *default)?;
    let why = if key.ends_with("limits.cpu") {
        "with which each call of Consul's CLI takes seconds"
    } else if *default == "50Mi" {
        "and Consul's CLI needs 85 MB"
    } else {
        "for the container of Consul's own injector"
    };
    Some(format!("omitted: {default} is the chart's default, {why}; {setting} keeps its default"))
}
