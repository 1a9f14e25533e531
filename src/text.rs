//! Makes text from users safe for terminals, log lines and HTTP headers.

use std::fmt;

/// A text in quotes, cut after so many characters. Line ends, control characters and characters
/// that change the writing direction are escaped.
#[derive(Debug)]
pub struct Quoted<'a>(pub &'a str, pub usize);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "\"{}\"", Escaped(self.0, self.1))?;
        note_cut(formatter, self.0, self.1)
    }
}

/// Like [`Quoted`], for text that is already JSON.
#[derive(Debug)]
pub struct Shortened<'a>(pub &'a str, pub usize);

impl fmt::Display for Shortened<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars().take(self.1) {
            write_harmless(formatter, character)?;
        }
        note_cut(formatter, self.0, self.1)
    }
}

/// Like [`Quoted`], without quotes.
#[derive(Debug)]
pub struct Escaped<'a>(pub &'a str, pub usize);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars().take(self.1) {
            match character {
                '"' | '\\' => write!(formatter, "\\{character}")?,
                '\n' => formatter.write_str("\\n")?,
                '\t' => formatter.write_str("\\t")?,
                other => write_harmless(formatter, other)?,
            }
        }
        Ok(())
    }
}

/// A list of quoted texts, each cut after so many characters. A long list ends with the number of
/// texts that are left out.
pub fn quoted_list(texts: &[&str], longest: usize) -> String {
    const SHOWN: usize = 10;
    let mut shown: Vec<String> =
        texts.iter().take(SHOWN).map(|text| Quoted(text, longest).to_string()).collect();
    if texts.len() > SHOWN {
        shown.push(format!("and {} more", texts.len() - SHOWN));
    }
    shown.join(", ")
}

fn write_harmless(formatter: &mut fmt::Formatter<'_>, character: char) -> fmt::Result {
    if is_harmless(character) {
        fmt::Write::write_char(formatter, character)
    } else {
        write!(formatter, "{}", character.escape_unicode())
    }
}

fn note_cut(formatter: &mut fmt::Formatter<'_>, text: &str, limit: usize) -> fmt::Result {
    if text.chars().nth(limit).is_some() {
        write!(formatter, "... ({} bytes)", text.len())?;
    }
    Ok(())
}

/// Whether all characters of a text are visible, except for line ends and tabs.
pub fn is_plain(text: &str) -> bool {
    text.chars().all(|character| is_harmless(character) || matches!(character, '\n' | '\t'))
}

/// Whether it is neither a control character nor one that changes how the text around it is
/// displayed (bidirectional controls, zero-width characters, line separators).
pub fn is_harmless(character: char) -> bool {
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

/// Whether a name consists of letters, digits and, not at its ends, these marks.
pub fn is_word(text: &str, longest: usize, marks: &[u8]) -> bool {
    let ends = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    text.len() <= longest
        && ends(text.bytes().next())
        && ends(text.bytes().last())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || marks.contains(&byte))
}

pub const URL_PATH_RULE: &str = "must be a URL path that starts with '/', such as /metrics";

pub fn is_url_path(text: &str) -> bool {
    text.starts_with('/') && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_text_stays_on_one_line() {
        assert_eq!(Quoted("a\"b\\\n\t\u{202e}é", 20).to_string(), "\"a\\\"b\\\\\\n\\t\\u{202e}é\"");
        assert_eq!(Shortened("{\"a\":\"\u{7}\"}", 20).to_string(), "{\"a\":\"\\u{7}\"}");
    }

    #[test]
    fn a_long_list_says_how_much_it_leaves_out() {
        assert_eq!(quoted_list(&["a", "b"], 20), "\"a\", \"b\"");
        assert!(quoted_list(&["a"; 12], 20).ends_with("\"a\", and 2 more"));
    }

    #[test]
    fn a_cut_text_says_how_long_it_was() {
        assert_eq!(Quoted("abcdef", 3).to_string(), "\"abc\"... (6 bytes)");
    }
}
