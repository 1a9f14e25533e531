//! Puts the additions into the pod's text.

use serde_json::value::RawValue;

use super::container::{envoy, init, lifecycle, volumes};
use super::env::upstream_variables;
use super::ports::EnvoyPorts;
use crate::annotations::{PREFIX, Wanted, name};
use crate::consul::namespace::Namespace;
use crate::consul::readiness;
use crate::consul::registration::{Check, Family, Registration};
use crate::decision::Injection;
use crate::json::{Edit, Members, Unreadable, encode, member, read};
use crate::pod::{Container, Head, Spec};
use crate::settings::Settings;

/// Everything that the injected containers are built from.
pub struct Plan<'p> {
    pub settings: &'p Settings,
    pub wanted: &'p Wanted,
    pub namespace: Option<&'p Namespace>,
    pub ports: EnvoyPorts,
    pub termination_grace_seconds: u64,
    spec: &'p Spec<'p>,
}

impl<'p> Plan<'p> {
    pub fn registration(&self) -> Registration<'p> {
        Registration { wanted: self.wanted, namespace: self.namespace, public_port: self.ports.public }
    }

    pub fn readiness(&self, family: Family) -> Option<Check> {
        readiness(self.wanted, self.spec, self.settings, family)
    }
}

/// The check that stands for the readiness probe of the container that owns the
/// service's port.
pub fn readiness(wanted: &Wanted, spec: &Spec<'_>, settings: &Settings, family: Family) -> Option<Check> {
    let port = wanted.port.as_ref().filter(|_| settings.health_checks)?.number;
    let mut running = spec.running();
    let owner =
        running.find(|container| container.ports.iter().any(|listed| listed.tcp && listed.number == port));
    // A port that nobody lists can only be the only container's.
    let owner = owner.or_else(|| spec.containers.first().filter(|_| spec.running().count() == 1))?;
    readiness::check(owner, &family.host())
}

/// The pod with its sidecars, written to the end of `out`.
pub fn inject(
    object: &RawValue,
    head: &Head<'_>,
    injection: &Injection<'_>,
    settings: &Settings,
    out: &mut String,
) -> Result<(), Unreadable> {
    let spec = &injection.spec;
    let plan = Plan {
        settings,
        wanted: &injection.wanted,
        namespace: injection.namespace.as_ref(),
        ports: EnvoyPorts::choose(&injection.wanted, spec),
        termination_grace_seconds: spec.termination_grace_seconds,
        spec,
    };
    let mut edit = Edit::new(object);
    metadata(&mut edit, object, head, &plan)?;

    let (variables, _) = upstream_variables(&plan.wanted.upstreams);
    for container in spec.containers.iter().chain(&spec.init_containers) {
        environment(&mut edit, container, &variables)?;
    }
    let (mut first, sidecars) =
        (encode(&init(&plan)), [encode(&envoy(&plan)), encode(&lifecycle(&plan))].join(","));
    if settings.native_sidecars {
        first = format!("{first},{sidecars}");
    } else if let Some(containers) = spec.members.get("containers") {
        edit.append(containers, sidecars);
    }
    list(&mut edit, spec, "initContainers", first, Edit::prepend);
    let volumes: Vec<String> = volumes(&plan).iter().map(encode).collect();
    list(&mut edit, spec, "volumes", volumes.join(","), Edit::append);
    edit.write(out);
    Ok(())
}

/// Adds `elements` to a list of the specification, which may not be there yet.
fn list<'a>(
    edit: &mut Edit<'a>,
    spec: &Spec<'_>,
    key: &str,
    elements: String,
    add: impl FnOnce(&mut Edit<'a>, &RawValue, String),
) {
    match (spec.members.raw(key), spec.members.get(key)) {
        (_, Some(list)) => add(edit, list, elements),
        (Some(null), None) => edit.replace(null, format!("[{elements}]")),
        (None, None) => edit.prepend(spec.raw, format!("\"{key}\":[{elements}]")),
    }
}

fn metadata(
    edit: &mut Edit<'_>,
    object: &RawValue,
    head: &Head<'_>,
    plan: &Plan<'_>,
) -> Result<(), Unreadable> {
    let key = |name: &str| format!("{PREFIX}{name}");
    let status = vec![(key(name::STATUS), "injected".to_owned())];
    let mut annotations = status.clone();
    if let Some(namespace) = plan.namespace {
        annotations.push((key(name::NAMESPACE), namespace.name.clone()));
    }
    let mut absent = |name: &str, value: String| {
        if head.annotations.raw(&key(name)).is_none() {
            annotations.push((key(name), value));
        }
    };
    absent(name::SERVICE, plan.wanted.service.as_str().to_owned());
    if let Some(port) = &plan.wanted.port {
        absent(name::PORT, port.written.clone());
    }

    let labels: Members = match head.metadata.get("labels") {
        Some(raw) => read(raw, "metadata.labels")?,
        None => Members::default(),
    };
    let mut new = Vec::new();
    new.extend(map(edit, &head.metadata, "annotations", &head.annotations, &annotations));
    new.extend(map(edit, &head.metadata, "labels", &labels, &status));
    let new = new.join(",");
    match (head.members.raw("metadata"), head.members.get("metadata")) {
        (_, Some(metadata)) => edit.prepend(metadata, new),
        (Some(null), None) => edit.replace(null, format!("{{{new}}}")),
        (None, None) => edit.prepend(object, format!("\"metadata\":{{{new}}}")),
    }
    Ok(())
}

/// Sets entries of a map in the metadata; returns the whole map as a member to add
/// if it is not there yet.
fn map(
    edit: &mut Edit<'_>,
    metadata: &Members<'_>,
    key: &str,
    known: &Members<'_>,
    entries: &[(String, String)],
) -> Option<String> {
    let mut new = Vec::new();
    for (name, value) in entries {
        match known.raw(name) {
            Some(old) => edit.replace(old, encode(value)),
            None => new.push(member(name, value)),
        }
    }
    let new = new.join(",");
    match (metadata.raw(key), metadata.get(key)) {
        (_, Some(map)) => edit.prepend(map, new),
        (Some(null), None) => edit.replace(null, format!("{{{new}}}")),
        (None, None) => return Some(format!("\"{key}\":{{{new}}}")),
    }
    None
}

/// Puts the upstreams' variables before the container's own, so that those can
/// refer to them.
fn environment(
    edit: &mut Edit<'_>,
    container: &Container<'_>,
    variables: &[(String, String)],
) -> Result<(), Unreadable> {
    let own = container.env_names();
    let new = variables.iter().filter(|(name, _)| !own.iter().any(|own| own == name));
    let new: Vec<String> =
        new.map(|(name, value)| format!("{{{},{}}}", member("name", name), member("value", value))).collect();
    let new = new.join(",");
    if new.is_empty() {
        return Ok(());
    }
    match (container.members.raw("env"), container.members.get("env")) {
        (_, Some(env)) if env.get().starts_with('[') => edit.prepend(env, new),
        (_, Some(_)) => {
            let path = format!("env of the container {}", crate::problem::Quoted(&container.name, 63));
            return Err(Unreadable { path, why: "expected a list".to_owned() });
        }
        (Some(null), None) => edit.replace(null, format!("[{new}]")),
        (None, None) => edit.prepend(container.raw, format!("\"env\":[{new}]")),
    }
    Ok(())
}
