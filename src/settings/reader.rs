//! Reads the settings key by key and collects every problem on the way.

use serde_json::{Map, Value};

use super::keys;
use super::mode_name::ModeName;
use crate::nearest::nearest;
use crate::problem::{Findings, Flaw, Problem};
use crate::text::{Quoted, URL_PATH_RULE, is_url_path};

/// One object of the settings. Keys are taken by name; the others are reported as unknown.
#[derive(Debug)]
pub struct SettingsReader<'a, 'f> {
    /// The path of this object, which is empty for the whole settings.
    path: String,
    mode: ModeName,
    members: Option<&'a Map<String, Value>>,
    taken: Vec<&'static str>,
    findings: &'f mut Findings,
}

/// Reads the whole settings.
pub fn read<'a, T>(
    settings: &'a Value,
    findings: &mut Findings,
    read: impl FnOnce(&mut SettingsReader<'a, '_>) -> T,
) -> T {
    let mut reader = SettingsReader::at(String::new(), ModeName::default(), Some(settings), findings);
    let value = read(&mut reader);
    reader.report_unknown_keys();
    value
}

impl<'a, 'f> SettingsReader<'a, 'f> {
    fn at(path: String, mode: ModeName, value: Option<&'a Value>, findings: &'f mut Findings) -> Self {
        let members = value.and_then(Value::as_object);
        if let Some(other) = value.filter(|_| members.is_none()) {
            let problem = match path.is_empty() {
                false => Problem::new(subject(&path), "must be an object with keys and values"),
                true => Problem::new("the settings", "must be an object; write {} for the defaults"),
            };
            findings.problem(problem.json(&other.to_string()));
        }
        SettingsReader { path, mode, members, taken: Vec::new(), findings }
    }

    /// The mode decides which keys are known.
    pub fn set_mode(&mut self, mode: ModeName) {
        self.mode = mode;
    }

    /// The path of a key.
    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { [self.path.as_str(), key].join(".") }
    }

    /// The value of `key`; as in a Helm values file, `null` is the default.
    fn take(&mut self, key: &'static str) -> Option<&'a Value> {
        self.taken.push(key);
        self.members?.get(key).filter(|value| !value.is_null())
    }

    /// Reads the object under `key`.
    pub fn block<T>(&mut self, key: &'static str, read: impl FnOnce(&mut SettingsReader<'a, '_>) -> T) -> T {
        let value = self.take(key);
        let mut block = SettingsReader::at(self.path_of(key), self.mode, value, self.findings);
        let value = read(&mut block);
        block.report_unknown_keys();
        value
    }

    pub fn bool(&mut self, key: &'static str, default: bool) -> bool {
        match self.take(key) {
            None => default,
            Some(Value::Bool(value)) => *value,
            Some(other) => {
                let flaw = match other.as_str() {
                    Some("-") => Flaw::new(
                        "is the chart's word for its default",
                        "write true or false, or remove the key",
                    ),
                    _ => "must be a boolean: true or false, without quotes".into(),
                };
                self.json_problem(key, other, flaw);
                default
            }
        }
    }

    pub fn string(&mut self, key: &'static str) -> Option<&'a str> {
        self.string_with_rule(key, "must be a string, in quotes")
    }

    /// A string. `rule` is the problem of a value of another type.
    pub fn string_with_rule(&mut self, key: &'static str, rule: &str) -> Option<&'a str> {
        let value = self.take(key)?;
        let text = value.as_str();
        if text.is_none() {
            self.json_problem(key, value, rule);
        }
        text
    }

    /// A string. As in the chart, the empty string is the default.
    pub fn non_empty(&mut self, key: &'static str) -> Option<&'a str> {
        self.string(key).filter(|text| !text.is_empty())
    }

    /// `example` is a list as it could be written.
    pub fn strings(&mut self, key: &'static str, example: &str) -> Option<Vec<String>> {
        let value = self.take(key)?;
        let Some(elements) = value.as_array() else {
            self.json_problem(key, value, format!("must be a list of strings such as {example}"));
            return None;
        };
        let mut strings = Vec::new();
        for (index, element) in elements.iter().enumerate() {
            match element.as_str() {
                Some(text) => strings.push(text.to_owned()),
                None => {
                    let key = format!("{key}[{index}]");
                    self.json_problem(&key, element, "must be a string, in quotes");
                }
            }
        }
        Some(strings)
    }

    /// An integer from `least` to `most`.
    pub fn number(&mut self, key: &'static str, least: u32, most: u32, default: u32) -> u32 {
        let Some(value) = self.take(key) else { return default };
        let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
        number.filter(|number| (least..=most).contains(number)).unwrap_or_else(|| {
            let rule = format!("must be an integer from {least} to {most}, without quotes");
            self.json_problem(key, value, rule);
            default
        })
    }

    /// A port, not below `least`.
    pub fn port(&mut self, key: &'static str, least: u16, default: u16) -> u16 {
        let number = self.number(key, least.into(), u16::MAX.into(), default.into());
        u16::try_from(number).unwrap_or(default)
    }

    /// The path of a URL.
    pub fn url_path(&mut self, key: &'static str, default: &str) -> String {
        let path = self.non_empty(key).unwrap_or(default);
        if !is_url_path(path) {
            self.problem(key, path, URL_PATH_RULE);
        }
        path.to_owned()
    }

    /// The members of the object under `key`, which may have any names. Numbers become text, as
    /// in `cpu: 1`.
    pub fn free_strings(&mut self, key: &'static str) -> Vec<(String, Option<String>)> {
        self.block(key, |block| {
            let mut found = Vec::new();
            for (name, value) in block.members.into_iter().flatten() {
                let text = match value {
                    Value::String(text) => Some(text.clone()),
                    Value::Number(number) => Some(number.to_string()),
                    Value::Null => None,
                    other => {
                        block.json_problem(name, other, "must be a string, in quotes");
                        None
                    }
                };
                found.push((name.clone(), text));
            }
            block.members = None;
            found
        })
    }

    fn json_problem(&mut self, key: &str, value: &Value, flaw: impl Into<Flaw>) {
        let subject = subject(&self.path_of(key));
        self.findings.problem(Problem::new(subject, flaw).json(&value.to_string()));
    }

    pub fn problem(&mut self, key: &str, value: &str, flaw: impl Into<Flaw>) {
        let subject = subject(&self.path_of(key));
        self.findings.problem(Problem::new(subject, flaw).value(value));
    }

    /// For a value that is too long to show, or that may be a secret in the wrong place.
    pub fn problem_without_value(&mut self, key: &str, flaw: impl Into<Flaw>) {
        let subject = subject(&self.path_of(key));
        self.findings.problem(Problem::new(subject, flaw));
    }

    fn report_unknown_keys(self) {
        /// A block reports this many unknown keys and counts the others.
        const SHOWN: usize = 200;
        let mut unknown =
            self.members.into_iter().flatten().filter(|(key, _)| !self.taken.contains(&key.as_str()));
        let known = || format!("the settings here are {}", self.taken.join(", "));
        for (key, _) in unknown.by_ref().take(SHOWN) {
            let full = self.path_of(key);
            let flaw = if let Some(mode) = keys::only_mode(&full).filter(|mode| *mode != self.mode) {
                let why = format!("is not supported in mode {}, only in mode {mode}", self.mode);
                Flaw::new(why, format!("remove it, or set mode: {mode}"))
            } else if let Some(remedy) = keys::of_chart(&full, self.mode) {
                Flaw::new("is not a setting of this policy", remedy)
            } else if let Some(nearest) = nearest(key, &self.taken) {
                Flaw::new("is unknown", format!("did you mean {}?", self.path_of(nearest)))
            } else {
                Flaw::new("is unknown", known())
            };
            self.findings.problem(flaw.at(subject(&full)));
        }
        let more = unknown.count();
        if more > 0 {
            let flaw = Flaw::new(format!("{more} more settings are unknown"), known());
            self.findings.problem(flaw.at(subject(&self.path_of("*"))));
        }
    }
}

fn subject(path: &str) -> String {
    if (1..=200).contains(&path.len()) && path.bytes().all(|byte| byte.is_ascii_graphic()) {
        format!("setting {path}")
    } else {
        format!("setting {}", Quoted(path, 100))
    }
}
