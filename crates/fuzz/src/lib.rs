//! Shared by the fuzz targets: calling the policy, and the requirements for each answer.

use consul_connect_injector::admission;
use serde_json::Value;
use soak::{Answer, sample};

/// The answer to any payload.
pub fn answer(payload: &[u8]) -> Answer {
    let response = serde_json::to_vec(&admission::validate(payload).response).expect("a response is JSON");
    Answer::read(&response).unwrap_or_else(|broken| panic!("{broken}"))
}

/// The answer about the creation of a pod; the object need not be one.
pub fn about(object: &Value, settings: &Value) -> Answer {
    answer(sample::payload(&sample::creation(object), settings).to_string().as_bytes())
}
