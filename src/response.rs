//! The response to the policy server, and the log line.

use std::collections::HashMap;

use kubewarden_policy_sdk::response::ValidationResponse;
use serde::Serialize;
use serde_json::Value;

use crate::reason::{AUDIT_ANNOTATION, Reason};
use crate::text::Escaped;
use crate::warning::{self, Warning};

/// The response to one request, and the line that the policy server logs about it.
#[derive(Debug)]
pub struct Answer {
    pub response: ValidationResponse,
    pub log: Option<LogLine>,
}

impl Answer {
    /// Accepts the object as it is.
    pub fn accept(reason: Reason, warnings: &[Warning], log: Option<LogLine>) -> Self {
        Answer { response: response(true, reason, warnings), log }
    }

    /// Accepts the object as changed.
    pub fn mutate(object: Value, warnings: &[Warning], log: LogLine) -> Self {
        let response =
            ValidationResponse { mutated_object: Some(object), ..response(true, Reason::Injected, warnings) };
        Answer { response, log: Some(log) }
    }

    /// Refuses the object with an HTTP status code and a message for the user.
    pub fn reject(
        reason: Reason,
        code: u16,
        message: String,
        warnings: &[Warning],
        log: Option<LogLine>,
    ) -> Self {
        let response = ValidationResponse {
            message: Some(message),
            code: Some(code),
            ..response(false, reason, warnings)
        };
        Answer { response, log }
    }
}

fn response(accepted: bool, reason: Reason, warnings: &[Warning]) -> ValidationResponse {
    ValidationResponse {
        accepted,
        message: None,
        code: None,
        mutated_object: None,
        audit_annotations: Some(HashMap::from([(AUDIT_ANNOTATION.to_owned(), reason.audit_value())])),
        warnings: (!warnings.is_empty()).then(|| warning::texts(warnings)),
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
