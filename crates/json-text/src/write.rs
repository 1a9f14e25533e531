//! Writes JSON straight to the end of a text.

use std::fmt::Write as _;

use super::plain;

/// An object that is being written: its members, in the order of the calls.
#[derive(Debug)]
pub struct Object<'o> {
    out: &'o mut String,
    empty: bool,
    form: Form,
}

/// A list that is being written.
#[derive(Debug)]
pub struct List<'o> {
    out: &'o mut String,
    empty: bool,
    form: Form,
}

/// As itself, or as the inside of a string that holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Plain,
    InString,
}

impl Form {
    /// Single characters are stored at once; every other text is a copy that the
    /// runtime makes, whatever its length.
    fn quote(self, out: &mut String) {
        if self == Form::InString {
            out.push('\\');
        }
        out.push('"');
    }
}

/// Writes an object to the end of `out`.
pub fn object(out: &mut String, write: impl FnOnce(&mut Object<'_>)) {
    object_as(Form::Plain, out, write);
}

fn object_as(form: Form, out: &mut String, write: impl FnOnce(&mut Object<'_>)) {
    out.push('{');
    write(&mut Object { out, empty: true, form });
    out.push('}');
}

/// What stands for a text that is only filled in when all is written: a character
/// that JSON has nowhere.
pub const HOLE: char = '\u{1}';

/// JSON that stands in a JSON string: escaped already, without the quotes, and with
/// a [`HOLE`] wherever the same text goes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InString(String);

impl InString {
    pub fn object(write: impl FnOnce(&mut Object<'_>)) -> Self {
        let mut out = String::with_capacity(2048);
        object_as(Form::InString, &mut out, write);
        InString(out)
    }

    /// How many bytes it has as it is escaped, with holes of one.
    pub fn length(&self) -> usize {
        self.0.len()
    }

    /// Whether what the string stands for, with its holes filled, is longer than so
    /// many bytes, and how long.
    pub fn over(&self, limit: usize, filling: &str) -> Option<usize> {
        // Escaped, it is longer; what fills the holes may be half of it.
        Some(&self.0).filter(|escaped| escaped.len().saturating_mul(2) > limit)?;
        let whole = self.0.replace(HOLE, filling);
        super::document::unescaped(&whole).map(|text| text.len()).filter(|length| *length > limit)
    }
}

fn list(form: Form, out: &mut String, write: impl FnOnce(&mut List<'_>)) {
    out.push('[');
    write(&mut List { out, empty: true, form });
    out.push(']');
}

impl<'o> List<'o> {
    /// Writes elements to the end of `out`, without the brackets.
    pub fn elements(out: &'o mut String) -> Self {
        List { out, empty: true, form: Form::Plain }
    }
}

/// A text as a JSON string.
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len().saturating_add(2));
    quote(Form::Plain, &mut out, text);
    out
}

impl Object<'_> {
    /// Keys are the policy's own, without anything to escape.
    fn key(&mut self, key: &'static str) -> &mut String {
        self.comma();
        self.form.quote(self.out);
        self.out.push_str(key);
        self.form.quote(self.out);
        self.out.push(':');
        self.out
    }

    fn comma(&mut self) {
        if !std::mem::take(&mut self.empty) {
            self.out.push(',');
        }
    }

    pub fn string(&mut self, key: &'static str, text: &str) {
        let form = self.form;
        quote(form, self.key(key), text);
    }

    /// A text of the policy's own, without anything to escape.
    pub fn constant(&mut self, key: &'static str, text: &'static str) {
        let form = self.form;
        constant(form, self.key(key), text);
    }

    pub fn in_string(&mut self, key: &'static str, json: &InString, filling: &str) {
        let out = self.key(key);
        out.push('"');
        for (at, part) in json.0.split(HOLE).enumerate() {
            if at > 0 {
                out.push_str(filling);
            }
            out.push_str(part);
        }
        out.push('"');
    }

    /// A string with a hole in it.
    pub fn with_hole(&mut self, key: &'static str, before: &[&str], after: &[&str]) {
        self.in_quotes(key, |form, out| {
            all_inside(form, out, before);
            out.push(HOLE);
            all_inside(form, out, after);
        });
    }

    /// A string of several parts.
    pub fn joined(&mut self, key: &'static str, parts: &[&str]) {
        self.in_quotes(key, |form, out| all_inside(form, out, parts));
    }

    /// A number as a string.
    pub fn digits(&mut self, key: &'static str, number: u64) {
        self.unit(key, number, "");
    }

    /// A duration of so many seconds, as Go writes it.
    pub fn seconds(&mut self, key: &'static str, seconds: u64) {
        self.unit(key, seconds, "s");
    }

    /// A duration of so many milliseconds, in seconds where they are whole.
    pub fn millis(&mut self, key: &'static str, millis: u64) {
        if millis.is_multiple_of(1000) {
            self.unit(key, millis / 1000, "s");
        } else {
            self.unit(key, millis, "ms");
        }
    }

    fn unit(&mut self, key: &'static str, number: u64, unit: &str) {
        self.in_quotes(key, |_, out| {
            out.push_str(itoa::Buffer::new().format(number));
            out.push_str(unit);
        });
    }

    fn in_quotes(&mut self, key: &'static str, write: impl FnOnce(Form, &mut String)) {
        let form = self.form;
        let out = self.key(key);
        form.quote(out);
        write(form, out);
        form.quote(out);
    }

    /// A member whose key may be any text.
    pub fn entry(&mut self, key: &str, text: &str) {
        self.any_key(key);
        quote(self.form, self.out, text);
    }

    /// A list whose key may be any text.
    pub fn list_entry(&mut self, key: &str, write: impl FnOnce(&mut List<'_>)) {
        self.any_key(key);
        list(self.form, self.out, write);
    }

    fn any_key(&mut self, key: &str) {
        self.comma();
        quote(self.form, self.out, key);
        self.out.push(':');
    }

    /// `json` is JSON already.
    pub fn encoded(&mut self, key: &'static str, json: &'static str) {
        self.key(key).push_str(json);
    }

    /// A value that writes itself, as one that is JSON.
    pub fn written(&mut self, key: &'static str, write: impl FnOnce(&mut String)) {
        write(self.key(key));
    }

    pub fn number(&mut self, key: &'static str, number: u64) {
        self.key(key).push_str(itoa::Buffer::new().format(number));
    }

    pub fn bool(&mut self, key: &'static str, value: bool) {
        self.key(key).push_str(if value { "true" } else { "false" });
    }

    pub fn object(&mut self, key: &'static str, write: impl FnOnce(&mut Object<'_>)) {
        let form = self.form;
        object_as(form, self.key(key), write);
    }

    pub fn list(&mut self, key: &'static str, write: impl FnOnce(&mut List<'_>)) {
        let form = self.form;
        list(form, self.key(key), write);
    }
}

impl List<'_> {
    fn next(&mut self) -> &mut String {
        if !std::mem::take(&mut self.empty) {
            self.out.push(',');
        }
        self.out
    }

    pub fn string(&mut self, text: &str) {
        let form = self.form;
        quote(form, self.next(), text);
    }

    /// A text of the policy's own, without anything to escape.
    pub fn constant(&mut self, text: &'static str) {
        let form = self.form;
        constant(form, self.next(), text);
    }

    /// Elements that are JSON already, with the commas between them.
    pub fn encoded(&mut self, json: &'static str) {
        self.next().push_str(json);
    }

    /// A string of several parts, each escaped already.
    pub fn escaped(&mut self, parts: &[&str]) {
        let out = self.next();
        out.push('"');
        for part in parts {
            out.push_str(part);
        }
        out.push('"');
    }

    pub fn object(&mut self, write: impl FnOnce(&mut Object<'_>)) {
        let form = self.form;
        object_as(form, self.next(), write);
    }
}

fn constant(form: Form, out: &mut String, text: &'static str) {
    debug_assert_eq!(plain(text.as_bytes()), text.len(), "{text} has something to escape");
    form.quote(out);
    out.push_str(text);
    form.quote(out);
}

fn quote(form: Form, out: &mut String, text: &str) {
    form.quote(out);
    inside(form, out, text);
    form.quote(out);
}

fn all_inside(form: Form, out: &mut String, parts: &[&str]) {
    for part in parts {
        inside(form, out, part);
    }
}

/// What stands between the quotes.
fn inside(form: Form, out: &mut String, text: &str) {
    if plain(text.as_bytes()) == text.len() {
        out.push_str(text);
    } else if form == Form::Plain {
        escape(out, text);
    } else {
        let mut once = String::with_capacity(text.len().saturating_mul(2));
        escape(&mut once, text);
        escape(out, &once);
    }
}

fn escape(out: &mut String, text: &str) {
    let mut rest = text;
    loop {
        let length = plain(rest.as_bytes());
        if length == rest.len() {
            break;
        }
        let (before, after) = rest.split_at_checked(length).unwrap_or_default();
        out.push_str(before);
        let mut characters = after.chars();
        match characters.next() {
            Some('"') => out.push_str("\\\""),
            Some('\\') => out.push_str("\\\\"),
            Some('\n') => out.push_str("\\n"),
            Some('\r') => out.push_str("\\r"),
            Some('\t') => out.push_str("\\t"),
            control => {
                // Writing to a text cannot fail.
                let _ = write!(out, "\\u{:04x}", control.map_or(0, u32::from));
            }
        }
        rest = characters.as_str();
    }
    out.push_str(rest);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_written_is_what_was_asked_for() {
        let mut out = String::new();
        object(&mut out, |o| {
            o.entry("a\"", "b\n");
            o.encoded("e", "[null]");
            o.number("n", 7);
            o.bool("t", true);
            o.list("l", |l| {
                l.string("x");
                l.escaped(&["a\\n", "b"]);
                l.object(|_| ());
            });
            o.object("o", |o| o.bool("f", false));
            o.list("empty", |_| ());
        });
        let text =
            r#"{"a\"":"b\n","e":[null],"n":7,"t":true,"l":["x","a\nb",{}],"o":{"f":false},"empty":[]}"#;
        assert_eq!(out, text);
    }

    #[test]
    fn durations_as_go_reads_them() {
        let mut out = String::new();
        object(&mut out, |o| {
            o.millis("a", 30_000);
            o.millis("b", 1500);
            o.seconds("c", 2);
            o.digits("d", 8500);
            o.joined("e", &["x\"", "y"]);
        });
        assert_eq!(out, r#"{"a":"30s","b":"1500ms","c":"2s","d":"8500","e":"x\"y"}"#);
    }

    proptest! {
        #[test]
        fn every_text_comes_back(text in any::<String>()) {
            prop_assert_eq!(serde_json::from_str::<String>(&quoted(&text)).unwrap(), text);
        }

        #[test]
        fn also_from_json_in_a_string(key in any::<String>(), text in any::<String>()) {
            let json = InString::object(|o| {
                o.entry(&key, &text);
                o.number("1", 7);
                o.with_hole("a", &["tcp://"], &[":", &text]);
                o.list("l", |l| l.string(&text));
            });
            let mut out = String::new();
            object(&mut out, |o| o.in_string("json", &json, "address"));
            let outer: serde_json::Value = serde_json::from_str(&out).unwrap();
            let inner = outer["json"].as_str().unwrap();
            prop_assert_eq!(json.over(inner.len() - 1, "address"), Some(inner.len()));
            prop_assert_eq!(json.over(inner.len(), "address"), None);
            let inner: serde_json::Value = serde_json::from_str(inner).unwrap();
            prop_assert_eq!(&inner["l"][0], &text);
            prop_assert_eq!(&inner["a"], &format!("tcp://address:{text}"));
            if !["1", "l", "a"].contains(&key.as_str()) {
                prop_assert_eq!(&inner[&key], &text);
            }
        }

        #[test]
        fn so_do_control_characters(text in "[\u{0}-\u{30}\\\\\"]{0,20}") {
            prop_assert_eq!(serde_json::from_str::<String>(&quoted(&text)).unwrap(), text);
        }
    }
}
