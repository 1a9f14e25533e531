//! What is added to a pod, and how it is applied.

use std::collections::BTreeMap;

use anyhow::Context as _;
use k8s_openapi::api::core::v1::{Container, Volume};
use serde::Serialize;
use serde_json::Value;

use super::shared::upstream_env::UpstreamEnv;
use crate::k8s::edit::{list, object, set_entries, surround};

/// The additions to a pod, complete.
#[derive(Debug, Default)]
pub struct Plan {
    pub summary: Summary,
    /// Full names; a value that the pod has under such a name is replaced.
    pub annotations: BTreeMap<String, String>,
    pub labels: BTreeMap<String, String>,
    pub volumes: Vec<Volume>,
    pub init_containers: Additions,
    pub containers: Additions,
    /// The variables of the user's containers.
    pub upstream_env: UpstreamEnv,
}

/// Containers before and after the user's own.
#[derive(Debug, Default)]
pub struct Additions {
    pub first: Vec<Container>,
    pub last: Vec<Container>,
}

/// What the log line of an injection says.
#[derive(Debug, Default)]
pub struct Summary {
    pub service: String,
    pub port: Option<u16>,
    pub upstreams: usize,
}

impl Summary {
    pub fn sentence(&self) -> String {
        let port = self.port.map(|port| format!(" on port {port}")).unwrap_or_default();
        let upstreams = match self.upstreams {
            0 => String::new(),
            1 => ", 1 upstream".to_owned(),
            count => format!(", {count} upstreams"),
        };
        format!("injected: service {}{port}{upstreams}", self.service)
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
        let Additions { first, last } = self.init_containers;
        surround(spec, "initContainers", values(first)?, values(last)?);
        let Additions { first, last } = self.containers;
        surround(spec, "containers", values(first)?, values(last)?);
        surround(spec, "volumes", Vec::new(), values(self.volumes)?);
        Ok(())
    }
}

fn values<T: Serialize>(objects: Vec<T>) -> serde_json::Result<Vec<Value>> {
    objects.into_iter().map(serde_json::to_value).collect()
}
