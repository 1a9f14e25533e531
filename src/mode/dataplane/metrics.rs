//! Metrics for Prometheus: Envoy's alone, or merged with the app's.

use super::addresses::Addresses;
use super::default;
use crate::annotations::full;
use crate::annotations::names::{
    MERGED_METRICS_PORT, METRICS_MERGING, PROMETHEUS_CA_FILE, PROMETHEUS_CA_PATH, PROMETHEUS_CERT_FILE,
    PROMETHEUS_KEY_FILE, SCRAPE_PORT, SERVICE_METRICS_PATH, SERVICE_METRICS_PORT,
};
use crate::annotations::reader::{AnnotationReader, Empty};
use crate::k8s::kubelet;
use crate::mode::shared::scrape::{self, Scrape};
use crate::problem::Flaw;
use crate::settings::reader::SettingsReader;

/// The block `metrics`.
#[derive(Debug, Clone)]
pub struct MetricsDefaults {
    pub scrape: Scrape,
    merging: bool,
    pub merged_port: u16,
}

impl MetricsDefaults {
    pub fn read(block: &mut SettingsReader<'_, '_>) -> Self {
        MetricsDefaults {
            scrape: Scrape::read(block),
            merging: block.bool("defaultEnableMerging", false),
            merged_port: block.port("defaultMergedMetricsPort", 1024, default::MERGED_METRICS_PORT),
        }
    }
}

#[derive(Debug)]
pub struct Metrics {
    pub scrape: Scrape,
    /// Whether merging was requested, with or without metrics.
    pub merging: bool,
    /// `None`: the proxy serves only its own metrics.
    pub merged: Option<Merged>,
}

#[derive(Debug)]
pub struct Merged {
    port: u16,
    service_port: u16,
    service_path: String,
    tls: Option<Tls>,
}

/// The files for serving the merged metrics over TLS.
#[derive(Debug)]
struct Tls {
    ca: String,
    cert: String,
    key: String,
}

impl Metrics {
    /// `service_port` is the service's first port.
    pub fn read(
        reader: &mut AnnotationReader<'_, '_>,
        defaults: &MetricsDefaults,
        service_port: Option<u16>,
    ) -> Self {
        let scrape_port = reader.port(SCRAPE_PORT, 1024);
        let scrape = defaults.scrape.of_pod(reader, scrape_port);
        let merging = reader.bool(METRICS_MERGING, Empty::Absent).unwrap_or(defaults.merging);
        let port = reader.port(MERGED_METRICS_PORT, 1024).unwrap_or(defaults.merged_port);
        let service_port = reader.port(SERVICE_METRICS_PORT, 1).or(service_port);
        let service_path = reader.path(SERVICE_METRICS_PATH).unwrap_or(scrape::PATH).to_owned();
        let tls = Tls::read(reader);
        let merged = service_port.filter(|_| scrape.enabled && merging).map(|service_port| Merged {
            port,
            service_port,
            service_path,
            tls,
        });
        Metrics { scrape, merging, merged }
    }

    /// consul-dataplane listens on this port also if the app's metrics are not merged.
    pub fn merged_port(&self) -> u16 {
        self.merged.as_ref().map_or(default::MERGED_METRICS_PORT, |merged| merged.port)
    }

    pub fn args(&self, addresses: Addresses) -> Vec<String> {
        let mut args = vec![format!("-telemetry-prom-scrape-path={}", kubelet::literal(&self.scrape.path))];
        if let Some(Merged { port, service_port, service_path, tls }) = &self.merged {
            let service = format!("{}{service_path}", addresses.url(*service_port));
            args.push(format!("-telemetry-prom-merge-port={port}"));
            args.push(format!("-telemetry-prom-service-metrics-url={}", kubelet::literal(&service)));
            if let Some(Tls { ca, cert, key }) = tls {
                args.push(format!("-telemetry-prom-ca-certs-path={}", kubelet::literal(ca)));
                args.push(format!("-telemetry-prom-cert-file={}", kubelet::literal(cert)));
                args.push(format!("-telemetry-prom-key-file={}", kubelet::literal(key)));
            }
        }
        args
    }
}

impl Tls {
    /// All three files, or none. The CA may be a file or a directory.
    fn read(reader: &mut AnnotationReader<'_, '_>) -> Option<Self> {
        let ca_name = match reader.written(PROMETHEUS_CA_FILE) {
            Some(_) => PROMETHEUS_CA_FILE,
            None => PROMETHEUS_CA_PATH,
        };
        let names = [ca_name, PROMETHEUS_CERT_FILE, PROMETHEUS_KEY_FILE];
        let written = names.map(|name| (name, reader.written(name)));
        let (first, _) = written.iter().find(|(_, path)| path.is_some())?;
        for (name, path) in written {
            match path {
                Some(path) if !path.starts_with('/') => {
                    reader.problem(name, path, "must be an absolute path in the proxy's container");
                }
                Some(_) => (),
                None => {
                    let why = format!("is required with {}", full(first));
                    let remedy = "set the CA, the certificate and the key, or none of them";
                    reader.findings.problem(Flaw::new(why, remedy).at(full(name)));
                }
            }
        }
        let [ca, cert, key] = written.map(|(_, path)| path.map(str::to_owned));
        Some(Tls { ca: ca?, cert: cert?, key: key? })
    }
}
