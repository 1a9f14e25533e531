//! Warnings, which kubectl prints.

use crate::text::is_harmless;

/// A warning is sent in an HTTP header: one line, under 256 bytes, no control characters. The
/// API server drops any other silently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning(String);

impl Warning {
    /// In bytes.
    pub const LIMIT: usize = 255;

    /// Text from users in `message` is [`Quoted`](crate::text::Quoted), with a limit that leaves
    /// room for what to do.
    pub fn new(message: &str) -> Self {
        let mut text = String::with_capacity(message.len());
        for character in message.chars() {
            if character == '\n' {
                text.push_str("; ");
            } else if is_harmless(character) {
                text.push(character);
            } else {
                text.extend(character.escape_unicode());
            }
        }
        if text.len() > Self::LIMIT {
            text.truncate(text.floor_char_boundary(Self::LIMIT - 3));
            text.push_str("...");
        }
        Warning(text)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The API server cuts off the warnings of a response at 4 KiB.
const SHOWN: usize = 15;

/// The texts of the response; the last one counts those that are left out.
pub fn texts(warnings: &[Warning]) -> Vec<String> {
    let mut shown: Vec<String> = warnings.iter().take(SHOWN).map(|warning| warning.0.clone()).collect();
    if warnings.len() > SHOWN {
        let more = warnings.len() - SHOWN;
        shown.push(format!("and {more} more warnings; fix these first"));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_is_one_short_line() {
        for text in ["a\nb\u{7}\u{202e}c", &"é\n".repeat(500), &"\u{1f600}".repeat(100)] {
            let warning = Warning::new(text);
            assert!(warning.as_str().len() < 256);
            assert!(!warning.as_str().chars().any(char::is_control));
        }
    }

    #[test]
    fn a_long_list_ends_with_the_number_of_the_others() {
        let many = vec![Warning::new("x"); 20];
        assert_eq!(texts(&many).last().unwrap(), "and 5 more warnings; fix these first");
        assert_eq!(texts(&many[..15]).len(), 15);
    }
}
