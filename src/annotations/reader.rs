//! Reads annotations one by one and collects every problem on the way.

use serde::de::DeserializeOwned;
use serde_json::error::Category;

use super::{Annotations, full};
use crate::k8s::pod::PodSpec;
use crate::problem::{Findings, Flaw, Problem};
use crate::text::{Shortened, URL_PATH_RULE, is_url_path};

/// The annotations of one pod, and the findings to which problems are added.
#[derive(Debug)]
pub struct AnnotationReader<'a, 'f> {
    pub annotations: &'a Annotations<'a>,
    pub spec: &'a PodSpec,
    pub findings: &'f mut Findings,
}

/// The meaning of an annotation with an empty value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Empty {
    /// The same as no annotation.
    Absent,
    Invalid,
}

impl<'a> AnnotationReader<'a, '_> {
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.annotations.get(name)
    }

    /// The value, unless it is empty.
    pub fn written(&self, name: &str) -> Option<&'a str> {
        self.get(name).filter(|written| !written.is_empty())
    }

    pub fn bool(&mut self, name: &str, empty: Empty) -> Option<bool> {
        let written = match empty {
            Empty::Absent => self.written(name)?,
            Empty::Invalid => self.get(name)?,
        };
        let value = parse_bool(written);
        if value.is_none() {
            self.problem(name, written, BOOLEAN);
        }
        value
    }

    /// An integer in plain digits, from `least` to `most`.
    pub fn number(&mut self, name: &str, least: u32, most: u32) -> Option<u32> {
        let written = self.get(name)?;
        let digits = written.bytes().all(|byte| byte.is_ascii_digit());
        let number = written.parse().ok().filter(|number| digits && (least..=most).contains(number));
        if number.is_none() {
            self.problem(name, written, format!("must be an integer from {least} to {most}"));
        }
        number
    }

    /// A container's port by its number or its name, not below `least`. An empty value means none.
    pub fn port(&mut self, name: &str, least: u16) -> Option<u16> {
        let written = self.written(name)?;
        match self.spec.resolve_container_port(written.trim()) {
            Ok(number) if number >= least => Some(number),
            Ok(_) => {
                let rule = format!("must be a port from {least} to 65535: lower ports are privileged");
                self.problem(name, written, rule);
                None
            }
            Err(flaw) => {
                self.problem(name, written, flaw);
                None
            }
        }
    }

    /// The path of a URL. An empty value means none.
    pub fn path(&mut self, name: &str) -> Option<&'a str> {
        let written = self.written(name)?;
        if !is_url_path(written) {
            self.problem(name, written, URL_PATH_RULE);
        }
        Some(written)
    }

    /// Reads `written` as JSON. `rule` says what it must be.
    pub fn json<T: DeserializeOwned>(&mut self, name: &str, written: &str, rule: &str) -> Option<T> {
        match serde_json::from_str(written) {
            Ok(value) => Some(value),
            Err(error) => {
                let flaw = match error.classify() {
                    // It would name Rust's types.
                    Category::Data => rule.to_owned(),
                    _ => format!("{rule}: {}", Shortened(&error.to_string(), 100)),
                };
                self.problem(name, written, flaw);
                None
            }
        }
    }

    pub fn problem(&mut self, name: &str, value: &str, flaw: impl Into<Flaw>) {
        self.findings.problem(Problem::new(full(name), flaw).value(value));
    }

    pub fn warn(&mut self, message: impl AsRef<str>) {
        self.findings.warn(message);
    }
}

pub const BOOLEAN: &str = "must be a boolean: \"true\" or \"false\", in quotes";

/// Like Go's `strconv.ParseBool`.
pub fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read<T>(value: &str, read: impl FnOnce(&mut AnnotationReader<'_, '_>) -> T) -> (T, Vec<String>) {
        let spec = json!({ "containers": [{ "ports": [{ "name": "admin", "containerPort": 9090 }] }] });
        let spec = PodSpec::of(&spec).unwrap();
        let annotations = Annotations::from_iter([("x", value)]);
        let mut findings = Findings::default();
        let (annotations, spec) = (&annotations, &spec);
        let mut reader = AnnotationReader { annotations, spec, findings: &mut findings };
        let value = read(&mut reader);
        (value, findings.problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn booleans_with_and_without_a_value() {
        assert_eq!(read("T", |reader| reader.bool("x", Empty::Invalid)), (Some(true), vec![]));
        assert_eq!(read("", |reader| reader.bool("x", Empty::Absent)), (None, vec![]));
        for text in ["", "yes", "true "] {
            let (value, problems) = read(text, |reader| reader.bool("x", Empty::Invalid));
            assert_eq!(value, None);
            assert_eq!(
                problems,
                [format!(
                    "annotation consul.hashicorp.com/x: invalid value \"{text}\": must be a boolean: \"true\" or \"false\", in quotes"
                )]
            );
        }
    }

    #[test]
    fn numbers_ports_and_paths() {
        assert_eq!(read("7", |reader| reader.number("x", 0, 10)).0, Some(7));
        for text in ["", "+7", "-1", "11", "7s", "99999999999999999999"] {
            let (value, problems) = read(text, |reader| reader.number("x", 0, 10));
            assert_eq!((value, problems.len()), (None, 1), "{text}");
        }
        assert_eq!(read("admin", |reader| reader.port("x", 1024)).0, Some(9090));
        assert_eq!(read("", |reader| reader.port("x", 1024)), (None, vec![]));
        for (text, why) in [
            ("80", "from 1024 to 65535"),
            ("0x10", "a port number from 1"),
            ("nope", "port names: \"admin\""),
        ] {
            let (value, problems) = read(text, |reader| reader.port("x", 1024));
            assert!(value.is_none() && problems[0].contains(why), "{problems:?}");
        }
        assert!(read("/metrics?x=1", |reader| reader.path("x").map(str::to_owned)).1.is_empty());
        assert_eq!(read("metrics", |reader| reader.path("x").map(str::to_owned)).1.len(), 1);
        assert_eq!(read("/a b", |reader| reader.path("x").map(str::to_owned)).1.len(), 1);
    }
}
