//! The proxy's startup and shutdown.

use super::default::{self, SECONDS_LIMIT};
use crate::annotations::full;
use crate::annotations::names::{
    DRAIN_LISTENERS, GRACEFUL_PORT, GRACEFUL_SHUTDOWN_PATH, GRACEFUL_STARTUP_PATH, LIFECYCLE, SHUTDOWN_GRACE,
    STARTUP_GRACE,
};
use crate::annotations::reader::{AnnotationReader, Empty};
use crate::k8s::kubelet;
use crate::settings::reader::SettingsReader;

/// The block `sidecarProxy.lifecycle`.
#[derive(Debug, Clone, Default)]
pub struct LifecycleDefaults {
    enabled: bool,
    drain_listeners: bool,
    shutdown_grace_seconds: u32,
    startup_grace_seconds: u32,
    pub graceful_port: u16,
    shutdown_path: String,
    startup_path: String,
}

impl LifecycleDefaults {
    pub fn read(block: &mut SettingsReader<'_, '_>) -> Self {
        let grace = default::SHUTDOWN_GRACE_SECONDS;
        LifecycleDefaults {
            enabled: block.bool("defaultEnabled", true),
            drain_listeners: block.bool("defaultEnableShutdownDrainListeners", true),
            shutdown_grace_seconds: block.number(
                "defaultShutdownGracePeriodSeconds",
                0,
                SECONDS_LIMIT,
                grace,
            ),
            startup_grace_seconds: block.number("defaultStartupGracePeriodSeconds", 0, SECONDS_LIMIT, 0),
            graceful_port: block.port("defaultGracefulPort", 1024, default::GRACEFUL_PORT),
            shutdown_path: block.url_path("defaultGracefulShutdownPath", default::GRACEFUL_SHUTDOWN_PATH),
            startup_path: block.url_path("defaultGracefulStartupPath", default::GRACEFUL_STARTUP_PATH),
        }
    }
}

#[derive(Debug)]
pub struct Lifecycle {
    pub graceful_port: u16,
    /// `None`: the proxy exits as soon as it gets the signal.
    pub managed: Option<Managed>,
}

#[derive(Debug)]
pub struct Managed {
    drain_listeners: bool,
    pub shutdown_grace_seconds: u32,
    startup_grace_seconds: u32,
    shutdown_path: String,
    startup_path: String,
}

impl Lifecycle {
    /// `job`: whether the pod is a Job's, whose proxy should exit with its app.
    pub fn read(reader: &mut AnnotationReader<'_, '_>, defaults: &LifecycleDefaults, job: bool) -> Self {
        let graceful_port = reader.port(GRACEFUL_PORT, 1024).unwrap_or(defaults.graceful_port);
        let enabled = reader.bool(LIFECYCLE, Empty::Absent).unwrap_or(defaults.enabled);
        let managed = enabled.then(|| {
            let drain_listeners = reader.bool(DRAIN_LISTENERS, Empty::Absent);
            let shutdown_grace = reader.number(SHUTDOWN_GRACE, 0, SECONDS_LIMIT);
            let startup_grace = reader.number(STARTUP_GRACE, 0, SECONDS_LIMIT);
            let mut path = |name: &str, default: &str| reader.path(name).unwrap_or(default).to_owned();
            let default_grace = if job { 0 } else { defaults.shutdown_grace_seconds };
            Managed {
                drain_listeners: drain_listeners.unwrap_or(defaults.drain_listeners),
                shutdown_grace_seconds: shutdown_grace.unwrap_or(default_grace),
                startup_grace_seconds: startup_grace.unwrap_or(defaults.startup_grace_seconds),
                shutdown_path: path(GRACEFUL_SHUTDOWN_PATH, &defaults.shutdown_path),
                startup_path: path(GRACEFUL_STARTUP_PATH, &defaults.startup_path),
            }
        });
        let lifecycle = Lifecycle { graceful_port, managed };
        lifecycle.warn_of_early_end(reader);
        lifecycle
    }

    /// The kubelet kills a pod at the end of its termination grace period. There is no warning for
    /// the defaults of the chart and of Kubernetes, both 30 s.
    fn warn_of_early_end(&self, reader: &mut AnnotationReader<'_, '_>) {
        let Some(managed) = &self.managed else { return };
        let grace = u64::from(managed.shutdown_grace_seconds);
        let pod = reader.spec.grace_seconds();
        let both_default = grace == pod && grace == u64::from(default::SHUTDOWN_GRACE_SECONDS);
        if grace >= pod && grace > 0 && !(both_default && reader.get(SHUTDOWN_GRACE).is_none()) {
            reader.warn(format!(
                "the proxy's shutdown grace period of {grace} s must be less than terminationGracePeriodSeconds, {pod}, or the kubelet kills the proxy before it has drained; set {} to less, or raise terminationGracePeriodSeconds",
                full(SHUTDOWN_GRACE)
            ));
        }
    }

    /// The arguments of the proxy with this number in the pod.
    pub fn args(&self, index: u16) -> Vec<String> {
        let mut args = vec![format!("-graceful-port={}", self.graceful_port.saturating_add(index))];
        if let Some(managed) = &self.managed {
            if managed.drain_listeners {
                args.push("-shutdown-drain-listeners".to_owned());
            }
            let Managed {
                shutdown_grace_seconds, startup_grace_seconds, shutdown_path, startup_path, ..
            } = managed;
            args.extend([
                format!("-shutdown-grace-period-seconds={shutdown_grace_seconds}"),
                format!("-graceful-shutdown-path={}", kubelet::literal(shutdown_path)),
                format!("-startup-grace-period-seconds={startup_grace_seconds}"),
                format!("-graceful-startup-path={}", kubelet::literal(startup_path)),
            ]);
        }
        args
    }
}
