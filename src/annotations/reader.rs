//! Reads annotations one by one and collects every problem on the way.

use super::{Annotations, full};
use crate::k8s::pod::PodSpec;
use crate::k8s::ports::NamedBy;
use crate::problem::{Findings, Flaw, Problem};

/// The annotations of one pod, and where their problems go.
#[derive(Debug)]
pub struct AnnotationReader<'a, 'f> {
    pub annotations: &'a Annotations<'a>,
    pub spec: &'a PodSpec<'a>,
    /// Whose port names count.
    pub ports: NamedBy,
    pub findings: &'f mut Findings,
}

/// What an annotation with an empty value means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Empty {
    /// As if it were not there.
    Absent,
    Wrong,
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
            Empty::Wrong => self.get(name)?,
        };
        let value = parse_bool(written);
        if value.is_none() {
            self.problem(name, written, BOOLEAN.0, BOOLEAN.1);
        }
        value
    }

    /// A whole number in plain digits, from `least` to `most`.
    pub fn number(&mut self, name: &str, least: u32, most: u32) -> Option<u32> {
        let written = self.get(name)?;
        let digits = written.bytes().all(|byte| byte.is_ascii_digit());
        let number = written.parse().ok().filter(|number| digits && (least..=most).contains(number));
        if number.is_none() {
            let why = format!("is not a number from {least} to {most}");
            self.problem(name, written, &why, &format!("write a number from {least} to {most}"));
        }
        number
    }

    /// A port by its number or its name, not below `least`; an empty value is no port.
    pub fn port(&mut self, name: &str, least: u16) -> Option<u16> {
        let written = self.written(name)?;
        match self.resolve_port(written.trim()) {
            Ok(number) if number >= least => Some(number),
            Ok(_) => {
                let why = format!("is below {least}, where only a privileged process may listen");
                self.problem(name, written, &why, &format!("write a port from {least} to 65535"));
                None
            }
            Err(flaw) => {
                self.flaw(name, written, flaw);
                None
            }
        }
    }

    pub fn resolve_port(&self, text: &str) -> Result<u16, Flaw> {
        self.spec.resolve_port_of(self.ports, text)
    }

    /// The path of a URL; an empty value is no path.
    pub fn path(&mut self, name: &str) -> Option<&'a str> {
        let written = self.written(name)?;
        if let Some(flaw) = url_path_flaw(written) {
            self.flaw(name, written, flaw);
        }
        Some(written)
    }

    pub fn flaw(&mut self, name: &str, value: &str, flaw: Flaw) {
        self.findings.problem(flaw.at(full(name)).value(value));
    }

    pub fn problem(&mut self, name: &str, value: &str, why: &str, remedy: &str) {
        self.findings.problem(Problem::new(full(name), why, remedy).value(value));
    }

    pub fn warn(&mut self, message: impl AsRef<str>) {
        self.findings.warn(message);
    }
}

/// Why a value is not a boolean, and what to write.
pub const BOOLEAN: (&str, &str) = ("is not a boolean", "write \"true\" or \"false\", in quotes");

/// As Go's `strconv.ParseBool`.
pub fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

/// What is wrong with the path of a URL.
pub fn url_path_flaw(path: &str) -> Option<Flaw> {
    let plain = path.bytes().all(|byte| byte.is_ascii_graphic());
    (!path.starts_with('/') || !plain)
        .then(|| Flaw::new("is not the path of a URL", "write a path that begins with '/', such as /metrics"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read<T>(value: &str, read: impl FnOnce(&mut AnnotationReader<'_, '_>) -> T) -> (T, Vec<String>) {
        let spec = json!({ "containers": [{ "ports": [{ "name": "admin", "containerPort": 9090 }] }] });
        let spec = PodSpec::read(&spec, "spec").unwrap();
        let annotations = Annotations::from_iter([("x", value)]);
        let mut findings = Findings::default();
        let (annotations, spec) = (&annotations, &spec);
        let mut reader =
            AnnotationReader { annotations, spec, ports: NamedBy::Containers, findings: &mut findings };
        let value = read(&mut reader);
        (value, findings.problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn booleans_with_and_without_a_value() {
        assert_eq!(read("T", |reader| reader.bool("x", Empty::Wrong)), (Some(true), vec![]));
        assert_eq!(read("", |reader| reader.bool("x", Empty::Absent)), (None, vec![]));
        for text in ["", "yes", "true "] {
            let (value, problems) = read(text, |reader| reader.bool("x", Empty::Wrong));
            assert_eq!(value, None);
            assert_eq!(
                problems,
                [format!(
                    "annotation consul.hashicorp.com/x: \"{text}\" is not a boolean; write \"true\" or \"false\", in quotes"
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
        for (text, why) in
            [("80", "is below 1024"), ("0x10", "is not"), ("nope", "is not the name of a port")]
        {
            let (value, problems) = read(text, |reader| reader.port("x", 1024));
            assert!(value.is_none() && problems[0].contains(why), "{problems:?}");
        }
        assert!(read("/metrics?x=1", |reader| reader.path("x").map(str::to_owned)).1.is_empty());
        assert_eq!(read("metrics", |reader| reader.path("x").map(str::to_owned)).1.len(), 1);
        assert_eq!(read("/a b", |reader| reader.path("x").map(str::to_owned)).1.len(), 1);
    }
}
