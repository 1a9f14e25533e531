//! Writes JSON straight to the end of a text.

use super::{Text, plain};

/// An object that is being written: its members, in the order of the calls.
#[derive(Debug)]
pub struct Object<'o> {
    out: &'o mut Text,
    empty: bool,
    form: Form,
}

/// A list that is being written.
#[derive(Debug)]
pub struct List<'o> {
    out: &'o mut Text,
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
    fn quote(self, out: &mut Text) {
        match self {
            Form::Plain => out.ascii(b"\""),
            Form::InString => out.ascii(b"\\\""),
        }
    }
}

/// Writes an object to the end of `out`.
pub fn object(out: &mut Text, write: impl FnOnce(&mut Object<'_>)) {
    object_as(Form::Plain, out, write);
}

fn object_as(form: Form, out: &mut Text, write: impl FnOnce(&mut Object<'_>)) {
    out.ascii(b"{");
    write(&mut Object { out, empty: true, form });
    out.ascii(b"}");
}

fn list(form: Form, out: &mut Text, write: impl FnOnce(&mut List<'_>)) {
    out.ascii(b"[");
    write(&mut List { out, empty: true, form });
    out.ascii(b"]");
}

impl<'o> List<'o> {
    /// Writes elements to the end of `out`, without the brackets.
    pub fn elements(out: &'o mut Text) -> Self {
        List { out, empty: true, form: Form::Plain }
    }
}

/// A text as a JSON string.
pub fn quoted(text: &str) -> Text {
    let mut out = Text::with_capacity(text.len().saturating_add(2));
    quote(Form::Plain, &mut out, text);
    out
}

impl<'o> Object<'o> {
    /// Writes members to the end of `out`, without the braces.
    pub fn members(out: &'o mut Text) -> Self {
        Object { out, empty: true, form: Form::Plain }
    }

    /// Keys are the policy's own, without anything to escape.
    fn key(&mut self, key: &'static str) -> &mut Text {
        match (self.form, std::mem::take(&mut self.empty)) {
            (Form::Plain, true) => self.out.ascii(b"\""),
            (Form::Plain, false) => self.out.ascii(b",\""),
            (Form::InString, true) => self.out.ascii(b"\\\""),
            (Form::InString, false) => self.out.ascii(b",\\\""),
        }
        self.out.push(key);
        match self.form {
            Form::Plain => self.out.ascii(b"\":"),
            Form::InString => self.out.ascii(b"\\\":"),
        }
        self.out
    }

    fn comma(&mut self) {
        if !std::mem::take(&mut self.empty) {
            self.out.ascii(b",");
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

    /// A string that holds an object as JSON.
    pub fn object_in_string(&mut self, key: &'static str, write: impl FnOnce(&mut Object<'_>)) {
        debug_assert_eq!(self.form, Form::Plain);
        in_quotes(Form::Plain, self.key(key), |out| object_as(Form::InString, out, write));
    }

    /// A string of several parts, at the beginning of a line.
    pub fn on_new_line(&mut self, key: &'static str, parts: &[&str]) {
        let form = self.form;
        let out = self.key(key);
        match form {
            Form::Plain => out.ascii(b"\n"),
            Form::InString => out.ascii(b"\\n"),
        }
        joined(form, out, parts);
    }

    /// A string of several parts.
    pub fn joined(&mut self, key: &'static str, parts: &[&str]) {
        let form = self.form;
        joined(form, self.key(key), parts);
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

    fn unit(&mut self, key: &'static str, number: u64, unit: &'static str) {
        let form = self.form;
        in_quotes(form, self.key(key), |out| {
            out.push(itoa::Buffer::new().format(number));
            out.push(unit);
        });
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
        self.out.ascii(b":");
    }

    /// `json` is JSON already.
    pub fn encoded(&mut self, key: &'static str, json: &'static str) {
        self.key(key).push(json);
    }

    /// A member whose value `write` appends: one JSON value.
    pub fn written(&mut self, key: &'static str, write: impl FnOnce(&mut Text)) {
        write(self.key(key));
    }

    pub fn number(&mut self, key: &'static str, number: u64) {
        self.key(key).push(itoa::Buffer::new().format(number));
    }

    pub fn bool(&mut self, key: &'static str, value: bool) {
        self.key(key).push(if value { "true" } else { "false" });
    }

    pub fn object(&mut self, key: &'static str, write: impl FnOnce(&mut Object<'_>)) {
        let form = self.form;
        object_as(form, self.key(key), write);
    }

    /// An object whose members are written already.
    pub fn object_of(&mut self, key: &'static str, members: &Text) {
        self.object(key, |object| object.out.append(members));
    }

    pub fn list(&mut self, key: &'static str, write: impl FnOnce(&mut List<'_>)) {
        let form = self.form;
        list(form, self.key(key), write);
    }
}

impl List<'_> {
    fn next(&mut self) -> &mut Text {
        if !std::mem::take(&mut self.empty) {
            self.out.ascii(b",");
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
        self.next().push(json);
    }

    /// A string of several parts, each escaped already.
    pub fn escaped(&mut self, parts: &[&str]) {
        in_quotes(Form::Plain, self.next(), |out| parts.iter().for_each(|part| out.push(part)));
    }

    pub fn object(&mut self, write: impl FnOnce(&mut Object<'_>)) {
        let form = self.form;
        object_as(form, self.next(), write);
    }
}

fn constant(form: Form, out: &mut Text, text: &'static str) {
    debug_assert_eq!(plain(text.as_bytes()), text.len(), "{text} has something to escape");
    in_quotes(form, out, |out| out.push(text));
}

fn quote(form: Form, out: &mut Text, text: &str) {
    in_quotes(form, out, |out| inside(form, out, text));
}

fn joined(form: Form, out: &mut Text, parts: &[&str]) {
    in_quotes(form, out, |out| parts.iter().for_each(|part| inside(form, out, part)));
}

fn in_quotes(form: Form, out: &mut Text, write: impl FnOnce(&mut Text)) {
    form.quote(out);
    write(out);
    form.quote(out);
}

/// What stands between the quotes.
fn inside(form: Form, out: &mut Text, text: &str) {
    if plain(text.as_bytes()) == text.len() {
        out.push(text);
    } else if form == Form::Plain {
        escape(out, text);
    } else {
        let mut once = Text::with_capacity(text.len().saturating_mul(2));
        escape(&mut once, text);
        escape(out, once.as_str());
    }
}

fn escape(out: &mut Text, text: &str) {
    let mut rest = text;
    loop {
        let length = plain(rest.as_bytes());
        if length == rest.len() {
            break;
        }
        let (before, after) = rest.split_at_checked(length).unwrap_or_default();
        out.push(before);
        let mut characters = after.chars();
        match characters.next() {
            Some('"') => out.push("\\\""),
            Some('\\') => out.push("\\\\"),
            Some('\n') => out.push("\\n"),
            Some('\r') => out.push("\\r"),
            Some('\t') => out.push("\\t"),
            control => {
                let code = control.map_or(0, u32::from);
                out.push(&format!("\\u{code:04x}"));
            }
        }
        rest = characters.as_str();
    }
    out.push(rest);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_written_is_what_was_asked_for() {
        let mut out = Text::new();
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
        assert_eq!(out.as_str(), text);
    }

    #[test]
    fn durations_as_go_reads_them() {
        let mut out = Text::new();
        object(&mut out, |o| {
            o.millis("a", 30_000);
            o.millis("b", 1500);
            o.seconds("c", 2);
            o.digits("d", 8500);
            o.joined("e", &["x\"", "y"]);
        });
        assert_eq!(out.as_str(), r#"{"a":"30s","b":"1500ms","c":"2s","d":"8500","e":"x\"y"}"#);
    }

    proptest! {
        #[test]
        fn every_text_comes_back(text in any::<String>()) {
            prop_assert_eq!(serde_json::from_str::<String>(quoted(&text).as_str()).unwrap(), text);
        }

        #[test]
        fn also_from_json_in_a_string(key in any::<String>(), text in any::<String>()) {
            let write = |o: &mut Object<'_>| {
                o.entry(&key, &text);
                o.number("1", 7);
                o.on_new_line("a", &["tcp:", &text]);
                o.list("l", |l| l.string(&text));
            };
            let (mut plain, mut out) = (Text::new(), Text::new());
            object(&mut plain, write);
            object(&mut out, |o| o.object_in_string("json", write));
            let outer: serde_json::Value = serde_json::from_str(out.as_str()).unwrap();
            let inner = outer["json"].as_str().unwrap();
            prop_assert_eq!(inner, plain.as_str());
            // As it is: a line of it may begin so in no other way.
            let line = inner.lines().nth(1);
            prop_assert!(line.is_some_and(|line| line.starts_with("\"tcp:")), "{inner}");
            prop_assert_eq!(inner.lines().count(), 2);
            let inner: serde_json::Value = serde_json::from_str(inner).unwrap();
            prop_assert_eq!(&inner["l"][0], &text);
            prop_assert_eq!(&inner["a"], &format!("tcp:{text}"));
            if !["1", "l", "a"].contains(&key.as_str()) {
                prop_assert_eq!(&inner[&key], &text);
            }
        }

        #[test]
        fn so_do_control_characters(text in "[\u{0}-\u{30}\\\\\"]{0,20}") {
            prop_assert_eq!(serde_json::from_str::<String>(quoted(&text).as_str()).unwrap(), text);
        }
    }
}
