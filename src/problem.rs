//! What the policy finds wrong with a pod or with the settings.

use std::fmt;

use crate::text::{Quoted, Shortened};
use crate::warning::Warning;

/// A mistake in a pod or in the settings: where it is, the value, why it cannot be used,
/// and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    subject: String,
    value: Option<String>,
    why: String,
    remedy: String,
}

impl Problem {
    /// `why` continues the sentence after the subject and the value, `remedy` is an
    /// instruction: `Problem::new("setting agent.httpPort", "is not a port", "write a number")`.
    pub fn new(subject: impl Into<String>, why: impl Into<String>, remedy: impl Into<String>) -> Self {
        Problem { subject: subject.into(), value: None, why: why.into(), remedy: remedy.into() }
    }

    /// The offending value, shown quoted and escaped.
    #[must_use]
    pub fn value(mut self, value: &str) -> Self {
        self.value = Some(Quoted(value, 200).to_string());
        self
    }

    /// The offending value as JSON, shown as it stands.
    #[must_use]
    pub fn json(mut self, value: &str) -> Self {
        self.value = Some(Shortened(value, 200).to_string());
        self
    }

    /// What tells a problem from others across an update: place, value and cause. A list
    /// element may have moved within its list, and the remedy may differ.
    pub fn identity(&self) -> (String, Option<&str>, &str) {
        let parts = self.subject.split('[');
        let place: Vec<&str> =
            parts.map(|part| part.trim_start_matches(|c: char| c.is_ascii_digit())).collect();
        (place.join("["), self.value.as_deref(), &self.why)
    }

    /// The problem as a warning with this beginning. If there is no room for all of it,
    /// the remedy stays.
    pub fn to_warning(&self, beginning: &str) -> Warning {
        let whole = format!("{beginning}: {self}");
        if whole.len() <= Warning::LIMIT {
            return Warning::new(&whole);
        }
        let Problem { subject, why, remedy, .. } = self;
        let candidates =
            [format!("{beginning}: {subject}: {why}; {remedy}"), format!("{beginning}: {subject}; {remedy}")];
        let fitting = candidates.iter().find(|text| text.len() <= Warning::LIMIT);
        Warning::new(fitting.unwrap_or(&format!("{beginning}: {subject}: {why}")))
    }
}

/// What is wrong with a value and what to write instead; with its place it is a [`Problem`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    pub why: String,
    pub remedy: String,
}

impl Flaw {
    pub fn new(why: impl Into<String>, remedy: impl Into<String>) -> Self {
        Flaw { why: why.into(), remedy: remedy.into() }
    }

    pub fn at(self, subject: impl Into<String>) -> Problem {
        Problem::new(subject, self.why, self.remedy)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.subject)?;
        match &self.value {
            Some(value) => write!(formatter, ": {value} {}", self.why)?,
            None => write!(formatter, ": {}", self.why)?,
        }
        write!(formatter, "; {}", self.remedy)
    }
}

/// Everything found while a pod is read: problems reject it, warnings go back with it.
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
pub fn list(what: &str, problems: &[Problem]) -> String {
    let mut text = match problems.len() {
        1 => format!("{what}, there is 1 problem:"),
        count => format!("{what}, there are {count} problems:"),
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
    fn a_problem_says_where_what_why_and_what_instead() {
        let problem = Problem::new("setting agent.httpPort", "is not a port", "write 1 to 65535");
        assert_eq!(
            problem.value("a\"b\u{202e}").to_string(),
            "setting agent.httpPort: \"a\\\"b\\u{202e}\" is not a port; write 1 to 65535"
        );
    }

    #[test]
    fn a_problem_that_is_too_long_for_a_warning_keeps_its_remedy() {
        let problem = Problem::new("spec.serviceAccountName", "is wrong, ".repeat(10), "write another");
        let whole = problem.to_warning("not injected");
        assert!(whole.as_str().starts_with("not injected: spec.serviceAccountName: is wrong, is wrong"));
        for problem in [problem.clone().value(&"x".repeat(150)), problem.value("x")] {
            let warning = problem.to_warning(&"not injected ".repeat(12));
            assert!(warning.as_str().ends_with("; write another"), "{warning:?}");
        }
    }

    #[test]
    fn a_problem_is_the_same_wherever_in_its_list_it_stands() {
        let at = |subject: &str| Problem::new(subject, "is wrong", "write another").value("x");
        let same = |left: &str, right: &str| at(left).identity() == at(right).identity();
        assert!(same("spec.volumes[1].name", "spec.volumes[12].name"));
        assert!(!same("spec.volumes[1].name", "spec.containers[1].name"));
        assert!(!same("spec.resources.requests[cpu]", "spec.resources.requests[memory]"));
    }

    #[test]
    fn a_long_list_says_how_much_it_leaves_out() {
        let problems = vec![Problem::new("a", "is wrong", "write b"); 60];
        assert!(list("bad", &problems).ends_with("\n- and 10 more"));
        assert!(one_line(&problems).ends_with(" | and 50 more"));
    }
}
