//! The additions to a pod, and their application.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::{Container, PodDNSConfig, VolumeMount};
use serde_json::Value;

use super::shared::upstream_env::UpstreamEnv;
use super::shared::volumes::Volume;
use crate::json::Fields;
use crate::k8s::edit::{Json, Object, list, new_items, object, set_entries, unchanged};
use crate::k8s::pod::{PodSpec, SpecFields};

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
    pub fn apply<'a>(self, pod: &Fields<'a>, fields: &SpecFields<'a>, spec: &PodSpec) -> Result<Object<'a>> {
        let mut init_containers: Vec<Object> = fields.init_containers.iter().map(unchanged).collect();
        let mut containers: Vec<Object> = fields.containers.iter().map(unchanged).collect();
        for (edited, read) in init_containers.iter_mut().chain(&mut containers).zip(spec.all_containers()) {
            self.upstream_env.add_to(edited, &read.env)?;
        }
        for (position, mount) in &self.mounts {
            let container = containers.get_mut(*position).context("the container of a mount")?;
            list(container, "volumeMounts")?.push(Json::new(mount)?);
        }
        for ProbePort { container, probe, port } in self.probe_ports {
            let container = containers.get_mut(container).context("the container of a probe")?;
            object(object(container, probe)?, "httpGet")?.insert("port".into(), Json::new(&port)?);
        }
        let mut spec = unchanged(&fields.own);
        set_list(&mut spec, "initContainers", self.init_containers.around(init_containers)?);
        set_list(&mut spec, "containers", self.containers.around(containers)?);
        let volumes = list(&mut spec, "volumes")?;
        volumes.extend(new_items(self.volumes)?);
        volumes.extend(new_items(self.user_volumes)?);
        if let Some(dns) = &self.dns {
            spec.insert("dnsPolicy".into(), Json::new(&"None")?);
            spec.insert("dnsConfig".into(), Json::new(dns)?);
        }
        let mut pod = unchanged(pod);
        let metadata = object(&mut pod, "metadata")?;
        set_entries(metadata, "annotations", self.annotations)?;
        set_entries(metadata, "labels", self.labels)?;
        pod.insert("spec".into(), Json::Object(spec));
        Ok(pod)
    }
}

impl Additions {
    fn around(self, containers: Vec<Object<'_>>) -> Result<Vec<Json<'_>>> {
        let mut all = new_items(self.first)?;
        all.extend(containers.into_iter().map(Json::Object));
        all.extend(new_items(self.last)?);
        Ok(all)
    }
}

/// An empty list stays as it was written: it may be missing.
fn set_list<'a>(spec: &mut Object<'a>, key: &'static str, list: Vec<Json<'a>>) {
    if !list.is_empty() {
        spec.insert(key.into(), Json::List(list));
    }
}
