//! All settings of the policy: those of every mode, and the mode with its own.

use serde_json::Value;

use crate::mode::Mode;
use crate::problem::{Findings, Problem};
use crate::settings::{Common, common, reader};

#[derive(Debug)]
pub struct Configuration {
    pub common: Common,
    pub mode: Mode,
}

impl Configuration {
    /// Parses the settings, or returns all of their problems. `null` means the defaults.
    pub fn parse(settings: &Value) -> Result<Self, Vec<Problem>> {
        let defaults = Value::Object(serde_json::Map::new());
        let settings = if settings.is_null() { &defaults } else { settings };
        let mut findings = Findings::default();
        let configuration = reader::read(settings, &mut findings, |top| {
            let common = Common::read(top);
            let mode = common::mode(top);
            Configuration { common, mode: Mode::read(mode, top) }
        });
        if findings.problems.is_empty() { Ok(configuration) } else { Err(findings.problems) }
    }
}
