//! Reads the settings key by key and collects every problem on the way.

use serde_json::{Map, Value};

use super::keys;
use super::mode_name::ModeName;
use crate::nearest::nearest;
use crate::problem::{Findings, Problem};
use crate::text::Quoted;

/// One object of the settings. Keys are taken by name; those that nobody takes are problems.
#[derive(Debug)]
pub struct SettingsReader<'a, 'f> {
    /// The keys that lead here, each followed by a dot.
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
            let problem = match path.strip_suffix('.') {
                Some(key) => Problem::new(subject(key), "is not an object", "write keys and values below it"),
                None => Problem::new(
                    "the settings",
                    "are not an object",
                    "write keys and values, or {} for the defaults",
                ),
            };
            findings.problem(problem.json(&other.to_string()));
        }
        SettingsReader { path, mode, members, taken: Vec::new(), findings }
    }

    /// The mode decides which keys there are.
    pub fn set_mode(&mut self, mode: ModeName) {
        self.mode = mode;
    }

    fn key(&self, key: &str) -> String {
        format!("{}{key}", self.path)
    }

    /// The value of `key`; as in a Helm values file, `null` is the default.
    fn take(&mut self, key: &'static str) -> Option<&'a Value> {
        self.taken.push(key);
        self.members?.get(key).filter(|value| !value.is_null())
    }

    /// Reads the object under `key`.
    pub fn block<T>(&mut self, key: &'static str, read: impl FnOnce(&mut SettingsReader<'a, '_>) -> T) -> T {
        let value = self.take(key);
        let path = format!("{}.", self.key(key));
        let mut block = SettingsReader::at(path, self.mode, value, self.findings);
        let value = read(&mut block);
        block.report_unknown_keys();
        value
    }

    pub fn bool(&mut self, key: &'static str, default: bool) -> bool {
        match self.take(key) {
            None => default,
            Some(Value::Bool(value)) => *value,
            Some(other) => {
                self.json_problem(key, other, "is not a boolean", "write true or false, without quotes");
                default
            }
        }
    }

    pub fn string(&mut self, key: &'static str) -> Option<&'a str> {
        self.string_or(key, "write it in quotes")
    }

    /// `remedy` is for a value of another type.
    pub fn string_or(&mut self, key: &'static str, remedy: &str) -> Option<&'a str> {
        let value = self.take(key)?;
        let text = value.as_str();
        if text.is_none() {
            self.json_problem(key, value, "is not a string", remedy);
        }
        text
    }

    /// A string that is not empty.
    pub fn name(&mut self, key: &'static str) -> Option<&'a str> {
        self.string(key).filter(|text| !text.is_empty())
    }

    /// `example` is a list as it could be written.
    pub fn strings(&mut self, key: &'static str, example: &str) -> Option<Vec<String>> {
        let value = self.take(key)?;
        let Some(elements) = value.as_array() else {
            let remedy = format!("write a list such as {example}");
            self.json_problem(key, value, "is not a list of strings", &remedy);
            return None;
        };
        let mut strings = Vec::new();
        for (index, element) in elements.iter().enumerate() {
            match element.as_str() {
                Some(text) => strings.push(text.to_owned()),
                None => {
                    let key = format!("{key}[{index}]");
                    self.json_problem(&key, element, "is not a string", "write it in quotes");
                }
            }
        }
        Some(strings)
    }

    /// A whole number from `least` to `most`.
    pub fn number(&mut self, key: &'static str, least: u32, most: u32, default: u32) -> u32 {
        let Some(value) = self.take(key) else { return default };
        let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
        number.filter(|number| (least..=most).contains(number)).unwrap_or_else(|| {
            let remedy = format!("write a number from {least} to {most}, without quotes");
            self.json_problem(key, value, "is not such a number", &remedy);
            default
        })
    }

    pub fn port(&mut self, key: &'static str, default: u16) -> u16 {
        let number = self.number(key, 1, u32::from(u16::MAX), u32::from(default));
        u16::try_from(number).unwrap_or(default)
    }

    /// The members of the object under `key` as text, where the keys are free. Numbers
    /// count as their digits, as in `cpu: 1`.
    pub fn free_strings(&mut self, key: &'static str) -> Vec<(String, Option<String>)> {
        self.block(key, |block| {
            let mut found = Vec::new();
            for (name, value) in block.members.into_iter().flatten() {
                let text = match value {
                    Value::String(text) => Some(text.clone()),
                    Value::Number(number) => Some(number.to_string()),
                    Value::Null => None,
                    other => {
                        block.json_problem(name, other, "is not a string", "write it in quotes");
                        None
                    }
                };
                found.push((name.clone(), text));
            }
            block.members = None;
            found
        })
    }

    fn json_problem(&mut self, key: &str, value: &Value, why: &str, remedy: &str) {
        let subject = subject(&self.key(key));
        self.findings.problem(Problem::new(subject, why, remedy).json(&value.to_string()));
    }

    pub fn problem(&mut self, key: &str, value: &str, why: &str, remedy: &str) {
        let subject = subject(&self.key(key));
        self.findings.problem(Problem::new(subject, why, remedy).value(value));
    }

    /// For a value that is too long to show, or that may be a secret put in the wrong place.
    pub fn problem_without_value(&mut self, key: &str, why: &str, remedy: &str) {
        let subject = subject(&self.key(key));
        self.findings.problem(Problem::new(subject, why, remedy));
    }

    fn report_unknown_keys(self) {
        /// A block names this many unknown keys and counts the others.
        const SHOWN: usize = 200;
        let mut unknown =
            self.members.into_iter().flatten().filter(|(key, _)| !self.taken.contains(&key.as_str()));
        let known = || format!("the known keys here are {}", self.taken.join(", "));
        for (key, _) in unknown.by_ref().take(SHOWN) {
            let full = self.key(key);
            let problem = if let Some(mode) = keys::only_mode(&full).filter(|mode| *mode != self.mode) {
                let why = format!("is a setting of mode {mode}, and the mode is {}", self.mode);
                Problem::new(subject(&full), why, format!("remove it, or write mode: {mode}"))
            } else if let Some(remedy) = keys::of_chart(&full) {
                Problem::new(subject(&full), "is not a setting of this policy", remedy)
            } else if let Some(nearest) = nearest(key, &self.taken) {
                Problem::new(subject(&full), "is not known", format!("did you mean {}?", self.key(nearest)))
            } else {
                Problem::new(subject(&full), "is not known", known())
            };
            self.findings.problem(problem);
        }
        let more = unknown.count();
        if more > 0 {
            let why = format!("has {more} more keys that are not known");
            self.findings.problem(Problem::new(subject(&self.key("*")), why, known()));
        }
    }
}

fn subject(path: &str) -> String {
    if path.len() <= 200 && path.bytes().all(|byte| byte.is_ascii_graphic()) {
        format!("setting {path}")
    } else {
        format!("setting {}", Quoted(path, 100))
    }
}
