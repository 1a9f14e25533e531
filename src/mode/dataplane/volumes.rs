//! Volumes and mounts: the injected ones, the user's for the proxy, and the injected volume in
//! containers of the app.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::VolumeMount;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::annotations::full;
use crate::annotations::names::{
    ACCESS_LOG_ENABLED, ACCESS_LOG_PATH, MOUNT_VOLUME, USER_MOUNTS, USER_VOLUMES,
};
use crate::annotations::reader::{AnnotationReader, Empty};
use crate::k8s::names::is_dns_label;
use crate::mode::shared::volumes::{TOKEN_PATH, Volume, mount, on_disk};
use crate::problem::{Findings, Flaw};
use crate::text::quoted_list;

const ACCESS_LOGS: &str = "envoy-access-logs";

/// As written in the annotation: the API server validates it.
pub type UserVolume = Map<String, Value>;

/// The volumes and mounts in the annotations.
#[derive(Debug, Default)]
pub struct UserVolumes {
    pub volumes: Vec<UserVolume>,
    pub sidecar_mounts: Vec<VolumeMount>,
    /// The positions of the app's containers that get the injected volume.
    pub mounted_in: Vec<usize>,
}

impl UserVolumes {
    pub fn read(reader: &mut AnnotationReader<'_, '_>) -> Self {
        let volumes: Vec<UserVolume> = json_list(reader, USER_VOLUMES, "volumes");
        let mounts: Vec<VolumeMount> = json_list(reader, USER_MOUNTS, "volume mounts");
        check(reader, &volumes, &mounts);
        UserVolumes { volumes, sidecar_mounts: mounts, mounted_in: mounted_in(reader) }
    }

    /// Reports volumes and mounts that conflict with the injected ones.
    pub fn check_injected(&self, injected: &[Volume], mounts: &[VolumeMount], findings: &mut Findings) {
        for name in self.volumes.iter().map(name).filter(|name| injected.iter().any(|own| own.name == *name))
        {
            let flaw = Flaw::new("is the name of an injected volume", "use another name");
            findings.problem(flaw.at(full(USER_VOLUMES)).value(name));
        }
        for mount in &self.sidecar_mounts {
            let path = mount.mount_path.trim_end_matches('/');
            if mounts.iter().any(|injected| injected.mount_path == path) {
                let flaw = Flaw::new("an injected volume is mounted there", "mount the volume elsewhere");
                findings.problem(flaw.at(full(USER_MOUNTS)).value(&mount.mount_path));
            }
        }
    }
}

fn json_list<T: DeserializeOwned>(reader: &mut AnnotationReader<'_, '_>, name: &str, what: &str) -> Vec<T> {
    let Some(written) = reader.get(name) else { return Vec::new() };
    let rule = format!("must be a JSON list of {what} as in a pod's specification");
    reader.json(name, written, &rule).unwrap_or_default()
}

fn name(volume: &UserVolume) -> &str {
    volume.get("name").and_then(Value::as_str).unwrap_or_default()
}

fn check(reader: &mut AnnotationReader<'_, '_>, volumes: &[UserVolume], mounts: &[VolumeMount]) {
    let mut known = BTreeSet::new();
    known.extend(reader.spec.volumes.iter().map(|volume| volume.name.as_str()));
    for name in volumes.iter().map(name) {
        if !is_dns_label(name) {
            let rule = "a volume name must consist of lower-case letters, digits and '-', and must be no more than 63 characters";
            reader.problem(USER_VOLUMES, name, rule);
        } else if !known.insert(name) {
            let flaw = Flaw::new("the pod already has a volume with this name", "use another name");
            reader.problem(USER_VOLUMES, name, flaw);
        }
    }
    let mut paths = BTreeSet::new();
    for mount in mounts {
        if !known.contains(mount.name.as_str()) {
            let rule = "must be the name of a volume of the pod or in consul-sidecar-user-volume";
            reader.problem(USER_MOUNTS, &mount.name, rule);
        }
        if !mount.mount_path.starts_with('/') || !paths.insert(mount.mount_path.as_str()) {
            let rule = "must be an absolute path where no other volume is mounted";
            reader.problem(USER_MOUNTS, &mount.mount_path, rule);
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
                let names: Vec<&str> =
                    reader.spec.containers.iter().map(|container| container.name.as_str()).collect();
                let names = quoted_list(&names, 63);
                reader.problem(MOUNT_VOLUME, name, format!("must be a container of this pod: {names}"));
            }
        }
    }
    positions
}

/// The file to which Envoy writes its access log.
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
            reader.problem(ACCESS_LOG_PATH, written, flaw);
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

/// What is wrong with the path of an access log. A volume is mounted at its directory, and hides
/// what the image has there.
pub fn access_log_flaw(path: &str) -> Option<Flaw> {
    const HIDDEN: [&str; 10] = ["bin", "consul", "dev", "etc", "lib", "lib64", "proc", "sbin", "sys", "usr"];
    let rule = "must be the absolute path of a file in its own directory, such as /var/log/envoy/access.log";
    let Some((folder, file)) = path.rsplit_once('/') else { return Some(rule.into()) };
    let mut steps = folder.split('/');
    let is_absolute = steps.next() == Some("");
    let first = steps.next().unwrap_or_default();
    let is_plain = |step: &str| !matches!(step, "" | "." | "..");
    if !is_absolute || ![first, file].into_iter().chain(steps).all(is_plain) || path.contains(':') {
        return Some(rule.into());
    }
    (HIDDEN.contains(&first) || folder == TOKEN_PATH).then(|| {
        let why = "the volume of the log would hide files of the proxy";
        Flaw::new(why, "write a path in another directory, such as /var/log/envoy/access.log")
    })
}
