//! Translates the values key by key.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{
    Fate, Mode, Outcome, agent, chart_defaults, dataplane,
    keys::{self, Entry, Rule},
    release::Release,
    values::{Values, is_empty, leaves, place},
};
use crate::advice;

/// The number in a quoted string, if the setting is a number: the chart's templates accept both.
fn unquoted_number(setting: &str, value: &Value) -> Option<Value> {
    const NUMBERS: [&str; 4] = ["Port", "Seconds", "Threshold", "concurrency"];
    let number: u64 = value.as_str()?.parse().ok()?;
    NUMBERS.iter().any(|end| setting.ends_with(end)).then(|| json!(number))
}

const CHART: &str = "stays with the chart, which deploys Consul";

pub struct Translator<'a> {
    pub values: Values<'a>,
    pub mode: Mode,
    pub release: &'a Release,
    pub settings: Value,
    pub outcomes: Vec<Outcome>,
}

impl Translator<'_> {
    /// Translates a block; the top level has the empty path.
    pub fn block(&mut self, block: &str, values: &Value) {
        for (key, value) in values.as_object().into_iter().flatten() {
            let path = if block.is_empty() { key.clone() } else { format!("{block}.{key}") };
            if key.contains('.') {
                self.flat(&path, key, value);
            } else {
                self.key(&path, value);
            }
        }
    }

    fn key(&mut self, path: &str, value: &Value) {
        match (keys::entry(self.mode, path), value) {
            (Entry::Key(rule), _) => self.apply(path, rule, value),
            (Entry::Unknown, _) => self.unknown(path),
            (Entry::Block, Value::Object(_)) => self.block(path, value),
            (Entry::Block, Value::Null) => self.report(path, Fate::Deployment, "empty: nothing to do"),
            (Entry::Block, _) => {
                self.report(path, Fate::Unknown, "must be an object: it is a block of the chart");
            }
        }
    }

    fn apply(&mut self, path: &str, rule: &Rule, value: &Value) {
        let empty = is_empty(value);
        let (fate, text) = match rule {
            Rule::Setting(setting) => return self.setting(path, setting, value),
            Rule::Special => {
                return match self.mode {
                    Mode::Agent => agent::special(self, path, value),
                    Mode::Dataplane => dataplane::special(self, path, value),
                };
            }
            Rule::Injector => (Fate::Deployment, self.injectors()),
            Rule::Consul => (Fate::Deployment, CHART),
            Rule::OtherMode(instead) => {
                let switch = ["enabled", "defaultEnabled"].iter().find_map(|key| value.get(key));
                let off = empty
                    || self.values.is_off(value)
                    || switch.is_some_and(|switch| self.values.is_off(switch));
                (Fate::NotInThisMode, if off { "off: nothing to do" } else { instead })
            }
            Rule::Remedy(_) if empty => (Fate::Deployment, "empty: nothing to do"),
            Rule::Remedy(remedy) => (Fate::Elsewhere, *remedy),
        };
        self.report_all(path, value, fate, text);
    }

    /// Reports the values of the chart's own injector.
    fn injectors(&self) -> &'static str {
        match self.mode {
            Mode::Agent => {
                "configures the deployment of Consul's injector, which the policy replaces: remove it"
            }
            Mode::Dataplane => "stays with the chart, whose controllers register the pods",
        }
    }

    /// As in a values file, `null` means the default; so does an empty string.
    pub fn setting(&mut self, path: &str, setting: &str, value: &Value) {
        if value.is_object() {
            for (key, value) in value.as_object().into_iter().flatten() {
                self.setting(&format!("{path}.{key}"), &format!("{setting}.{key}"), value);
            }
        } else if is_empty(value) && !value.is_array() {
            self.report(path, Fate::Translated, &format!("empty: {setting} keeps its default"));
        } else if let Some(text) = self.too_small(path, setting, value) {
            self.report(path, Fate::Translated, &text);
        } else {
            self.set(setting, unquoted_number(setting, value).unwrap_or_else(|| value.clone()));
            self.report(path, Fate::Translated, setting);
        }
    }

    /// In agent mode the containers run Consul's CLI, for which the chart's defaults are too low.
    fn too_small(&self, path: &str, setting: &str, value: &Value) -> Option<String> {
        if self.mode != Mode::Agent {
            return None;
        }
        chart_defaults::left_out(path, value, setting).or_else(|| {
            let limit = setting.ends_with("resources.limits.memory") && !setting.starts_with("sidecarProxy");
            let small = limit && advice::quantity(value).is_some_and(|bytes| bytes < advice::CLI_MEMORY);
            small.then(|| {
                format!("omitted: Consul's CLI needs 85 MB, or it is killed; {setting} keeps its default")
            })
        })
    }

    /// Reports that a value stays with the chart.
    pub fn stays(&mut self, path: &str, value: &Value) {
        self.report_all(path, value, Fate::Deployment, CHART);
    }

    pub fn unknown(&mut self, path: &str) {
        if path.starts_with("x-") {
            let text = "not a key of the chart, but a common place for YAML anchors: nothing to do";
            return self.report(path, Fate::Deployment, text);
        }
        let text = match keys::nearest(path) {
            Some(known) => format!("not a key of the chart; did you mean {known}?"),
            None => "not a key of the chart: remove it".to_owned(),
        };
        self.report(path, Fate::Unknown, &text);
    }

    /// A key with dots, which Helm reads as a single name rather than a path.
    fn flat(&mut self, path: &str, key: &str, value: &Value) {
        let mut text = "a single key with dots, which Helm does not read as a path".to_owned();
        if keys::is_known(path) {
            let shown = if value.is_object() { "{...}".to_owned() } else { value.to_string() };
            let depth = key.matches('.').count();
            let nested = format!("{}: {shown}{}", key.replace('.', ": {"), "}".repeat(depth));
            let _ = write!(text, "; write {nested}");
        }
        self.report(path, Fate::Unknown, &text);
    }

    pub fn report(&mut self, key: &str, fate: Fate, text: &str) {
        self.outcomes.push(Outcome { key: key.to_owned(), fate, text: text.to_owned() });
    }

    /// Reports the same text for everything below a key.
    pub fn report_all(&mut self, path: &str, value: &Value, fate: Fate, text: &str) {
        for leaf in leaves(path, value) {
            self.report(&leaf, fate, text);
        }
    }

    /// Sets a setting by its path. A boolean that is set twice is true if either value is true:
    /// ACLs had two keys.
    pub fn set(&mut self, setting: &str, value: Value) {
        let place = place(&mut self.settings, setting);
        if *place != json!(true) {
            *place = value;
        }
    }
}
