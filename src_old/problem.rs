//! What is said to people: problems with their remedy, and warnings.

use std::fmt;

/// Something in a pod or in the settings that cannot be: where it stands, what
/// stands there, why that cannot be, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    subject: String,
    value: Option<String>,
    why: String,
    remedy: String,
}

impl Problem {
    /// `why` reads on after the subject and the value, `remedy` is an order:
    /// `Problem::new("setting agent.httpPort", "is not a port", "write a number")`.
    pub fn new(subject: impl Into<String>, why: impl Into<String>, remedy: impl Into<String>) -> Self {
        Problem { subject: subject.into(), value: None, why: why.into(), remedy: remedy.into() }
    }

    /// What makes two problems the same one: place, value and cause. An element may stand
    /// elsewhere in its list, and the remedy may differ.
    pub fn mistake(&self) -> impl Ord + '_ {
        let parts = self.subject.split('[');
        let place: Vec<&str> = parts.map(|part| part.trim_start_matches(DIGITS)).collect();
        (place, &self.value, &self.why)
    }

    /// The offending value, quoted and escaped when it is shown.
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

    /// The problem as a warning that begins so. Where there is no room for all of
    /// it, what to write instead is the part that stays.
    pub fn warning(&self, beginning: &str) -> Warning {
        let Problem { subject, why, remedy, .. } = self;
        let shorter = [
            format!("{beginning}: {self}"),
            format!("{beginning}: {subject}: {why}; {remedy}"),
            format!("{beginning}: {subject}; {remedy}"),
        ];
        let fits = shorter.iter().find(|text| text.len() <= Warning::LIMIT);
        Warning::new(fits.unwrap_or(&format!("{beginning}: {subject}: {why}")))
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

const DIGITS: [char; 10] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9'];

/// So many problems are shown; a pod with more has been made by a machine.
pub const PROBLEMS_SHOWN: usize = 50;

/// All problems under one heading, a line each.
pub fn list(heading: &str, problems: &[Problem]) -> String {
    let mut text = heading.to_owned();
    for problem in problems.iter().take(PROBLEMS_SHOWN) {
        text.push_str("\n- ");
        text.push_str(&problem.to_string());
    }
    if let Some(more) = problems.len().checked_sub(PROBLEMS_SHOWN).filter(|more| *more > 0) {
        text.push_str(&format_args!("\n- and {more} more").to_string());
    }
    text
}

/// So many warnings go out: the API server cuts them off at 4 KiB in all.
const WARNINGS_SHOWN: usize = 15;

/// The warnings that go out, the last of which says how many do not.
pub fn bounded(warnings: &[Warning]) -> Vec<Warning> {
    let mut shown: Vec<Warning> = warnings.iter().take(WARNINGS_SHOWN).cloned().collect();
    if let Some(more) = warnings.len().checked_sub(WARNINGS_SHOWN).filter(|more| *more > 0) {
        shown.push(Warning::new(&format!("and {more} more warnings of this kind; mend these first")));
    }
    shown
}

/// A user's text in quotes, at most so many characters of it: nothing that would
/// move a terminal's cursor, turn the direction of writing or end the line comes
/// out as itself.
#[derive(Debug)]
pub struct Quoted<'a>(pub &'a str, pub usize);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "\"{}\"", Escaped(self.0, self.1))?;
        cut_note(formatter, self.0, self.1)
    }
}

/// As [`Quoted`], for text that is JSON already.
#[derive(Debug)]
pub struct Shortened<'a>(pub &'a str, pub usize);

impl fmt::Display for Shortened<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        escape(formatter, self.0, self.1, false)?;
        cut_note(formatter, self.0, self.1)
    }
}

fn cut_note(formatter: &mut fmt::Formatter<'_>, text: &str, limit: usize) -> fmt::Result {
    if text.chars().nth(limit).is_some() {
        write!(formatter, "... ({} bytes)", text.len())?;
    }
    Ok(())
}

/// As [`Quoted`], without the quotes around it.
#[derive(Debug)]
pub struct Escaped<'a>(pub &'a str, pub usize);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        escape(formatter, self.0, self.1, true)
    }
}

/// Writes at most `limit` characters; quotes, line ends and tabs have escapes of
/// their own where the text is `quoted`.
fn escape(formatter: &mut fmt::Formatter<'_>, text: &str, limit: usize, quoted: bool) -> fmt::Result {
    let mut rest = match text.char_indices().nth(limit) {
        Some((end, _)) => text.get(..end).unwrap_or_default(),
        None => text,
    };
    let stands = |character: char| harmless(character) && !(quoted && matches!(character, '"' | '\\'));
    while let Some(at) = rest.find(|character| !stands(character)) {
        let (before, after) = rest.split_at_checked(at).unwrap_or_default();
        formatter.write_str(before)?;
        let mut characters = after.chars();
        match characters.next() {
            Some(mark @ ('"' | '\\')) => write!(formatter, "\\{mark}")?,
            Some('\n') if quoted => formatter.write_str("\\n")?,
            Some('\t') if quoted => formatter.write_str("\\t")?,
            Some(other) => write!(formatter, "{}", other.escape_unicode())?,
            None => (),
        }
        rest = characters.as_str();
    }
    formatter.write_str(rest)
}

/// Whether a text shows all that it is, but for line ends and tabs.
pub fn is_plain(text: &str) -> bool {
    text.chars().all(|character| harmless(character) || matches!(character, '\n' | '\t'))
}

/// Neither a control character nor one that changes how the text around it is
/// shown (bidirectional controls, zero-width characters, line separators).
pub fn harmless(character: char) -> bool {
    !character.is_control()
        && !matches!(
            character,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// A warning that `kubectl` prints. It travels in an HTTP header: one line, under
/// 256 bytes, no control character, or the API server drops it in silence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning(String);

impl Warning {
    /// In bytes.
    pub const LIMIT: usize = 255;

    /// `message` says what to do about it; a user's text in it goes through
    /// [`Quoted`] with a limit that leaves room for the rest.
    pub fn new(message: &str) -> Self {
        let mut text = String::with_capacity(message.len());
        for character in message.chars() {
            if character == '\n' {
                text.push_str("; ");
            } else if harmless(character) {
                text.push(character);
            } else {
                text.push_str(&character.escape_unicode().to_string());
            }
        }
        if text.len() > Self::LIMIT {
            let end = text.floor_char_boundary(Self::LIMIT.saturating_sub(3));
            text.truncate(end);
            text.push_str("...");
        }
        Warning(text)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
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
    fn a_warning_is_one_short_line() {
        for text in ["a\nb\u{7}\u{202e}c", &"é\n".repeat(500), &"\u{1f600}".repeat(100)] {
            let warning = Warning::new(text);
            assert!(warning.as_str().len() < 256);
            assert!(!warning.as_str().chars().any(char::is_control));
        }
    }

    #[test]
    fn a_problem_that_is_too_long_for_a_warning_keeps_its_remedy() {
        let problem = Problem::new("spec.serviceAccountName", "is wrong, ".repeat(10), "write another");
        let whole = problem.warning("not injected");
        assert!(whole.as_str().starts_with("not injected: spec.serviceAccountName: is wrong, is wrong"));
        for problem in [problem.clone().value(&"x".repeat(150)), problem.value("x")] {
            let warning = problem.warning(&"not injected ".repeat(12));
            assert!(warning.as_str().ends_with("; write another"), "{warning:?}");
        }
    }

    #[test]
    fn a_mistake_is_the_same_wherever_in_its_list_it_stands() {
        let at = |subject: &str| Problem::new(subject, "is wrong", "write another").value("x");
        let same = |left: &str, right: &str| {
            let (left, right) = (at(left), at(right));
            left.mistake() == right.mistake()
        };
        assert!(same("spec.volumes[1].name", "spec.volumes[12].name"));
        assert!(!same("spec.volumes[1].name", "spec.containers[1].name"));
        assert!(!same("spec.resources.requests[cpu]", "spec.resources.requests[memory]"));
    }

    #[test]
    fn a_cut_value_says_so() {
        assert_eq!(Quoted("abcdef", 3).to_string(), "\"abc\"... (6 bytes)");
    }
}
