//! The policy's answer, and the requirements for each answer.

use std::collections::BTreeMap;

use consul_connect_injector::json::null_as_default;
use consul_connect_injector::reason::{AUDIT_ANNOTATION, Reason};
use consul_connect_injector::text::is_harmless;
use serde::Deserialize;
use serde_json::Value;

/// The guest's answer to `validate`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    pub accepted: bool,
    pub message: Option<String>,
    pub code: Option<u16>,
    pub mutated_object: Option<Value>,
    #[serde(default)]
    pub audit_annotations: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "null_as_default")]
    pub warnings: Vec<String>,
}

impl Answer {
    /// Parses an answer and checks it with [`Answer::keeps_its_form`].
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        let answer: Answer = serde_json::from_slice(bytes)
            .map_err(|error| format!("{error} in the answer {}", shown(bytes)))?;
        answer.keeps_its_form().map_err(|broken| format!("{broken}: {answer:?}"))?;
        Ok(answer)
    }

    /// The name of the reason in the audit annotation.
    pub fn reason(&self) -> &str {
        let written = self.audit_annotations.get(AUDIT_ANNOTATION).map_or("", String::as_str);
        written.split(':').next().unwrap_or_default()
    }

    pub fn pod(&self) -> Value {
        self.mutated_object.clone().unwrap_or_else(|| panic!("nothing was changed: {self:?}"))
    }

    pub fn message(&self) -> &str {
        self.message.as_deref().unwrap_or_else(|| panic!("no message: {self:?}"))
    }

    /// The requirements for each answer to any input.
    fn keeps_its_form(&self) -> Result<(), &'static str> {
        let promise = |kept: bool, broken| if kept { Ok(()) } else { Err(broken) };
        let name = self.reason();
        promise(
            self.audit_annotations.len() == 1 && Reason::ALL.iter().any(|known| known.name() == name),
            "not one audit annotation with a known reason",
        )?;
        promise(self.accepted == self.message.is_none(), "a message is for a rejection, and each has one")?;
        promise(self.accepted == self.code.is_none(), "a code is for a rejection, and each has one")?;
        promise(
            self.mutated_object.is_some() == (name == Reason::Injected.name()),
            "an object is for an injection, and each has one",
        )?;
        if let Some(message) = &self.message {
            promise(message.len() > 20, "a message that says nothing")?;
            promise(message.chars().all(|c| c == '\n' || is_harmless(c)), "a message that misleads")?;
        }
        for warning in &self.warnings {
            promise(!warning.is_empty() && warning.len() < 256, "a warning that the API server drops")?;
            promise(warning.chars().all(is_harmless), "a warning that misleads")?;
            // A message has a remedy or a rule, which a truncated text may have lost.
            let remedies = ["; ", " must "];
            let remedy = remedies.iter().any(|part| warning.contains(part)) || warning.ends_with("...");
            promise(remedy, "a warning with nothing to do about it")?;
        }
        Ok(())
    }
}

/// The beginning of a text that may be megabytes long.
pub fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    match text.char_indices().nth(4_000) {
        Some((end, _)) => format!("{}... ({} bytes)", text.split_at(end).0, bytes.len()),
        None => text.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::Answer;

    #[test]
    fn a_broken_promise_is_seen() {
        let audit = r#""audit_annotations":{"connect-inject-reason":"rejected: Reject."}"#;
        for (answer, seen) in [
            (r#"{"accepted":true}"#.to_owned(), "audit annotation"),
            (
                r#"{"accepted":true,"audit_annotations":{"connect-inject-reason":"x"}}"#.to_owned(),
                "known reason",
            ),
            (format!(r#"{{"accepted":false,"code":422,{audit}}}"#), "a message is for"),
            (format!(r#"{{"accepted":false,"message":"no",{audit}}}"#), "a code is for"),
            (format!(r#"{{"accepted":false,"code":422,"message":"no",{audit}}}"#), "says nothing"),
            (format!(r#"{{"accepted":true,"mutated_object":{{}},{audit}}}"#), "an object is for"),
            (format!(r#"{{"accepted":true,"warnings":["a\u0007"],{audit}}}"#), "misleads"),
            (format!(r#"{{"accepted":true,"warnings":[""],{audit}}}"#), "drops"),
            (format!(r#"{{"accepted":true,"warnings":["it is so"],{audit}}}"#), "nothing to do"),
            (format!(r#"{{"accepted":true,"more":1,{audit}}}"#), "unknown field"),
            ("".to_owned(), "EOF"),
        ] {
            let error = Answer::read(answer.as_bytes()).unwrap_err();
            assert!(error.contains(seen), "{seen}: {error}");
        }
        let fine = r#"{"accepted":true,"audit_annotations":{"connect-inject-reason":"opted-out: No."}}"#;
        assert_eq!(Answer::read(fine.as_bytes()).unwrap().reason(), "opted-out");
    }
}
