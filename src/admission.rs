//! One request in, one response out.
//!
//! <https://docs.kubewarden.io/reference/spec/mutating-policies>,
//! <https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/>

use std::borrow::Cow;

use json_text::{Document, Members, Object, Text, Unreadable, Value, object as write_object};
use k8s_openapi::Resource as _;
use k8s_openapi::api::core::v1::Pod;

use crate::decision::{Decision, Failure, Injection, Origin, decide};
use crate::pod::Head;
use crate::problem::{Escaped, Problem, Shortened, Warning, bounded, list};
use crate::reason::{self, Reason};
use crate::settings::{Configuration, Settings};
use crate::{sidecar, workload};

/// The parts of an `AdmissionRequest` that the decision needs.
#[derive(Debug)]
pub struct Request<'a> {
    group: Cow<'a, str>,
    version: Cow<'a, str>,
    kind: Cow<'a, str>,
    sub_resource: Cow<'a, str>,
    operation: Cow<'a, str>,
    name: Cow<'a, str>,
    namespace: Cow<'a, str>,
    object: Option<Value<'a>>,
    pub old_object: Option<Value<'a>>,
}

impl<'a> Request<'a> {
    fn read(request: Value<'a>) -> Result<Self, Unreadable> {
        let members = request.expect_members(|| "request".to_owned())?;
        let kind = match members.get("kind") {
            Some(kind) => kind.expect_members(|| "request.kind".to_owned())?,
            None => Members::default(),
        };
        // The policy server's own names have underscores in some versions.
        let either = |name: &str, other: &str| members.get(name).or_else(|| members.get(other));
        let part = |key: &str| kind.string(key, || format!("request.kind.{key}"));
        let text = |key: &str| members.string(key, || format!("request.{key}"));
        Ok(Request {
            group: part("group")?,
            version: part("version")?,
            kind: part("kind")?,
            sub_resource: either("subResource", "sub_resource").map_or(Ok(Cow::default()), |value| {
                value.expect_string(|| "request.subResource".to_owned())
            })?,
            operation: text("operation")?,
            name: text("name")?,
            namespace: text("namespace")?,
            object: members.get("object"),
            old_object: either("oldObject", "old_object"),
        })
    }

    pub fn operation(&self) -> &str {
        &self.operation
    }

    /// Group, version and kind.
    pub fn kind(&self) -> (&str, &str, &str) {
        (&self.group, &self.version, &self.kind)
    }

    /// The object, which a request of this kind must have.
    pub fn object(&self) -> Result<Value<'a>, Unreadable> {
        self.object.ok_or_else(|| Unreadable {
            path: "object".to_owned(),
            why: format!("the request has no object, expected a {}", self.kind),
        })
    }
}

/// What goes back, and what is logged of it.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    pub response: Text,
    pub log: Option<LogLine>,
}

/// A line for the policy server's log.
#[derive(Debug, PartialEq, Eq)]
pub struct LogLine {
    pub level: Level,
    pub message: String,
}

/// The policy server's own names of the levels; it drops a line with another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    Info,
    Warning,
}

impl LogLine {
    /// As the policy server's `log` takes it.
    pub fn to_json(&self) -> Text {
        let mut json = Text::with_capacity(self.message.len().saturating_add(64));
        write_object(&mut json, |line| {
            let level = match self.level {
                Level::Info => "INFO",
                Level::Warning => "WARNING",
            };
            line.constant("level", level);
            line.string("message", &self.message);
        });
        json
    }
}

/// The pod or workload of a request, as log lines call it.
#[derive(Debug)]
pub struct Subject<'a> {
    kind: &'a str,
    pub namespace: Cow<'a, str>,
    name: Cow<'a, str>,
}

impl Subject<'_> {
    pub fn line(&self, level: Level, what: &str) -> LogLine {
        let message = [self.kind, " ", &shown(&self.namespace), "/", &shown(&self.name), ": ", what].concat();
        LogLine { level, message }
    }
}

/// A name as it is, or escaped so that a line stays one, without quotes for people.
fn shown(name: &str) -> Cow<'_, str> {
    let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\');
    if name.len() <= 253 && name.bytes().all(plain) {
        name.into()
    } else {
        Escaped(name, 253).to_string().into()
    }
}

/// Answers one admission request; whatever the payload is, there is an answer.
pub fn validate(payload: &[u8]) -> Answer {
    let payload = match Document::scan_bytes(payload) {
        Ok(payload) => payload,
        Err(malformed) => {
            return unreadable(&format!("the request is not readable JSON: {malformed}"));
        }
    };
    answer(payload.root()).unwrap_or_else(|failure| match failure {
        Failure::Unreadable(unread) => unreadable(&unread.to_string()),
        Failure::Settings(problems) => {
            reject(reason::INVALID_SETTINGS, 500, &settings_message(&problems), &[], None)
        }
    })
}

/// `payload` is what the policy server sends: `{"request": ..., "settings": ...}`.
fn answer(payload: Value<'_>) -> Result<Answer, Failure> {
    let payload = payload.expect_members(|| "the payload".to_owned())?;
    let configuration = Configuration::read(payload.get("settings")).map_err(Failure::Settings)?;
    let Some(request) = payload.get("request") else {
        return Ok(unreadable("the payload has no request"));
    };
    let request = Request::read(request)?;
    if !configuration.enabled {
        return Ok(accept(reason::DISABLED, &[], None));
    }
    if !request.sub_resource.is_empty() {
        return Ok(accept(reason::NOT_A_POD_CREATION, &[], None));
    }
    let (group, version, kind) = request.kind();
    if (group, version, kind) == (Pod::GROUP, Pod::VERSION, Pod::KIND) {
        return if request.operation() == "CREATE" {
            pod(&request, &configuration)
        } else {
            Ok(accept(reason::NOT_A_POD_CREATION, &[], None))
        };
    }
    match workload::Workload::of(group, kind).filter(|_| matches!(request.operation(), "CREATE" | "UPDATE")) {
        Some(workload) => workload::review(workload, &request, &configuration),
        None => Ok(accept(reason::NOT_A_POD_CREATION, &[], None)),
    }
}

/// Who the request is about; the namespace is the request's, else the object's.
pub fn subject<'a>(request: &'a Request<'a>, head: &'a Head<'a>) -> Subject<'a> {
    let or_head = |written: &'a str, key: &str| match written {
        "" => head.text(key).unwrap_or_default(),
        written => Cow::Borrowed(written),
    };
    let mut namespace = or_head(&request.namespace, "namespace");
    if namespace.is_empty() {
        namespace = Cow::Borrowed("default");
    }
    let mut name = or_head(&request.name, "name");
    if name.is_empty() {
        name = Cow::Owned(format!("{}*", head.text("generateName").unwrap_or_default()));
    }
    Subject { kind: &request.kind, namespace, name }
}

/// Says what is wrong with settings, if they cannot be used.
pub fn validate_settings(payload: &[u8]) -> Result<(), String> {
    let settings = Document::scan_bytes(payload)
        .map_err(|malformed| format!("the settings are not readable JSON: {malformed}"))?;
    Settings::parse(Some(settings.root())).map(|_| ()).map_err(|problems| settings_message(&problems))
}

fn pod(request: &Request<'_>, configuration: &Configuration<'_>) -> Result<Answer, Failure> {
    let object = request.object()?;
    let head = Head::read(object, "")?;
    of_kind(&head, Pod::KIND)?;
    let subject = subject(request, &head);
    let origin = Origin { namespace: &subject.namespace, path: "" };
    match decide(&head, origin, configuration)? {
        Decision::Skip { reason, warnings } => {
            let told = warnings.first().filter(|_| reason != reason::NOT_REQUESTED);
            let log = told.map(|warning| subject.line(Level::Info, warning.as_str()));
            Ok(accept(reason, &warnings, log))
        }
        Decision::Reject { problems, warnings } => {
            let message =
                list(&heading("this pod cannot join the Consul service mesh", &problems), &problems);
            let log = subject.line(Level::Warning, &format!("rejected: {}", one_line(&problems)));
            Ok(reject(reason::REJECTED, 422, &message, &warnings, Some(log)))
        }
        Decision::Inject(injection) => Ok(inject(&head, &injection, &subject)),
    }
}

/// An object that says it is something else than the request says is no such thing.
pub fn of_kind(head: &Head<'_>, kind: &str) -> Result<(), Unreadable> {
    match head.members.get("kind").map(Value::string) {
        None => Ok(()),
        Some(Some(written)) if written == kind => Ok(()),
        Some(_) => {
            let why = format!("the object is not a {kind}");
            Err(Unreadable { path: "object.kind".to_owned(), why })
        }
    }
}

fn inject(head: &Head<'_>, injection: &Injection<'_>, subject: &Subject<'_>) -> Answer {
    let mut response = Text::with_capacity(64);
    write_object(&mut response, |response| {
        response.written("mutated_object", |out| sidecar::inject(head, injection, out));
        outcome(response, true, reason::INJECTED, None, &injection.warnings);
    });

    let wanted = &injection.wanted;
    let mut what = String::with_capacity(128);
    what.extend(["injected: service ", wanted.service.as_str()]);
    if let Some(port) = &wanted.port {
        what.extend([" on port ", &port.number.to_string()]);
    }
    match wanted.upstreams.len() {
        0 => (),
        1 => what.push_str(", 1 upstream"),
        count => what.extend([", ", &count.to_string(), " upstreams"]),
    }
    Answer { response, log: Some(subject.line(Level::Info, &what)) }
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

fn settings_message(problems: &[Problem]) -> String {
    list(&heading("the settings of the Consul Connect injector are not valid", problems), problems)
}

/// The response's members but for the changed object.
fn outcome(
    response: &mut Object<'_>,
    accepted: bool,
    reason: Reason,
    refusal: Option<(u64, &str)>,
    warnings: &[Warning],
) {
    response.bool("accepted", accepted);
    if let Some((code, message)) = refusal {
        response.string("message", message);
        response.number("code", code);
    }
    response.object("audit_annotations", |audit| {
        audit.string(reason::AUDIT_ANNOTATION, &reason.audit_value());
    });
    if !warnings.is_empty() {
        response.list("warnings", |list| {
            for warning in bounded(warnings) {
                list.string(warning.as_str());
            }
        });
    }
}

pub fn accept(reason: Reason, warnings: &[Warning], log: Option<LogLine>) -> Answer {
    let mut response = Text::with_capacity(256);
    write_object(&mut response, |response| outcome(response, true, reason, None, warnings));
    Answer { response, log }
}

pub fn reject(
    reason: Reason,
    code: u64,
    message: &str,
    warnings: &[Warning],
    log: Option<LogLine>,
) -> Answer {
    let mut response = Text::new();
    let refusal = Some((code, message));
    write_object(&mut response, |response| outcome(response, false, reason, refusal, warnings));
    Answer { response, log }
}

fn unreadable(why: &str) -> Answer {
    let message = format!("the Consul Connect injector cannot read this request: {}", Shortened(why, 500));
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
            let response: serde_json::Value = serde_json::from_slice(answer.response.as_bytes()).unwrap();
            assert!(response["audit_annotations"][reason::AUDIT_ANNOTATION].is_string(), "{response}");
            if response["accepted"] == false {
                assert!(response["message"].as_str().is_some_and(|message| message.len() > 20), "{response}");
            }
        }
    }
}
