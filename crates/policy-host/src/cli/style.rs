//! Colors and widths. `anstream` removes the colors where the output does not support them.

use anstyle::{AnsiColor, Style};

const fn color(color: AnsiColor) -> Style {
    Style::new().fg_color(Some(anstyle::Color::Ansi(color)))
}

pub const GOOD: Style = color(AnsiColor::Green);
pub const BAD: Style = color(AnsiColor::Red);
pub const CARE: Style = color(AnsiColor::Yellow);
pub const PLACE: Style = color(AnsiColor::Cyan);
pub const FAINT: Style = Style::new().dimmed();
const STRONG: Style = Style::new().bold();

pub fn paint(style: Style, text: impl std::fmt::Display) -> String {
    format!("{style}{text}{style:#}")
}

pub fn bad(text: &str) -> String {
    paint(BAD.bold(), text)
}

pub fn strong(text: &str) -> String {
    paint(STRONG, text)
}

/// How to format the output.
#[derive(Clone, Debug)]
pub struct Screen {
    pub verbose: bool,
    /// The terminal's columns; `None` for no limit.
    pub width: Option<usize>,
}

impl Screen {
    pub fn detect(verbose: bool) -> Self {
        Self {
            verbose,
            width: terminal_size::terminal_size_of(std::io::stdout())
                .map(|(width, _)| usize::from(width.0).max(40)),
        }
    }

    /// The line, shortened to the width.
    pub fn cut(&self, line: &str) -> String {
        match self.width {
            Some(width) if textwrap::core::display_width(line) > width => {
                let mut kept = String::new();
                let mut used = 1;
                for character in line.chars() {
                    used += textwrap::core::display_width(character.encode_utf8(&mut [0; 4]));
                    if used > width {
                        break;
                    }
                    kept.push(character);
                }
                kept.push('…');
                kept
            }
            _ => line.to_owned(),
        }
    }

    /// Text wrapped to the width, less an indentation; its own line breaks stay.
    pub fn wrap(&self, text: &str, indent: usize) -> Vec<String> {
        let Some(width) = self.width else {
            return text.lines().map(ToOwned::to_owned).collect();
        };
        let width = width.saturating_sub(indent).max(20);
        text.lines()
            .flat_map(|line| {
                let own = line.len() - line.trim_start().len();
                let subsequent = " ".repeat(own + 2);
                let options = textwrap::Options::new(width).break_words(false).subsequent_indent(&subsequent);
                textwrap::wrap(line, options)
                    .into_iter()
                    .map(std::borrow::Cow::into_owned)
                    .collect::<Vec<_>>()
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_to_the_terminal_only() {
        let mut screen = Screen { verbose: false, width: Some(5) };
        assert_eq!(screen.cut("abcde"), "abcde");
        assert_eq!(screen.cut("abcdef"), "abcd…");
        screen.width = None;
        assert_eq!(screen.cut("abcdef"), "abcdef");
    }
}
