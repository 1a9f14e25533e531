//! Answers one admission request.
//!
//! <https://docs.kubewarden.io/reference/spec/mutating-policies>

use anyhow::Context as _;
use k8s_openapi::Resource as _;
use k8s_openapi::api::core::v1::Pod;
use kubewarden_policy_sdk::settings::SettingsValidationResponse;

use crate::configuration::Configuration;
use crate::problem::{Problem, list};
use crate::reason::Reason;
use crate::request::{Payload, Request};
use crate::response::{Answer, Level, LogLine};
use crate::review::kind::Workload;
use crate::review::{pod, workload};
use crate::text::Shortened;

/// Answers one admission request. Every payload gets an answer, also an unreadable one.
pub fn validate(payload: &[u8]) -> Answer<'_> {
    answer(payload).unwrap_or_else(|error| {
        let message = format!(
            "the Consul Connect injector cannot read this request: {}",
            Shortened(&format!("{error:#}"), 500)
        );
        let log = LogLine { level: Level::Warning, message: message.clone() };
        Answer::reject(Reason::Unreadable, 400, message, &[], Some(log))
    })
}

fn answer(payload: &[u8]) -> anyhow::Result<Answer<'_>> {
    let payload: Payload = serde_json::from_str(std::str::from_utf8(payload)?).context("the payload")?;
    let configuration = match Configuration::parse(&payload.settings) {
        Ok(configuration) => configuration,
        Err(problems) => {
            let message = settings_message(&problems);
            return Ok(Answer::reject(Reason::InvalidSettings, 500, message, &[], None));
        }
    };
    if !configuration.common.enabled {
        return Ok(Answer::accept(Reason::Disabled, &[], None));
    }
    review(&payload.request, &configuration)
}

fn review<'a>(request: &Request<'a>, configuration: &Configuration) -> anyhow::Result<Answer<'a>> {
    let kind = &request.kind;
    let is_object = request.sub_resource.is_empty();
    let is_pod = (kind.group.as_str(), kind.version.as_str(), kind.kind.as_str())
        == (Pod::GROUP, Pod::VERSION, Pod::KIND);
    match request.operation.as_str() {
        "CREATE" if is_object && is_pod => pod::review(request, configuration),
        "CREATE" | "UPDATE" if is_object => match Workload::find(&kind.group, &kind.kind) {
            Some(workload) => workload::review(workload, request, configuration),
            None => Ok(Answer::accept(Reason::NotAPodCreation, &[], None)),
        },
        _ => Ok(Answer::accept(Reason::NotAPodCreation, &[], None)),
    }
}

/// Reports whether the settings are valid, and what to log about valid ones.
pub fn validate_settings(payload: &[u8]) -> (SettingsValidationResponse, Option<LogLine>) {
    let configuration = serde_json::from_slice(payload)
        .map_err(|error| format!("the settings are not valid JSON: {error}"))
        .and_then(|settings| Configuration::parse(&settings).map_err(|problems| settings_message(&problems)));
    match configuration {
        Ok(configuration) => {
            let warning = configuration.mode.settings_warning();
            let log = warning.map(|text| LogLine { level: Level::Warning, message: text.to_owned() });
            (SettingsValidationResponse { valid: true, message: None }, log)
        }
        Err(message) => (SettingsValidationResponse { valid: false, message: Some(message) }, None),
    }
}

fn settings_message(problems: &[Problem]) -> String {
    list("the settings of the Consul Connect injector are invalid", problems)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reason::AUDIT_ANNOTATION;

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
            let response = validate(payload).response;
            assert!(response.audit_annotations.contains_key(AUDIT_ANNOTATION));
            assert!(response.accepted || response.message.is_some_and(|message| message.len() > 20));
        }
    }
}
