//! Volumes and mounts: the injected ones, those of the user for the proxy, and the injected
//! volume in containers of the app.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::VolumeMount;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::annotations::names::{
    ACCESS_LOG_ENABLED, ACCESS_LOG_PATH, MOUNT_VOLUME, USER_MOUNTS, USER_VOLUMES,
};
use crate::annotations::reader::{AnnotationReader, Empty};
use crate::k8s::names::is_dns_label;
use crate::mode::shared::volumes::{DATA, DATA_PATH, TOKEN, Volume, mount, on_disk};
use crate::problem::Flaw;
use crate::text::Quoted;

const ACCESS_LOGS: &str = "envoy-access-logs";

/// The names of the injected volumes, but for those that have a service's name.
pub const NAMES: &[&str] = &[DATA, TOKEN, ACCESS_LOGS];

/// What the user asks for.
#[derive(Debug, Default)]
pub struct UserVolumes {
    /// As they are written: the API server checks what they hold.
    pub volumes: Vec<Value>,
    pub sidecar_mounts: Vec<VolumeMount>,
    /// The positions of the app's containers that get the injected volume.
    pub mounted_in: Vec<usize>,
}

impl UserVolumes {
    pub fn read(reader: &mut AnnotationReader<'_, '_>) -> Self {
        let volumes: Vec<Value> = json_list(reader, USER_VOLUMES, "volumes");
        let mounts: Vec<VolumeMount> = json_list(reader, USER_MOUNTS, "volume mounts");
        check_volumes(reader, &volumes);
        check_mounts(reader, &mounts, &volumes);
        UserVolumes { volumes, sidecar_mounts: mounts, mounted_in: mounted_in(reader) }
    }
}

fn json_list<T: DeserializeOwned>(reader: &mut AnnotationReader<'_, '_>, name: &str, what: &str) -> Vec<T> {
    let Some(written) = reader.get(name) else { return Vec::new() };
    serde_json::from_str(written).unwrap_or_else(|error| {
        let why = format!("is not a JSON list of {what} ({error})");
        reader.problem(
            name,
            written,
            &why,
            &format!("write a list of {what} as JSON, as in a pod's specification"),
        );
        Vec::new()
    })
}

fn name(volume: &Value) -> &str {
    volume["name"].as_str().unwrap_or_default()
}

fn check_volumes(reader: &mut AnnotationReader<'_, '_>, volumes: &[Value]) {
    let of_pod = reader.spec.volumes.iter().map(|volume| volume.name);
    let mut taken: BTreeSet<&str> = of_pod.chain(NAMES.iter().copied()).collect();
    for name in volumes.iter().map(name) {
        if !is_dns_label(name) {
            let remedy = "write lower-case letters, digits and '-', at most 63";
            reader.problem(USER_VOLUMES, name, "is not the name of a volume", remedy);
        } else if !taken.insert(name) {
            let why = "is the name of a volume that the pod has already";
            reader.problem(USER_VOLUMES, name, why, "write another name");
        }
    }
}

fn check_mounts(reader: &mut AnnotationReader<'_, '_>, mounts: &[VolumeMount], volumes: &[Value]) {
    let of_pod = reader.spec.volumes.iter().map(|volume| volume.name);
    let known: BTreeSet<&str> = of_pod.chain(volumes.iter().map(name)).collect();
    let mut paths = BTreeSet::from([DATA_PATH]);
    for mount in mounts {
        if !known.contains(mount.name.as_str()) {
            let why = "is not the name of a volume of this pod";
            let remedy = "write the name of a volume of the pod or of consul-sidecar-user-volume";
            reader.problem(USER_MOUNTS, &mount.name, why, remedy);
        }
        if !mount.mount_path.starts_with('/') || !paths.insert(&mount.mount_path) {
            let why = "is not a path, or one where another volume is mounted";
            reader.problem(
                USER_MOUNTS,
                &mount.mount_path,
                why,
                "write a path of its own that begins with '/'",
            );
        }
    }
}

fn mounted_in(reader: &mut AnnotationReader<'_, '_>) -> Vec<usize> {
    let mut positions = Vec::new();
    for name in reader.written(MOUNT_VOLUME).into_iter().flat_map(|list| list.split(',')).map(str::trim) {
        match reader.spec.containers.iter().position(|container| container.name == name) {
            Some(position) if !positions.contains(&position) => positions.push(position),
            Some(_) => (),
            None => {
                let names = reader.spec.containers.iter().take(10);
                let names: Vec<String> =
                    names.map(|container| Quoted(container.name, 63).to_string()).collect();
                let why = "is not the name of a container of this pod";
                reader.problem(MOUNT_VOLUME, name, why, &format!("write names of {}", names.join(", ")));
            }
        }
    }
    positions
}

/// Where Envoy writes its access log, if that is a file.
#[derive(Debug)]
pub struct AccessLog {
    pub path: String,
    folder: String,
}

impl AccessLog {
    pub fn read(reader: &mut AnnotationReader<'_, '_>, default_path: Option<&str>) -> Option<Self> {
        let enabled = reader.bool(ACCESS_LOG_ENABLED, Empty::Absent).unwrap_or(true);
        let written = reader.written(ACCESS_LOG_PATH);
        if let Some((written, flaw)) = written.and_then(|written| Some((written, access_log_flaw(written)?)))
        {
            reader.flaw(ACCESS_LOG_PATH, written, flaw);
            return None;
        }
        let path = written.or(default_path).filter(|_| enabled)?;
        let (folder, _) = path.rsplit_once('/')?;
        Some(AccessLog { path: path.to_owned(), folder: folder.to_owned() })
    }

    pub fn mount(&self) -> VolumeMount {
        mount(ACCESS_LOGS, &self.folder)
    }

    pub fn volume() -> Volume {
        on_disk(ACCESS_LOGS)
    }
}

/// What is wrong with the path of an access log. A volume is mounted at its folder.
pub fn access_log_flaw(path: &str) -> Option<Flaw> {
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let fits = path.starts_with('/') && !folder.is_empty() && !path.ends_with('/') && !path.contains(':');
    (!fits || folder == DATA_PATH).then(|| {
        let why = "is not the path of a file in a folder of its own";
        Flaw::new(why, "write a path such as /var/log/envoy/access.log")
    })
}
