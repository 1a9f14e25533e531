//! The additions to a pod, and their application.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::{Container, PodDNSConfig, VolumeMount};
use serde_json::{Map, Value};

use super::shared::upstream_env::UpstreamEnv;
use super::shared::volumes::Volume;
use crate::json::Fields;
use crate::k8s::edit::{
    EditedObject, EditedValue, editable, list, new_value, new_values, object, set_entries,
};
use crate::k8s::pod::{PodSpec, SpecFields};

/// All additions to a pod.
#[derive(Debug, Default)]
pub struct Plan {
    pub summary: Summary,
    /// By full name. Existing values are replaced.
    pub annotations: BTreeMap<String, String>,
    pub labels: BTreeMap<String, String>,
    pub volumes: Vec<Volume>,
    /// Volumes in an annotation of the pod, as they are written there.
    pub user_volumes: Vec<Map<String, Value>>,
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
    /// Applies the plan to the pod that it was made for. `read` is what the plan was made from.
    pub fn apply<'a>(
        self,
        pod: Fields<'a>,
        spec: SpecFields<'a>,
        read: &PodSpec,
    ) -> Result<EditedObject<'a>> {
        let mut users_init_containers: Vec<_> = spec.init_containers.into_iter().map(editable).collect();
        let mut users_containers: Vec<_> = spec.containers.into_iter().map(editable).collect();
        for (container, read) in users_init_containers.iter_mut().zip(&read.init_containers) {
            self.upstream_env.add_to(container, &read.env)?;
        }
        for (container, read) in users_containers.iter_mut().zip(&read.containers) {
            self.upstream_env.add_to(container, &read.env)?;
        }
        for (position, mount) in &self.mounts {
            let container = users_containers.get_mut(*position).context("the container of a mount")?;
            list(container, "volumeMounts")?.push(new_value(mount)?);
        }
        for ProbePort { container: position, probe, port } in self.probe_ports {
            let container = users_containers.get_mut(position).context("the container of a probe")?;
            object(object(container, probe)?, "httpGet")?.insert("port".into(), new_value(&port)?);
        }
        let mut edited_spec = editable(spec.fields);
        let init_containers = self.init_containers.around(users_init_containers)?;
        edited_spec.insert("initContainers".into(), EditedValue::List(init_containers));
        let containers = self.containers.around(users_containers)?;
        edited_spec.insert("containers".into(), EditedValue::List(containers));
        let volumes = list(&mut edited_spec, "volumes")?;
        volumes.extend(new_values(self.volumes)?);
        volumes.extend(new_values(self.user_volumes)?);
        if let Some(dns) = &self.dns {
            edited_spec.insert("dnsPolicy".into(), new_value(&"None")?);
            edited_spec.insert("dnsConfig".into(), new_value(dns)?);
        }
        let mut edited_pod = editable(pod);
        let metadata = object(&mut edited_pod, "metadata")?;
        set_entries(metadata, "annotations", self.annotations)?;
        set_entries(metadata, "labels", self.labels)?;
        edited_pod.insert("spec".into(), EditedValue::Object(edited_spec));
        Ok(edited_pod)
    }
}

impl Additions {
    fn around(self, users: Vec<EditedObject<'_>>) -> Result<Vec<EditedValue<'_>>> {
        let mut all = new_values(self.first)?;
        all.extend(users.into_iter().map(EditedValue::Object));
        all.extend(new_values(self.last)?);
        Ok(all)
    }
}
