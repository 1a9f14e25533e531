//! The original injector, consul-k8s 0.25.0: the recorded cases, a model that reproduces them, and
//! the model's results for more pods like them.

pub mod derived;
pub mod model;

use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
pub struct Case {
    pub name: String,
    pub settings: Value,
    pub namespace: String,
    pub pod: Value,
    pub original: Value,
}

pub static CASES: LazyLock<Vec<Case>> = LazyLock::new(|| {
    let recorded = include_str!("../../../test_data/conformance/original-injector.jsonl");
    recorded.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
});

impl Case {
    pub fn annotation(&self, name: &str) -> Option<&str> {
        self.pod["metadata"]["annotations"].get(format!("{}{name}", super::PREFIX))?.as_str()
    }
}
