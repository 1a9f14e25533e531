//! One request in, one response out.
//!
//! <https://docs.kubewarden.io/reference/spec/mutating-policies>,
//! <https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/>

use std::fmt::{self, Write as _};
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::decision::{Decision, Injection, Origin, decide};
use crate::json::{Text, Unreadable, encode, without_position};
use crate::pod::Head;
use crate::problem::{Problem, Quoted, Warning, bounded, list};
use crate::reason::{self, Reason};
use crate::settings::Settings;
use crate::{sidecar, workload};

/// What the policy server sends: `{"request": ..., "settings": ...}`.
#[derive(Deserialize)]
struct Payload<'a> {
    #[serde(borrow, default)]
    request: Option<Object<Request<'a>>>,
    #[serde(borrow, default)]
    settings: Option<&'a RawValue>,
}

/// The parts of an `AdmissionRequest` that the decision needs.
#[derive(Debug, Deserialize)]
pub struct Request<'a> {
    #[serde(borrow, default)]
    kind: Option<Object<Kind<'a>>>,
    #[serde(borrow, default, alias = "subResource")]
    sub_resource: Option<Text<'a>>,
    #[serde(borrow, default)]
    operation: Option<Text<'a>>,
    #[serde(borrow, default)]
    name: Option<Text<'a>>,
    #[serde(borrow, default)]
    namespace: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub object: Option<&'a RawValue>,
    #[serde(borrow, default, alias = "oldObject")]
    pub old_object: Option<&'a RawValue>,
}

#[derive(Debug, Deserialize)]
struct Kind<'a> {
    #[serde(borrow, default)]
    group: Option<Text<'a>>,
    #[serde(borrow, default)]
    version: Option<Text<'a>>,
    #[serde(borrow, default, rename = "kind")]
    name: Option<Text<'a>>,
}

/// An object alone. Derived code would take a list, too, as the members in their
/// order: an empty one would be a request that asks for nothing.
#[derive(Debug)]
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OfMembers<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for OfMembers<T> {
            type Value = Object<T>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(members)).map(Object)
            }
        }

        deserializer.deserialize_map(OfMembers(PhantomData))
    }
}

fn text<'t>(text: Option<&'t Text<'_>>) -> &'t str {
    text.map_or("", |Text(text)| text)
}

impl Request<'_> {
    pub fn operation(&self) -> &str {
        text(self.operation.as_ref())
    }

    /// Group, version and kind.
    pub fn kind(&self) -> (&str, &str, &str) {
        self.kind.as_ref().map_or(("", "", ""), |Object(kind)| {
            (text(kind.group.as_ref()), text(kind.version.as_ref()), text(kind.name.as_ref()))
        })
    }
}

/// What goes back, and what is logged of it.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    pub response: String,
    pub log: Option<LogLine>,
}

/// A line for the policy server's log.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct LogLine {
    pub level: Level,
    pub message: String,
}

/// The policy server's own names of the levels; it drops a line with another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Level {
    Info,
    Warning,
}

/// The response but for the changed object, which is written before it.
#[derive(Serialize)]
struct Rest<'a> {
    accepted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<u16>,
    audit_annotations: Audit,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<Warning>,
}

#[derive(Serialize)]
struct Audit {
    // The same word as `reason::AUDIT_ANNOTATION`, tested below.
    #[serde(rename = "connect-inject-reason")]
    reason: String,
}

/// The pod or workload of a request, as log lines call it.
#[derive(Debug)]
pub struct Subject {
    pub kind: String,
    pub namespace: String,
    name: String,
}

impl Subject {
    pub fn line(&self, level: Level, what: &str) -> LogLine {
        // Escaped, so that one line stays one; without the quotes, for people.
        let shown = |text: &str| Quoted(text, 253).to_string().replace('"', "");
        let mut message = format!("{} {}/{}: ", self.kind, shown(&self.namespace), shown(&self.name));
        message.push_str(what);
        LogLine { level, message }
    }
}

/// Answers one admission request; whatever the payload is, there is an answer.
pub fn validate(payload: &[u8]) -> Answer {
    let Object(payload) = match serde_json::from_slice::<Object<Payload>>(payload) {
        Ok(payload) => payload,
        Err(error) => {
            return unreadable(&format!("the request is not readable JSON: {}", without_position(&error)));
        }
    };
    let settings = match Settings::parse(payload.settings) {
        Ok(settings) => settings,
        Err(problems) => {
            let message = settings_message(&problems);
            return reject(reason::INVALID_SETTINGS, 500, &message, &[], None);
        }
    };
    let Some(Object(request)) = payload.request else { return unreadable("the payload has no request") };
    answer(&request, &settings).unwrap_or_else(|error| unreadable(&error.to_string()))
}

fn answer(request: &Request<'_>, settings: &Settings) -> Result<Answer, Unreadable> {
    if !settings.enabled {
        return Ok(accept(reason::DISABLED, &[], None));
    }
    if !text(request.sub_resource.as_ref()).is_empty() {
        return Ok(accept(reason::NOT_A_POD_CREATION, &[], None));
    }
    let (group, version, kind) = request.kind();
    if (group, version, kind) == ("", "v1", "Pod") {
        return if request.operation() == "CREATE" {
            pod(request, settings)
        } else {
            Ok(accept(reason::NOT_A_POD_CREATION, &[], None))
        };
    }
    match workload::Workload::of(group, kind).filter(|_| matches!(request.operation(), "CREATE" | "UPDATE")) {
        Some(workload) => workload::review(workload, request, settings),
        None => Ok(accept(reason::NOT_A_POD_CREATION, &[], None)),
    }
}

/// Who the request is about; the namespace is the request's, else the object's.
pub fn subject(request: &Request<'_>, head: &Head<'_>) -> Subject {
    let or_head = |written: Option<&Text<'_>>, key: &str| match text(written) {
        "" => head.text(key).unwrap_or_default().into_owned(),
        written => written.to_owned(),
    };
    let mut namespace = or_head(request.namespace.as_ref(), "namespace");
    if namespace.is_empty() {
        "default".clone_into(&mut namespace);
    }
    let mut name = or_head(request.name.as_ref(), "name");
    if name.is_empty() {
        name = format!("{}*", head.text("generateName").unwrap_or_default());
    }
    Subject {
        kind: request.kind().2.to_owned(),
        namespace,
        name: Quoted(&name, 253).to_string().replace('"', ""),
    }
}

/// Says what is wrong with settings, if they cannot be used.
pub fn validate_settings(payload: &[u8]) -> Result<(), String> {
    let raw: &RawValue = serde_json::from_slice(payload)
        .map_err(|error| format!("the settings are not readable JSON: {}", without_position(&error)))?;
    Settings::parse(Some(raw)).map(|_| ()).map_err(|problems| settings_message(&problems))
}

/// The request's object, which must be of the request's kind.
pub fn object<'a>(request: &Request<'a>) -> Result<&'a RawValue, Unreadable> {
    let kind = request.kind().2;
    let object = request.object.ok_or_else(|| Unreadable {
        path: "object".into(),
        why: format!("the request has no object, expected a {kind}"),
    })?;
    Ok(object)
}

fn pod(request: &Request<'_>, settings: &Settings) -> Result<Answer, Unreadable> {
    let object = object(request)?;
    let head = Head::read(object, "")?;
    of_kind(&head, "Pod")?;
    let subject = subject(request, &head);
    let origin = Origin { namespace: &subject.namespace, path: "" };
    match decide(&head, origin, settings)? {
        Decision::Skip { reason, warnings } => {
            let log = warnings.first().map(|warning| subject.line(Level::Info, warning.as_str()));
            Ok(accept(reason, &warnings, log))
        }
        Decision::Reject { problems, warnings } => {
            let message =
                list(&heading("this pod cannot join the Consul service mesh", &problems), &problems);
            let log = subject.line(Level::Warning, &format!("rejected: {}", one_line(&problems)));
            Ok(reject(reason::REJECTED, 422, &message, &warnings, Some(log)))
        }
        Decision::Inject(injection) => inject(object, &head, &injection, &subject, settings),
    }
}

/// An object that says it is something else than the request says is no such thing.
pub fn of_kind(head: &Head<'_>, kind: &str) -> Result<(), Unreadable> {
    let Some(raw) = head.members.get("kind") else { return Ok(()) };
    if raw.get() == encode(kind) {
        return Ok(());
    }
    let why = format!("the object is not a {kind}");
    Err(Unreadable { path: "object.kind".into(), why })
}

fn inject(
    object: &RawValue,
    head: &Head<'_>,
    injection: &Injection<'_>,
    subject: &Subject,
    settings: &Settings,
) -> Result<Answer, Unreadable> {
    // The containers alone are some 16 KiB.
    let mut response = String::with_capacity(object.get().len().saturating_add(20_480));
    response.push_str("{\"mutated_object\":");
    sidecar::inject(object, head, injection, settings, &mut response)?;
    let rest = encode(&Rest {
        accepted: true,
        message: None,
        code: None,
        audit_annotations: Audit { reason: reason::INJECTED.audit_value() },
        warnings: bounded(&injection.warnings),
    });
    response.push(',');
    response.push_str(rest.get(1..).unwrap_or_default());

    let wanted = &injection.wanted;
    let mut what = format!("injected: service {}", wanted.service);
    if let Some(port) = &wanted.port {
        let _ = write!(what, " on port {}", port.number);
    }
    if !wanted.upstreams.is_empty() {
        let _ = write!(what, ", {} upstreams", wanted.upstreams.len());
    }
    Ok(Answer { response, log: Some(subject.line(Level::Info, &what)) })
}

pub fn heading(what: &str, problems: &[Problem]) -> String {
    match problems.len() {
        1 => format!("{what}, there is 1 problem:"),
        count => format!("{what}, there are {count} problems:"),
    }
}

/// For the log, where a line should stay a line that can be read.
pub fn one_line(problems: &[Problem]) -> String {
    const SHOWN: usize = 10;
    let mut shown: Vec<String> = problems.iter().take(SHOWN).map(ToString::to_string).collect();
    if let Some(more) = problems.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        shown.push(format!("and {more} more"));
    }
    shown.join(" | ")
}

pub fn settings_message(problems: &[Problem]) -> String {
    list(&heading("the settings of the Consul Connect injector are not valid", problems), problems)
}

pub fn accept(reason: Reason, warnings: &[Warning], log: Option<LogLine>) -> Answer {
    let audit_annotations = Audit { reason: reason.audit_value() };
    let warnings = bounded(warnings);
    let response = encode(&Rest { accepted: true, message: None, code: None, audit_annotations, warnings });
    Answer { response, log }
}

pub fn reject(
    reason: Reason,
    code: u16,
    message: &str,
    warnings: &[Warning],
    log: Option<LogLine>,
) -> Answer {
    let audit_annotations = Audit { reason: reason.audit_value() };
    let warnings = bounded(warnings);
    let rest =
        Rest { accepted: false, message: Some(message), code: Some(code), audit_annotations, warnings };
    Answer { response: encode(&rest), log }
}

fn unreadable(why: &str) -> Answer {
    let message = format!(
        "the Consul Connect injector cannot read this request: {}",
        Quoted(why, 500).to_string().trim_matches('"')
    );
    let log = LogLine { level: Level::Warning, message: message.clone() };
    reject(reason::UNREADABLE, 400, &message, &[], Some(log))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_payload_has_an_answer() {
        for payload in [
            &b"not json"[..],
            b"",
            b"\xff\xfe",
            b"[]",
            b"{}",
            br#"{"request":{}}"#,
            br#"{"request":{"kind":{"version":"v1","kind":"Pod"},"operation":"CREATE"}}"#,
            br#"{"request":{"kind":{"version":"v1","kind":"Pod"},"operation":"CREATE","object":[]}}"#,
            br#"{"request":{"kind":{"version":"v1","kind":"Pod"},"operation":"CREATE","object":{"kind":"ConfigMap"}}}"#,
        ] {
            let answer = validate(payload);
            let response: serde_json::Value = serde_json::from_str(&answer.response).unwrap();
            assert!(response["audit_annotations"][reason::AUDIT_ANNOTATION].is_string(), "{response}");
            if response["accepted"] == false {
                assert!(response["message"].as_str().is_some_and(|message| message.len() > 20), "{response}");
            }
        }
    }
}
