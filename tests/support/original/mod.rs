//! The original injector, consul-k8s 0.25.0: the recorded cases, a model that reproduces them, and
//! the model's results for more pods like them.

pub mod derived;
pub mod model;

use serde::Deserialize;
use serde_json::Value;

const CASES: &str = include_str!("../../../test_data/conformance/original-injector.jsonl");

#[derive(Deserialize)]
pub struct Case {
    pub name: String,
    pub settings: Value,
    pub namespace: String,
    pub pod: Value,
    pub original: Value,
}

pub fn cases() -> Vec<Case> {
    CASES.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

impl Case {
    pub fn annotation(&self, name: &str) -> Option<&str> {
        self.pod["metadata"]["annotations"].get(format!("{}{name}", super::PREFIX))?.as_str()
    }
}
