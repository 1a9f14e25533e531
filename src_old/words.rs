//! Splits a text into words as a POSIX shell splits a command line, and does no
//! more than that: nothing is expanded.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnbalancedQuotes;

pub fn split(text: &str) -> Result<Vec<String>, UnbalancedQuotes> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            ' ' | '\t' | '\n' | '\r' => words.extend(word.take()),
            '#' if word.is_none() => {
                // A comment, to the end of its line.
                characters.by_ref().find(|c| *c == '\n');
            }
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match characters.next().ok_or(UnbalancedQuotes)? {
                        '\'' => break,
                        inner => word.push(inner),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match characters.next().ok_or(UnbalancedQuotes)? {
                        '"' => break,
                        '\\' => match characters.next().ok_or(UnbalancedQuotes)? {
                            escaped @ ('"' | '\\' | '$' | '`') => word.push(escaped),
                            '\n' => (),
                            other => word.extend(['\\', other]),
                        },
                        inner => word.push(inner),
                    }
                }
            }
            '\\' => match characters.next().ok_or(UnbalancedQuotes)? {
                '\n' => (),
                escaped => word.get_or_insert_default().push(escaped),
            },
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_as_a_shell_makes_them() {
        let cases: &[(&str, &[&str])] = &[
            ("--log-level debug  --disable-hot-restart", &["--log-level", "debug", "--disable-hot-restart"]),
            (r#"a "b c" 'd "e'"#, &["a", "b c", "d \"e"]),
            (r#"a\ b "\$x \n" ''"#, &["a b", "$x \\n", ""]),
            ("a # b\nc#d", &["a", "c#d"]),
            ("$(x) `y` $z", &["$(x)", "`y`", "$z"]),
            ("   ", &[]),
        ];
        for (text, words) in cases {
            assert_eq!(split(text).unwrap(), *words, "{text:?}");
        }
    }

    #[test]
    fn quotes_that_are_not_closed() {
        for text in ["\"a", "'a", "a\\", "\"a\\"] {
            assert_eq!(split(text), Err(UnbalancedQuotes), "{text:?}");
        }
    }
}
