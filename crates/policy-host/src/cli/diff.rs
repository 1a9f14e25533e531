//! The changes of a policy as a YAML diff.

use std::{
    collections::HashSet,
    io::{self, Write},
};

use anstyle::Style;
use policy_host::documents;
use serde_json::Value;
use similar::{ChangeTag, TextDiff};

use super::style::{self, Screen, paint};

/// JSON in a longer string is formatted.
const INLINE_JSON: usize = 60;
/// A text with more lines is shortened.
const WHOLE_TEXT: usize = 6;
/// The lines that remain of a shortened text.
const BEGINNING: usize = 2;

/// How to show long texts that the policy added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LongTexts {
    /// The first lines, and the number of omitted ones.
    Beginning,
    Whole,
}

/// Writes the difference; nothing if there is none.
pub fn write(
    out: &mut impl Write,
    screen: &Screen,
    long_texts: LongTexts,
    title: &str,
    before: &Value,
    after: &Value,
) -> io::Result<()> {
    let mut after = after.clone();
    if long_texts == LongTexts::Beginning {
        // Texts that the object already had are not shortened: that could hide a change.
        let known = texts(before);
        shorten(&mut after, &known);
    }
    let (before, after) = (yaml(before), yaml(&after));
    let diff = TextDiff::from_lines(&before, &after);
    if before == after {
        return Ok(());
    }
    writeln!(out, "{}", style::strong(&format!("--- {title}")))?;
    writeln!(out, "{}", style::strong(&format!("+++ {title}, as the policy returns it")))?;
    for hunk in diff.unified_diff().iter_hunks() {
        writeln!(out, "{}", paint(style::PLACE, hunk.header()))?;
        for change in hunk.iter_changes() {
            let color = match change.tag() {
                ChangeTag::Delete => style::BAD,
                ChangeTag::Insert => style::GOOD,
                ChangeTag::Equal => Style::new(),
            };
            let line = format!("{}{}", change.tag(), change.value().trim_end_matches('\n'));
            writeln!(out, "{}", paint(color, screen.cut(&line)))?;
        }
    }
    Ok(())
}

/// The object as YAML, with formatted JSON in its values.
fn yaml(object: &Value) -> String {
    let mut object = object.clone();
    lay_out(&mut object);
    documents::to_yaml(&object)
}

fn lay_out(value: &mut Value) {
    match value {
        Value::String(text) if text.len() > INLINE_JSON && text.starts_with(['{', '[']) => {
            if let Ok(json) = serde_json::from_str::<Value>(text)
                && let Ok(pretty) = serde_json::to_string_pretty(&json)
            {
                *text = pretty;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(lay_out),
        Value::Object(fields) => fields.values_mut().for_each(lay_out),
        _ => {}
    }
}

/// All texts of an object.
fn texts(value: &Value) -> HashSet<&str> {
    let mut found = HashSet::new();
    let mut rest = vec![value];
    while let Some(value) = rest.pop() {
        match value {
            Value::String(text) => _ = found.insert(text.as_str()),
            Value::Array(items) => rest.extend(items),
            Value::Object(fields) => rest.extend(fields.values()),
            _ => {}
        }
    }
    found
}

/// Shortens every long text that is not in `known`.
fn shorten(value: &mut Value, known: &HashSet<&str>) {
    match value {
        Value::String(text) if !known.contains(text.as_str()) => {
            let lines = text.lines().count();
            if lines > WHOLE_TEXT {
                let kept: Vec<_> = text.lines().take(BEGINNING).collect();
                let what = if text.starts_with("-----BEGIN") { "" } else { " of script" };
                *text = format!("{}\n… {} more lines{what}", kept.join("\n"), lines - kept.len());
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| shorten(item, known)),
        Value::Object(fields) => fields.values_mut().for_each(|field| shorten(field, known)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn diff(before: &Value, after: &Value) -> String {
        diff_with(LongTexts::Beginning, before, after)
    }

    fn diff_with(long_texts: LongTexts, before: &Value, after: &Value) -> String {
        let screen = Screen { verbose: false, width: None };
        let mut out = anstream::StripStream::new(Vec::new());
        write(&mut out, &screen, long_texts, "Pod a", before, after).unwrap();
        String::from_utf8(out.into_inner()).unwrap()
    }

    #[test]
    fn json_in_a_value_is_laid_out() {
        let text = json!({ "service": { "name": "x".repeat(60) } }).to_string();
        let shown = diff(&json!({ "value": "" }), &json!({ "value": text }));
        assert!(shown.contains("\n+value: |-\n+  {\n+    \"service\": {\n"), "{shown}");
    }

    #[test]
    fn a_long_text_is_shown_by_its_beginning() {
        let script = "set -eu\none\ntwo\nthree\nfour\nfive\nsix\n";
        let (before, after) = (json!({ "a": 1 }), json!({ "a": 1, "command": ["sh", "-c", script] }));
        let shown = diff(&before, &after);
        assert!(shown.contains("+  set -eu\n+  one\n+  … 5 more lines of script\n"), "{shown}");
        let shown = diff_with(LongTexts::Whole, &before, &after);
        assert!(shown.contains("+  six\n"), "{shown}");
    }

    #[test]
    fn a_long_text_of_the_objects_own_is_not_touched() {
        let script = "a\n".repeat(9);
        assert_eq!(diff(&json!({ "x": script }), &json!({ "x": script })), "");
    }

    #[test]
    fn no_change_is_no_output() {
        assert_eq!(diff(&json!({ "a": 1 }), &json!({ "a": 1 })), "");
    }
}
