//! The endpoint at which Prometheus scrapes Envoy's metrics.

use k8s_openapi::api::core::v1::ContainerPort;

use crate::annotations::names::{ENABLE_METRICS, SCRAPE_PATH};
use crate::annotations::reader::{AnnotationReader, Empty};
use crate::problem::Flaw;
use crate::settings::reader::SettingsReader;

/// The default path.
pub const PATH: &str = "/metrics";
const PORT: u16 = 20200;

/// The metrics endpoint: the default of the settings, or that of a pod.
#[derive(Debug, Clone)]
pub struct Scrape {
    pub enabled: bool,
    pub port: u16,
    pub path: String,
}

impl Scrape {
    /// Reads the keys of the block `metrics` that all modes have.
    pub fn read(block: &mut SettingsReader<'_, '_>) -> Self {
        let enabled = block.bool("defaultEnabled", false);
        let port = block.port("defaultPrometheusScrapePort", 1024, PORT);
        let key = "defaultPrometheusScrapePath";
        let path = block.url_path(key, PATH);
        if let Some(flaw) = route_flaw(&path) {
            block.problem(key, &path, flaw);
        }
        Scrape { enabled, port, path }
    }

    /// The endpoint of a pod. `port` is the annotation's value, which each mode reads differently.
    #[must_use]
    pub fn of_pod(&self, reader: &mut AnnotationReader<'_, '_>, port: Option<u16>) -> Self {
        let enabled = reader.bool(ENABLE_METRICS, Empty::Absent).unwrap_or(self.enabled);
        let path = reader.path(SCRAPE_PATH);
        if let Some((path, flaw)) = path.and_then(|path| Some((path, route_flaw(path)?))) {
            reader.problem(SCRAPE_PATH, path, flaw);
        }
        let path = path.unwrap_or(&self.path).to_owned();
        Scrape { enabled, port: port.unwrap_or(self.port), path }
    }

    /// The annotations by which Prometheus finds the endpoint.
    pub fn annotations(&self) -> impl Iterator<Item = (String, String)> {
        let annotations = [
            ("prometheus.io/scrape", "true".to_owned()),
            ("prometheus.io/port", self.port.to_string()),
            ("prometheus.io/path", self.path.clone()),
        ];
        let enabled = self.enabled;
        annotations.into_iter().filter(move |_| enabled).map(|(name, value)| (name.to_owned(), value))
    }

    pub fn container_port(&self) -> Option<ContainerPort> {
        self.enabled.then(|| ContainerPort {
            name: Some("prometheus".to_owned()),
            container_port: self.port.into(),
            protocol: Some("TCP".to_owned()),
            ..ContainerPort::default()
        })
    }
}

/// Consul writes the path into Envoy's bootstrap without escaping it, and Envoy compares it
/// with the path of a request without its query.
fn route_flaw(path: &str) -> Option<Flaw> {
    path.contains(['"', '\\', '?', '#'])
        .then(|| "must not contain \", \\, ? or #; write a path such as /metrics".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_that_a_bootstrap_can_have_and_a_request_can_match() {
        for path in ["/", "/metrics", "/a-b/c_d/~e:f=$(g)%20"] {
            assert!(route_flaw(path).is_none(), "{path}");
        }
        for path in ["/a\"b", "/a\\", "/metrics?format=text", "/a#b"] {
            assert!(route_flaw(path).is_some(), "{path}");
        }
    }
}
