//! The additions to a pod, and their application.

use std::collections::BTreeMap;

use anyhow::Context as _;
use k8s_openapi::api::core::v1::{Container, PodDNSConfig, VolumeMount};
use serde::Serialize;
use serde_json::{Map, Value};

use super::shared::upstream_env::UpstreamEnv;
use super::shared::volumes::Volume;
use crate::k8s::edit::{list, object, set_entries, surround};

/// All additions to a pod.
#[derive(Debug, Default)]
pub struct Plan {
    pub summary: Summary,
    /// By full name. Existing values are replaced.
    pub annotations: BTreeMap<String, String>,
    pub labels: BTreeMap<String, String>,
    pub volumes: Vec<Volume>,
    /// Those that an annotation asks for.
    pub user_volumes: Vec<Value>,
    pub init_containers: Additions,
    pub containers: Additions,
    /// The variables of the user's containers.
    pub upstream_env: UpstreamEnv,
    /// Mounts for the user's ordinary containers, by their position.
    pub mounts: Vec<(usize, VolumeMount)>,
    pub probe_ports: Vec<ProbePort>,
    /// Replaces the pod's own.
    pub dns: Option<PodDNSConfig>,
}

/// The new port of an HTTP probe of one of the user's ordinary containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProbePort {
    /// Its position.
    pub container: usize,
    /// The field of the probe.
    pub probe: &'static str,
    pub port: u16,
}

/// Containers to add before and after the user's.
#[derive(Debug, Default)]
pub struct Additions {
    pub first: Vec<Container>,
    pub last: Vec<Container>,
}

/// The content of an injection's log line.
#[derive(Debug, Default)]
pub struct Summary {
    pub service: String,
    pub ports: String,
    pub upstreams: usize,
    /// The condition for the pod's start.
    pub waits_for: Option<&'static str>,
}

impl Summary {
    pub fn sentence(&self) -> String {
        let ports = match self.ports.as_str() {
            "" => String::new(),
            ports => format!(" on port {ports}"),
        };
        let upstreams = match self.upstreams {
            0 => String::new(),
            1 => ", 1 upstream".to_owned(),
            count => format!(", {count} upstreams"),
        };
        let waits_for = self.waits_for.map(|condition| format!("; {condition}")).unwrap_or_default();
        format!("injected: service {}{ports}{upstreams}{waits_for}", self.service)
    }
}

impl Plan {
    /// Applies the plan to the pod that it was made for.
    pub fn apply(self, pod: &mut Value) -> anyhow::Result<()> {
        let pod = pod.as_object_mut().context("a pod is an object")?;
        let metadata = object(pod, "metadata").context("metadata is an object")?;
        set_entries(metadata, "annotations", self.annotations);
        set_entries(metadata, "labels", self.labels);
        let spec = object(pod, "spec").context("spec is an object")?;
        for key in ["initContainers", "containers"] {
            if spec.get(key).is_some_and(Value::is_array) {
                for container in list(spec, key).into_iter().flatten() {
                    self.upstream_env.add_to(container)?;
                }
            }
        }
        add_mounts(spec, &self.mounts)?;
        set_probe_ports(spec, &self.probe_ports)?;
        if let Some(dns) = &self.dns {
            spec.insert("dnsPolicy".to_owned(), "None".into());
            spec.insert("dnsConfig".to_owned(), serde_json::to_value(dns)?);
        }
        let Additions { first, last } = self.init_containers;
        surround(spec, "initContainers", values(first)?, values(last)?);
        let Additions { first, last } = self.containers;
        surround(spec, "containers", values(first)?, values(last)?);
        surround(spec, "volumes", Vec::new(), values(self.volumes)?);
        surround(spec, "volumes", Vec::new(), self.user_volumes);
        Ok(())
    }
}

fn add_mounts(spec: &mut Map<String, Value>, mounts: &[(usize, VolumeMount)]) -> anyhow::Result<()> {
    for (position, mount) in mounts {
        let container = container(spec, *position).and_then(Value::as_object_mut);
        let list = container.and_then(|container| list(container, "volumeMounts"));
        list.context("volumeMounts is a list")?.push(serde_json::to_value(mount)?);
    }
    Ok(())
}

fn set_probe_ports(spec: &mut Map<String, Value>, ports: &[ProbePort]) -> anyhow::Result<()> {
    for ProbePort { container: position, probe, port } in ports {
        let container = container(spec, *position).context("a container has a probe")?;
        let place = container.pointer_mut(&format!("/{probe}/httpGet/port"));
        *place.context("an HTTP probe has a port")? = (*port).into();
    }
    Ok(())
}

/// One of the user's ordinary containers.
fn container(spec: &mut Map<String, Value>, position: usize) -> Option<&mut Value> {
    spec.get_mut("containers")?.get_mut(position)
}

fn values<T: Serialize>(objects: Vec<T>) -> serde_json::Result<Vec<Value>> {
    objects.into_iter().map(serde_json::to_value).collect()
}
