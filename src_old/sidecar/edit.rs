//! Puts the additions into the pod's text.

use json_text::{Brackets, Edit, List, Members, New, Object, Place, Text, Value, quoted};

use super::container::{envoy, init, lifecycle, volumes};
use super::scripts;
use crate::annotations::{PREFIX, name};
use crate::decision::Injection;
use crate::pod::Head;

/// The pod with its sidecars, written to the end of `out`.
pub fn inject<'i>(head: &Head<'i>, injection: &'i Injection<'i>, out: &mut Text) {
    let spec = &injection.spec;
    let mut edit = Edit::new(head.object);
    metadata(&mut edit, head, injection);
    // Before the container's own variables, so that those can refer to them.
    for (container, variables) in injection.environment.additions(spec) {
        edit.add(container.value, "env", Brackets::List, variables, Place::First);
    }
    let sidecars = |containers: &mut List<'_>| {
        containers.object(|container| envoy(container, injection));
        containers.object(|container| lifecycle(container, injection));
    };
    let native = injection.settings.native_sidecars;
    let first = New::Written(Box::new(move |out| {
        let mut containers = List::elements(out);
        containers.object(|container| init(container, injection));
        if native {
            sidecars(&mut containers);
        }
    }));
    edit.add(spec.value, "initContainers", Brackets::List, first, Place::First);
    if !native {
        let last = New::Written(Box::new(move |out| sidecars(&mut List::elements(out))));
        edit.add(spec.value, "containers", Brackets::List, last, Place::Last);
    }
    let new = New::Written(Box::new(|out| volumes(&mut List::elements(out), injection)));
    edit.add(spec.value, "volumes", Brackets::List, new, Place::Last);
    out.reserve_exact(edit.length().saturating_add(sidecars_length(injection)));
    edit.write(out);
}

/// About how many bytes write themselves, with the rest of the response. Memory that
/// is asked for and not needed costs a page fault, memory that is too little a copy.
fn sidecars_length(injection: &Injection<'_>) -> usize {
    // What is neither a script nor a document, and what each of two features adds to it.
    const REST: usize = 3_440;
    const FEATURE: usize = 600;
    let settings = &injection.settings;
    let feature = |on: bool| if on { FEATURE } else { 0 };
    [
        scripts::length(injection),
        injection.registration.length(&injection.wanted),
        settings.tls.as_ref().map_or(0, |tls| tls.ca_cert.len()),
        feature(settings.acl_auth_method.is_some()),
        feature(injection.namespace.is_some()),
    ]
    .into_iter()
    .fold(REST, usize::saturating_add)
}

fn metadata(edit: &mut Edit<'_>, head: &Head<'_>, injection: &Injection<'_>) {
    let status = (name::STATUS, "injected");
    let mut annotations = vec![status];
    if let Some(namespace) = &injection.namespace {
        annotations.push((name::NAMESPACE, &namespace.name));
    }
    let service = Some(injection.wanted.service.as_str());
    let port = injection.wanted.port.as_ref().and_then(|port| port.written_back.as_deref());
    for (name, value) in [(name::SERVICE, service), (name::PORT, port)] {
        if let Some(value) = value.filter(|_| head.annotations.raw(&key(name)).is_none()) {
            annotations.push((name, value));
        }
    }
    let labels = head.metadata.get("labels").and_then(Value::members).unwrap_or_default();
    let annotations = entries(edit, head.annotations, &annotations);
    let labels = entries(edit, labels, &[status]);
    match head.metadata.value() {
        Some(metadata) => {
            for (key, new) in [("annotations", annotations), ("labels", labels)] {
                if !new.is_empty() {
                    edit.add(metadata, key, Brackets::Object, new, Place::First);
                }
            }
        }
        None => {
            let mut new = Text::new();
            let mut metadata = Object::members(&mut new);
            metadata.object_of("annotations", &annotations);
            metadata.object_of("labels", &labels);
            edit.add(head.object, "metadata", Brackets::Object, new, Place::First);
        }
    }
}

fn key(name: &str) -> String {
    [PREFIX, name].concat()
}

/// Sets the injector's entries of a map that are there already, and returns the others,
/// to be added to it.
fn entries(edit: &mut Edit<'_>, known: Members<'_>, entries: &[(&str, &str)]) -> Text {
    let mut text = Text::with_capacity(entries.len().saturating_mul(64));
    let mut new = Object::members(&mut text);
    for (name, value) in entries {
        let key = key(name);
        match known.raw(&key) {
            Some(old) => edit.replace(old, quoted(value)),
            None => new.entry(&key, value),
        }
    }
    text
}
