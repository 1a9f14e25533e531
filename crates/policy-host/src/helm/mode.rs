//! Determines the mode from the values of a chart.

use std::fmt;

use clap::ValueEnum;
use serde_json::json;

use super::values::Values;

/// How a pod joins the mesh.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// The pod registers itself with the client agent on its node.
    Agent,
    /// The chart's controllers register the pod, and its proxy connects to the servers.
    Dataplane,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Agent => "agent",
            Self::Dataplane => "dataplane",
        })
    }
}

/// Images, with the first version that belongs to a chart without client agents.
const IMAGES: [(&str, (u32, u32)); 3] =
    [("/global/imageK8S", (1, 0)), ("/global/imageK8s", (1, 0)), ("/global/image", (1, 14))];

/// Values that only the charts since 1.0 have.
const SINCE_1_0: [&str; 5] = [
    "/global/imageConsulDataplane",
    "/connectInject/apiGateway",
    "/connectInject/consulNode",
    "/connectInject/dataplaneAsSidecarInitContainer",
    "/connectInject/sidecarProxy/lifecycle",
];

/// Values that only the charts before 1.0 have.
const BEFORE_1_0: [&str; 8] = [
    "/global/bootstrapACLs",
    "/global/consulSidecarContainer",
    "/global/imageEnvoy",
    "/global/lifecycleSidecarContainer",
    "/connectInject/centralConfig",
    "/connectInject/healthChecks",
    "/connectInject/imageEnvoy",
    "/controller",
];

/// The mode, and the reason.
pub fn choose(values: Values<'_>, chart_version: Option<&str>) -> (Mode, String) {
    let clients = values.switch("/client/enabled");
    let agents = clients == Some(json!(true));
    if agents && values.injector() == Some(json!(false)) {
        let why =
            "client agents are enabled, and the chart's injector, which dataplane mode requires, is disabled";
        return (Mode::Agent, why.to_owned());
    }
    if let Some((written, (major, _))) = chart_version.and_then(|written| Some((written, version(written)?)))
    {
        let mode = if major == 0 { Mode::Agent } else { Mode::Dataplane };
        return (mode, format!("the chart's version is {written}"));
    }
    if let Some(chosen) = by_image(values) {
        return chosen;
    }
    let has = |keys: &[&'static str]| keys.iter().copied().find(|key| values.0.pointer(key).is_some());
    if let Some(found) = has(&SINCE_1_0) {
        return (Mode::Dataplane, format!("{} is a key of charts from 1.0 on", key(found)));
    }
    if let Some(found) = has(&BEFORE_1_0) {
        return (Mode::Agent, format!("{} is a key of charts before 1.0", key(found)));
    }
    if agents {
        return (Mode::Agent, "client.enabled is true".to_owned());
    }
    if clients.is_some() {
        return (Mode::Dataplane, "client.enabled is false".to_owned());
    }
    if values.is_true("/client/grpc") {
        return (Mode::Agent, "client.grpc is true".to_owned());
    }
    let why = "no value is of a chart before 1.0, which had client agents";
    (Mode::Dataplane, why.to_owned())
}

/// Images are better evidence than keys, which often stay in values files after a chart dropped them.
fn by_image(values: Values<'_>) -> Option<(Mode, String)> {
    IMAGES.iter().find_map(|(pointer, first)| {
        let image = values.text(pointer)?;
        let (_, tag) = image.rsplit_once(':').filter(|(_, tag)| tag.contains('.'))?;
        let mode = if version(tag)? < *first { Mode::Agent } else { Mode::Dataplane };
        Some((mode, format!("{} is {image}", key(pointer))))
    })
}

fn key(pointer: &str) -> String {
    pointer.trim_start_matches('/').replace('/', ".")
}

/// The major and minor version of a version, or of a range that begins with its lowest one.
fn version(written: &str) -> Option<(u32, u32)> {
    let digits = written.trim_start_matches(['v', '^', '~', '>', '=', ' ']);
    let mut parts = digits.split('.');
    let major = parts.next()?.parse().ok()?;
    Some((major, parts.next().and_then(|minor| minor.parse().ok()).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn the_values_choose_the_mode() {
        let image = |key: &str, image: &str| json!({ "global": { key: image }, "controller": {} });
        let cases: [(Value, Option<&str>, Mode); 18] = [
            (image("imageK8S", "hashicorp/consul-k8s-control-plane:1.4.0-ubi"), None, Mode::Dataplane),
            (image("imageK8S", "hashicorp/consul-k8s:0.25.0"), None, Mode::Agent),
            (image("image", "registry:5000/consul-enterprise:1.17.0-ent"), None, Mode::Dataplane),
            (image("image", "consul:1.9.0"), None, Mode::Agent),
            (image("image", "consul:latest"), None, Mode::Agent),
            (image("image", "consul@sha256:12"), None, Mode::Agent),
            (json!({}), None, Mode::Dataplane),
            (json!({}), Some("0.43.0"), Mode::Agent),
            (json!({}), Some(">= 0.43"), Mode::Agent),
            (json!({ "client": { "enabled": true } }), Some("*"), Mode::Agent),
            (json!({ "client": { "enabled": true } }), Some("1.4.2"), Mode::Dataplane),
            (json!({ "client": { "enabled": true } }), None, Mode::Agent),
            (json!({ "client": { "enabled": "-" } }), None, Mode::Agent),
            (json!({ "client": { "enabled": false } }), None, Mode::Dataplane),
            (json!({ "client": { "grpc": true } }), None, Mode::Agent),
            (json!({ "connectInject": { "healthChecks": {} } }), None, Mode::Agent),
            (
                json!({ "client": { "enabled": true }, "connectInject": { "apiGateway": {} } }),
                None,
                Mode::Dataplane,
            ),
            (
                json!({ "client": { "enabled": true }, "connectInject": { "apiGateway": {}, "enabled": false } }),
                Some("1.4.2"),
                Mode::Agent,
            ),
        ];
        for (values, version, mode) in cases {
            assert_eq!(choose(Values(&values), version).0, mode, "{values} {version:?}");
        }
    }
}
