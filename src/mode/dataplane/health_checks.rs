//! The probes of the proxy itself.

use k8s_openapi::api::core::v1::{ContainerPort, HTTPGetAction, Probe, TCPSocketAction};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::default::SECONDS_LIMIT;
use super::ports;
use crate::annotations::names::{LIVENESS_FAILURE_SECONDS, PROXY_HEALTH_CHECK, STARTUP_FAILURE_SECONDS};
use crate::annotations::reader::{AnnotationReader, Empty};
use crate::settings::reader::SettingsReader;

/// The settings `sidecarProxy.defaultStartupFailureSeconds` and `.defaultLivenessFailureSeconds`.
#[derive(Debug)]
pub struct HealthDefaults {
    startup_failure_seconds: u32,
    liveness_failure_seconds: u32,
}

impl HealthDefaults {
    pub fn read(block: &mut SettingsReader<'_, '_>) -> Self {
        HealthDefaults {
            startup_failure_seconds: block.number("defaultStartupFailureSeconds", 0, SECONDS_LIMIT, 0),
            liveness_failure_seconds: block.number("defaultLivenessFailureSeconds", 0, SECONDS_LIMIT, 0),
        }
    }
}

#[derive(Debug)]
pub struct HealthChecks {
    /// Whether Envoy answers HTTP probes on a separate port.
    pub ready_port: bool,
    /// Zero means no probe.
    startup_failure_seconds: u32,
    liveness_failure_seconds: u32,
}

impl HealthChecks {
    /// A Job's proxy stops before its container does, so only an annotation adds a liveness probe.
    pub fn read(reader: &mut AnnotationReader<'_, '_>, defaults: &HealthDefaults, job: bool) -> Self {
        let startup = reader.number(STARTUP_FAILURE_SECONDS, 0, SECONDS_LIMIT);
        let liveness = reader.number(LIVENESS_FAILURE_SECONDS, 0, SECONDS_LIMIT);
        HealthChecks {
            ready_port: reader.bool(PROXY_HEALTH_CHECK, Empty::Absent).unwrap_or(false),
            startup_failure_seconds: startup.unwrap_or(defaults.startup_failure_seconds),
            liveness_failure_seconds: liveness.unwrap_or(if job {
                0
            } else {
                defaults.liveness_failure_seconds
            }),
        }
    }

    /// The handler of probes of the proxy with this number in the pod.
    pub fn handler(&self, index: u16) -> Probe {
        let port = |first: u16| IntOrString::Int(first.saturating_add(index).into());
        if self.ready_port {
            let path = Some("/ready".to_owned());
            let http_get = HTTPGetAction { path, port: port(ports::READY), ..Default::default() };
            return Probe { http_get: Some(http_get), ..Probe::default() };
        }
        let tcp_socket = TCPSocketAction { host: None, port: port(ports::INBOUND) };
        Probe { tcp_socket: Some(tcp_socket), ..Probe::default() }
    }

    pub fn readiness(&self, index: u16) -> Probe {
        Probe { initial_delay_seconds: Some(1), ..self.handler(index) }
    }

    pub fn startup(&self, index: u16) -> Option<Probe> {
        self.failing_after(self.startup_failure_seconds, index)
    }

    pub fn liveness(&self, index: u16) -> Option<Probe> {
        self.failing_after(self.liveness_failure_seconds, index)
    }

    fn failing_after(&self, seconds: u32, index: u16) -> Option<Probe> {
        let failure_threshold = i32::try_from(seconds).ok().filter(|seconds| *seconds > 0)?;
        let handler = self.handler(index);
        Some(Probe { period_seconds: Some(1), failure_threshold: Some(failure_threshold), ..handler })
    }

    pub fn container_port(&self, index: u16) -> Option<ContainerPort> {
        self.ready_port.then(|| ContainerPort {
            name: Some(format!("proxy-health-{index}")),
            container_port: ports::READY.saturating_add(index).into(),
            ..ContainerPort::default()
        })
    }
}
