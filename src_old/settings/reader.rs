//! Reads a block of settings key by key and collects every problem on the way.

use std::borrow::Cow;

use json_text::{Members, Value};

use crate::nearest::nearest;
use crate::problem::{Problem, Quoted};

/// One object of the settings. Keys are taken by name; [`Block::end`] then
/// reports those that nobody took.
pub struct Block<'a, 'p> {
    path: Path,
    members: Members<'a>,
    taken: Vec<&'static str>,
    problems: &'p mut Vec<Problem>,
}

/// The keys that lead to a block; unused ones are empty.
#[derive(Debug, Clone, Copy, Default)]
struct Path([&'static str; 3]);

impl Path {
    fn is_top(self) -> bool {
        self.0.iter().all(|key| key.is_empty())
    }

    fn below(mut self, key: &'static str) -> Self {
        if let Some(free) = self.0.iter_mut().find(|key| key.is_empty()) {
            *free = key;
        }
        self
    }

    fn key(self, key: &str) -> String {
        let mut path = String::new();
        for part in self.0.iter().filter(|part| !part.is_empty()) {
            path.extend([part, "."]);
        }
        path + key
    }
}

impl<'a, 'p> Block<'a, 'p> {
    pub fn new(raw: Option<Value<'a>>, problems: &'p mut Vec<Problem>) -> Self {
        Self::at(Path::default(), raw, problems)
    }

    fn at(path: Path, raw: Option<Value<'a>>, problems: &'p mut Vec<Problem>) -> Self {
        let mut members = Members::default();
        if let Some(raw) = raw {
            match raw.members() {
                Some(found) => members = found,
                None if path.is_top() => problems.push(
                    Problem::new(
                        "the settings",
                        "are not an object",
                        "write keys and values, or {} for the defaults",
                    )
                    .json(raw.text()),
                ),
                None => problems.push(
                    Problem::new(
                        subject(path.key("").trim_end_matches('.')),
                        "is not an object",
                        "write keys and values below it",
                    )
                    .json(raw.text()),
                ),
            }
        }
        // Of a block that is not there, no key is taken.
        let taken = members.value().map_or_else(Vec::new, |_| Vec::with_capacity(24));
        Block { path, members, taken, problems }
    }

    /// Whether it is not there, so that everything in it is the default.
    pub fn is_absent(&self) -> bool {
        self.members.value().is_none()
    }

    /// Keys that were read before.
    pub fn know<const N: usize>(&mut self, keys: [&'static str; N]) {
        self.taken.extend(keys);
    }

    pub fn key(&self, key: &str) -> String {
        self.path.key(key)
    }

    /// The value of `key`; as in a Helm values file, `null` is the default.
    fn take(&mut self, key: &'static str) -> Option<Value<'a>> {
        // Of a block that is not there, nothing is left over.
        self.members.value()?;
        self.taken.push(key);
        self.members.get(key)
    }

    pub fn block(&mut self, key: &'static str) -> Block<'a, '_> {
        let raw = self.take(key);
        Block::at(self.path.below(key), raw, self.problems)
    }

    pub fn bool(&mut self, key: &'static str, default: bool) -> bool {
        let Some(raw) = self.take(key) else { return default };
        match raw.text() {
            "true" => true,
            "false" => false,
            other => {
                self.problem(key, other, "is not a boolean", "write true or false, without quotes");
                default
            }
        }
    }

    pub fn text(&mut self, key: &'static str) -> Option<Cow<'a, str>> {
        self.text_or(key, "write it in quotes")
    }

    /// `remedy` is for what is no text.
    pub fn text_or(&mut self, key: &'static str, remedy: &str) -> Option<Cow<'a, str>> {
        let raw = self.take(key)?;
        let text = raw.string();
        if text.is_none() {
            self.problem(key, raw.text(), "is not a string", remedy);
        }
        text
    }

    pub fn texts(&mut self, key: &'static str) -> Option<Vec<String>> {
        let raw = self.take(key)?;
        let Some(elements) = raw.elements() else {
            let remedy = "write a list such as [\"shop\", \"billing\"]";
            self.problem(key, raw.text(), "is not a list of strings", remedy);
            return None;
        };
        let mut texts = Vec::new();
        for (index, element) in elements.enumerate() {
            match element.string() {
                Some(text) => texts.push(text.into_owned()),
                None => {
                    let key = format!("{key}[{index}]");
                    self.problem(&key, element.text(), "is not a string", "write it in quotes");
                }
            }
        }
        Some(texts)
    }

    /// A whole number from `least` on, at most `most`.
    pub fn number(&mut self, key: &'static str, least: u32, most: u32, default: u32) -> u32 {
        let Some(raw) = self.take(key) else { return default };
        match raw.text().parse::<u32>() {
            Ok(number) if (least..=most).contains(&number) => number,
            _ => {
                let remedy = format!("write a number from {least} to {most}, without quotes");
                self.problem(key, raw.text(), "is not such a number", &remedy);
                default
            }
        }
    }

    /// The members of this block with their values as text, for blocks whose keys
    /// are free. Numbers count as their digits, as in `cpu: 1`; `null` is no text.
    pub fn free_texts(mut self) -> Vec<(String, Option<Cow<'a, str>>)> {
        let mut found = Vec::new();
        for (key, raw) in self.members.iter() {
            let text = if raw.is_number() { Some(Cow::Borrowed(raw.text())) } else { raw.string() };
            if text.is_none() && !raw.is_null() {
                self.problem(&key, raw.text(), "is not a string", "write it in quotes");
            }
            found.push((key.into_owned(), text));
        }
        found
    }

    /// `value` is JSON.
    pub fn problem(&mut self, key: &str, value: &str, why: &str, remedy: &str) {
        let subject = subject(&self.key(key));
        self.problems.push(Problem::new(subject, why, remedy).json(value));
    }

    /// `value` is a text.
    pub fn text_problem(&mut self, key: &str, value: &str, why: &str, remedy: &str) {
        let subject = subject(&self.key(key));
        self.problems.push(Problem::new(subject, why, remedy).value(value));
    }

    /// Of a value that is too long to show, or may be a secret put in the wrong place.
    pub fn silent_problem(&mut self, key: &str, why: &str, remedy: &str) {
        let subject = subject(&self.key(key));
        self.problems.push(Problem::new(subject, why, remedy));
    }

    /// Reports the keys that are not known. `elsewhere` tells of keys that mean
    /// something in Consul's Helm chart what becomes of them here.
    pub fn end(self, elsewhere: impl Fn(&str) -> Option<&'static str>) {
        let mut unknown = self.members.iter().filter(|(key, _)| !self.taken.contains(&&**key));
        for (key, _) in unknown.by_ref().take(UNKNOWN_LIMIT) {
            let full = self.key(&key);
            let problem = if let Some(what) = elsewhere(&full) {
                Problem::new(subject(&full), "is not a setting of this policy", what)
            } else if let Some(known) =
                (self.problems.len() < 100).then(|| nearest(&key, &self.taken)).flatten()
            {
                let remedy = format!("did you mean {}?", self.key(known));
                Problem::new(subject(&full), "is not known", remedy)
            } else {
                let remedy = format!("the known keys here are {}", self.taken.join(", "));
                Problem::new(subject(&full), "is not known", remedy)
            };
            self.problems.push(problem);
        }
        let more = unknown.count();
        if more > 0 {
            let why = format!("has {more} more keys that are not known");
            let remedy = format!("the known keys here are {}", self.taken.join(", "));
            let block = self.key("*");
            self.problems.push(Problem::new(subject(&block), why, remedy));
        }
    }
}

/// Of one block's unknown keys so many are looked at.
const UNKNOWN_LIMIT: usize = 200;

fn subject(path: &str) -> String {
    let shown = path.bytes().all(|byte| byte.is_ascii_graphic());
    if shown && path.len() <= 200 {
        format!("setting {path}")
    } else {
        format!("setting {}", Quoted(path, 100))
    }
}
