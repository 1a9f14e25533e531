//! Problems of pods and settings.

use std::fmt;

use crate::text::{Quoted, Shortened};
use crate::warning::Warning;

/// A mistake in a pod or in the settings: where it is, the value, and what is wrong with it.
///
/// The text has the form of the API server's errors:
/// `setting syncPeriod: invalid value "1d": must be a duration from 1s to 1h, such as 10s`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    subject: String,
    value: Option<String>,
    flaw: Flaw,
}

impl Problem {
    pub fn new(subject: impl Into<String>, flaw: impl Into<Flaw>) -> Self {
        Problem { subject: subject.into(), value: None, flaw: flaw.into() }
    }

    /// Adds the invalid value, quoted and escaped.
    #[must_use]
    pub fn value(mut self, value: &str) -> Self {
        self.value = Some(Quoted(value, 200).to_string());
        self
    }

    /// Adds the invalid value, which is JSON already.
    #[must_use]
    pub fn json(mut self, value: &str) -> Self {
        self.value = Some(Shortened(value, 200).to_string());
        self
    }

    /// Identifies the problem across an update by its place, value and cause. The element of a
    /// list may have moved, and the remedy may differ.
    pub fn identity(&self) -> (String, Option<&str>, &str) {
        let parts = self.subject.split('[');
        let place: Vec<&str> =
            parts.map(|part| part.trim_start_matches(|c: char| c.is_ascii_digit())).collect();
        (place.join("["), self.value.as_deref(), &self.flaw.why)
    }

    /// The problem as a warning with this prefix. A warning has little room: without enough of
    /// it, the value is left out, and then the cause.
    pub fn to_warning(&self, prefix: &str) -> Warning {
        let Problem { subject, flaw, .. } = self;
        let texts = [
            format!("{prefix}: {self}"),
            format!("{prefix}: {subject}: {flaw}"),
            format!("{prefix}: {subject} is invalid; {}", flaw.remedy),
        ];
        let [_, without_value, _] = &texts;
        let fitting = texts.iter().find(|text| text.len() <= Warning::LIMIT);
        Warning::new(fitting.unwrap_or(without_value))
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Problem { subject, value, flaw } = self;
        match value {
            Some(value) => write!(formatter, "{subject}: invalid value {value}: {flaw}"),
            None => write!(formatter, "{subject}: {flaw}"),
        }
    }
}

/// What is wrong with a value, and what to write instead; with its place it is a [`Problem`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    /// Empty if the remedy says it all.
    why: String,
    remedy: String,
}

impl Flaw {
    pub fn new(why: impl Into<String>, remedy: impl Into<String>) -> Self {
        Flaw { why: why.into(), remedy: remedy.into() }
    }

    pub fn at(self, subject: impl Into<String>) -> Problem {
        Problem::new(subject, self)
    }

    /// The flaw of a part of a value: `port "70000" must be ...`.
    #[must_use]
    pub fn of(self, part: &str) -> Self {
        match self.why.as_str() {
            "" => Flaw { remedy: format!("{part} {}", self.remedy), ..self },
            why => Flaw { why: format!("{part} {why}"), ..self },
        }
    }
}

/// A rule says both what is wrong and what to write: `must be a duration`.
impl From<&str> for Flaw {
    fn from(rule: &str) -> Self {
        Flaw::from(rule.to_owned())
    }
}

impl From<String> for Flaw {
    fn from(rule: String) -> Self {
        Flaw { why: String::new(), remedy: rule }
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.why.as_str() {
            "" => formatter.write_str(&self.remedy),
            why => write!(formatter, "{why}; {}", self.remedy),
        }
    }
}

/// The problems and warnings found while a pod is read. Problems reject the pod.
#[derive(Debug, Default)]
pub struct Findings {
    pub problems: Vec<Problem>,
    pub warnings: Vec<Warning>,
}

impl Findings {
    pub fn problem(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    pub fn warn(&mut self, message: impl AsRef<str>) {
        self.warnings.push(Warning::new(message.as_ref()));
    }
}

/// A message or a log line shows at most this many problems.
pub const PROBLEMS_SHOWN: usize = 50;

/// All problems under a heading, one per line.
pub fn list(heading: &str, problems: &[Problem]) -> String {
    let mut text = match problems.len() {
        1 => format!("{heading} (1 problem):"),
        count => format!("{heading} ({count} problems):"),
    };
    for problem in problems.iter().take(PROBLEMS_SHOWN) {
        text.extend(["\n- ", &problem.to_string()]);
    }
    if problems.len() > PROBLEMS_SHOWN {
        text.extend(["\n- and ", &(problems.len() - PROBLEMS_SHOWN).to_string(), " more"]);
    }
    text
}

/// The first problems on one line, for the log.
pub fn one_line(problems: &[Problem]) -> String {
    const SHOWN: usize = 10;
    let mut shown: Vec<String> = problems.iter().take(SHOWN).map(ToString::to_string).collect();
    if problems.len() > SHOWN {
        shown.push(format!("and {} more", problems.len() - SHOWN));
    }
    shown.join(" | ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_names_place_value_cause_and_remedy() {
        let problem = Problem::new("setting agent.httpPort", "must be a port");
        assert_eq!(
            problem.value("a\"b\u{202e}").to_string(),
            "setting agent.httpPort: invalid value \"a\\\"b\\u{202e}\": must be a port"
        );
        let flaw = Flaw::new("is not supported", "remove it");
        assert_eq!(flaw.clone().at("spec.x").to_string(), "spec.x: is not supported; remove it");
        assert_eq!(flaw.of("port \"a\"").to_string(), "port \"a\" is not supported; remove it");
        assert_eq!(Flaw::from("must be 1").of("port \"a\"").to_string(), "port \"a\" must be 1");
    }

    #[test]
    fn a_problem_that_is_too_long_for_a_warning_keeps_its_remedy() {
        let problem = Flaw::new("is wrong, ".repeat(10), "write another").at("spec.serviceAccountName");
        let whole = problem.to_warning("not injected");
        assert!(whole.as_str().starts_with("not injected: spec.serviceAccountName: is wrong, is wrong"));
        for problem in [problem.clone().value(&"x".repeat(150)), problem.value("x")] {
            let warning = problem.to_warning(&"not injected ".repeat(12));
            assert!(warning.as_str().ends_with("; write another"), "{warning:?}");
        }
    }

    #[test]
    fn a_problem_keeps_its_identity_when_it_moves_in_a_list() {
        let at = |subject: &str| Problem::new(subject, "must be y").value("x");
        let same = |left: &str, right: &str| at(left).identity() == at(right).identity();
        assert!(same("spec.volumes[1].name", "spec.volumes[12].name"));
        assert!(!same("spec.volumes[1].name", "spec.containers[1].name"));
        assert!(!same("spec.resources.requests[cpu]", "spec.resources.requests[memory]"));
    }

    #[test]
    fn a_long_list_says_how_much_it_leaves_out() {
        let problems = vec![Problem::new("a", "must be b"); 60];
        assert!(list("bad", &problems).ends_with("\n- and 10 more"));
        assert!(one_line(&problems).ends_with(" | and 50 more"));
    }
}
