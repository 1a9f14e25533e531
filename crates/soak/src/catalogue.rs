//! Malicious input: shell syntax, the kubelet's expansion, escapes from JSON, HCL and URLs, and
//! misleading characters.

use std::sync::LazyLock;

use serde::Deserialize;

/// A value of `test_data/hostile-values.json`.
#[derive(Debug, Deserialize)]
pub struct Hostile {
    /// A short name for messages and names of objects.
    pub name: String,
    pub value: String,
}

/// The whole catalogue.
pub static HOSTILE: LazyLock<Vec<Hostile>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../../test_data/hostile-values.json"))
        .expect("the catalogue is a list of names and values")
});
