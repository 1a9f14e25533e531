//! The response to the policy server, and the log line.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::k8s::edit::EditedObject;
use crate::reason::{AUDIT_ANNOTATION, Reason};
use crate::text::Escaped;
use crate::warning::{self, Warning};

/// The response to one request, and the line that the policy server logs about it.
#[derive(Debug)]
pub struct Answer<'a> {
    pub response: Response<'a>,
    pub log: Option<LogLine>,
}

/// The SDK's `ValidationResponse`, but with the unchanged parts of the pod as text.
#[derive(Debug, Serialize)]
pub struct Response<'a> {
    pub accepted: bool,
    pub message: Option<String>,
    code: Option<u16>,
    mutated_object: Option<EditedObject<'a>>,
    pub audit_annotations: BTreeMap<&'static str, String>,
    warnings: Option<Vec<String>>,
}

impl<'a> Answer<'a> {
    /// Accepts the object as it is.
    pub fn accept(reason: Reason, warnings: &[Warning], log: Option<LogLine>) -> Self {
        Answer { response: Response::new(true, reason, warnings), log }
    }

    /// Accepts the object as changed.
    pub fn mutate(object: EditedObject<'a>, warnings: &[Warning], log: LogLine) -> Self {
        let response = Response::new(true, Reason::Injected, warnings);
        Answer { response: Response { mutated_object: Some(object), ..response }, log: Some(log) }
    }

    /// Refuses the object with an HTTP status code and a message for the user.
    pub fn reject(
        reason: Reason,
        code: u16,
        message: String,
        warnings: &[Warning],
        log: Option<LogLine>,
    ) -> Self {
        let response = Response::new(false, reason, warnings);
        Answer { response: Response { message: Some(message), code: Some(code), ..response }, log }
    }
}

impl Response<'_> {
    fn new(accepted: bool, reason: Reason, warnings: &[Warning]) -> Self {
        Response {
            accepted,
            message: None,
            code: None,
            mutated_object: None,
            audit_annotations: BTreeMap::from([(AUDIT_ANNOTATION, reason.audit_value())]),
            warnings: (!warnings.is_empty()).then(|| warning::texts(warnings)),
        }
    }
}

/// A line for the policy server's log, in the format of its host call `log`.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct LogLine {
    pub level: Level,
    pub message: String,
}

/// The policy server's names of the levels. It drops lines with other levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Level {
    Info,
    Warning,
}

/// The pod or workload of a request, for log lines.
#[derive(Debug)]
pub struct Subject<'a> {
    pub kind: &'a str,
    pub namespace: &'a str,
    pub name: String,
}

impl Subject<'_> {
    pub fn line(&self, level: Level, what: &str) -> LogLine {
        let Subject { kind, namespace, name } = self;
        let message = format!("{kind} {}/{}: {what}", Escaped(namespace, 253), Escaped(name, 253));
        LogLine { level, message }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::k8s::edit::new_value;
    use kubewarden_policy_sdk::response::ValidationResponse;

    fn read(answer: &Answer<'_>) -> ValidationResponse {
        serde_json::from_value(serde_json::to_value(&answer.response).unwrap()).unwrap()
    }

    #[test]
    fn the_sdk_can_read_it() {
        let object = EditedObject::from([("kind".into(), new_value(&"Pod").unwrap())]);
        let log = LogLine { level: Level::Info, message: String::new() };
        let answer = Answer::mutate(object, &[Warning::new("careful")], log);
        let response = read(&answer);
        assert!(response.accepted && response.message.is_none() && response.code.is_none());
        assert_eq!(response.mutated_object, Some(serde_json::json!({ "kind": "Pod" })));
        assert_eq!(response.audit_annotations.unwrap()[AUDIT_ANNOTATION], Reason::Injected.audit_value());
        assert_eq!(response.warnings, Some(vec!["careful".to_owned()]));
        let answer = Answer::reject(Reason::Rejected, 422, "why".to_owned(), &[], None);
        let response = read(&answer);
        assert_eq!(
            (response.accepted, response.code, response.message),
            (false, Some(422), Some("why".to_owned()))
        );
        assert!(response.mutated_object.is_none() && response.warnings.is_none());
    }
}
