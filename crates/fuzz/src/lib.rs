//! What the fuzz targets share: asking, and what holds for every answer.

use consul_connect_injector::admission;
use serde_json::Value;
use soak::{Answer, sample};

/// The answer to any bytes.
pub fn answer(payload: &[u8]) -> Answer {
    let response = serde_json::to_vec(&admission::validate(payload).response).expect("a response is JSON");
    Answer::read(&response).unwrap_or_else(|broken| panic!("{broken}"))
}

/// The answer about the creation of a pod; the object need not be one.
pub fn about(object: &Value, settings: &Value) -> Answer {
    answer(sample::payload(&sample::creation(object), settings).to_string().as_bytes())
}
