//! The proxy as a native sidecar.

use k8s_openapi::api::core::v1::{ExecAction, Probe};

use super::addresses::Addresses;
use super::default::SECONDS_LIMIT;
use super::health_checks::HealthChecks;
use crate::annotations::names::{
    NATIVE_PROBE_DELAY, NATIVE_PROBE_FAILURES, NATIVE_PROBE_PERIOD, NATIVE_PROBE_TIMEOUT, NATIVE_SIDECAR,
};
use crate::annotations::reader::{AnnotationReader, Empty};
use crate::settings::reader::SettingsReader;

/// The times of the startup probe. The containers after the proxy start when it succeeds.
#[derive(Debug, Clone)]
pub struct NativeProbe {
    delay_seconds: u32,
    period_seconds: u32,
    failures: u32,
    timeout_seconds: u32,
}

impl NativeProbe {
    /// Reads the block `dataplaneAsSidecarInitContainer`.
    pub fn read(block: &mut SettingsReader<'_, '_>) -> Self {
        NativeProbe {
            delay_seconds: block.number("initialProbeCheckDelaySeconds", 0, SECONDS_LIMIT, 1),
            period_seconds: block.number("probeCheckPeriodSeconds", 1, SECONDS_LIMIT, 1),
            failures: block.number("probeCheckFailureThreshold", 1, SECONDS_LIMIT, 10),
            timeout_seconds: block.number("probeCheckTimeoutSeconds", 1, SECONDS_LIMIT, 5),
        }
    }

    fn of_pod(&self, reader: &mut AnnotationReader<'_, '_>) -> Self {
        let mut number = |name, least, default| reader.number(name, least, SECONDS_LIMIT).unwrap_or(default);
        NativeProbe {
            delay_seconds: number(NATIVE_PROBE_DELAY, 0, self.delay_seconds),
            period_seconds: number(NATIVE_PROBE_PERIOD, 1, self.period_seconds),
            failures: number(NATIVE_PROBE_FAILURES, 1, self.failures),
            timeout_seconds: number(NATIVE_PROBE_TIMEOUT, 1, self.timeout_seconds),
        }
    }

    /// The startup probe of the proxy with this number in the pod.
    pub fn startup(&self, addresses: Addresses, health: &HealthChecks, index: u16) -> Probe {
        // The command calls Envoy at 127.0.0.1, where it does not listen in dual-stack mode.
        let handler = match addresses.dual_stack {
            true => health.handler(index),
            false => {
                let command = ["/usr/local/bin/consul-dataplane", "-check-proxy-health"];
                let command = Some(command.map(str::to_owned).to_vec());
                Probe { exec: Some(ExecAction { command }), ..Probe::default() }
            }
        };
        let seconds = |number: u32| i32::try_from(number).ok();
        Probe {
            initial_delay_seconds: seconds(self.delay_seconds),
            period_seconds: seconds(self.period_seconds),
            failure_threshold: seconds(self.failures),
            timeout_seconds: seconds(self.timeout_seconds),
            ..handler
        }
    }
}

/// The startup probe of a native sidecar; `None` if the proxy is an ordinary container.
pub fn read(
    reader: &mut AnnotationReader<'_, '_>,
    by_default: bool,
    defaults: &NativeProbe,
) -> Option<NativeProbe> {
    let native = reader.bool(NATIVE_SIDECAR, Empty::Absent).unwrap_or(by_default);
    let probe = defaults.of_pod(reader);
    native.then_some(probe)
}
