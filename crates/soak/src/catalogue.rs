//! What somebody might write who means harm: shell, the kubelet's expansion, ways
//! out of JSON, HCL and URLs, characters that mislead.

use std::sync::LazyLock;

use serde::Deserialize;

/// A value of `test_data/hostile-values.json`.
#[derive(Debug, Deserialize)]
pub struct Hostile {
    /// A word for it, for messages and for names of objects.
    pub name: String,
    pub value: String,
}

/// The whole catalogue.
pub static HOSTILE: LazyLock<Vec<Hostile>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../../test_data/hostile-values.json"))
        .expect("the catalogue is a list of names and values")
});
