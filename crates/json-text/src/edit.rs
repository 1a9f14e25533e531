//! Changes to a value's text.

use std::borrow::Cow;

use super::{Text, Value};
use crate::order;

/// A value's text and what is to be changed in it.
// What writes itself cannot be shown.
#[expect(missing_debug_implementations)]
pub struct Edit<'d> {
    text: &'d str,
    /// Where the value begins in its document.
    base: usize,
    changes: Vec<Change<'d>>,
}

struct Change<'d> {
    start: usize,
    end: usize,
    frame: Frame,
    new: New<'d>,
}

/// What stands around what is new.
#[derive(Default)]
struct Frame {
    comma_before: bool,
    key: Option<&'static str>,
    brackets: Option<Brackets>,
    comma_after: bool,
}

/// What is put into the text.
// What writes itself cannot be shown.
#[expect(missing_debug_implementations)]
pub enum New<'d> {
    Text(Cow<'d, Text>),
    /// Writes itself to the end of the whole, without a copy in between.
    Written(Box<dyn FnOnce(&mut Text) + 'd>),
}

impl From<Text> for New<'_> {
    fn from(text: Text) -> Self {
        New::Text(Cow::Owned(text))
    }
}

impl<'d> From<&'d Text> for New<'d> {
    fn from(text: &'d Text) -> Self {
        New::Text(Cow::Borrowed(text))
    }
}

/// What stands around members or elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Brackets {
    Object,
    List,
}

impl Brackets {
    fn both(self) -> (&'static str, &'static str) {
        match self {
            Brackets::Object => ("{", "}"),
            Brackets::List => ("[", "]"),
        }
    }
}

/// Where members or elements are put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    First,
    Last,
}

impl<'d> Edit<'d> {
    pub fn new(value: Value<'d>) -> Self {
        Edit { text: value.text(), base: value.place().0, changes: Vec::with_capacity(8) }
    }

    /// Puts `new` in the place of `part`, which must be a part of the value.
    pub fn replace(&mut self, part: Value<'_>, new: Text) {
        self.change(part.place(), Frame::default(), new.into());
    }

    /// Adds members or elements, at least one, to the object or list that is
    /// `parent`'s member `key`, which may be `null` or not there yet.
    pub fn add(
        &mut self,
        parent: Value<'_>,
        key: &'static str,
        brackets: Brackets,
        new: impl Into<New<'d>>,
        place: Place,
    ) {
        let (new, brackets) = (new.into(), Some(brackets));
        match parent.members().and_then(|members| members.raw(key)) {
            Some(null) if null.is_null() => {
                self.change(null.place(), Frame { brackets, ..Frame::default() }, new);
            }
            Some(container) => self.insert(container, Frame::default(), new, place),
            None => {
                let frame = Frame { key: Some(key), brackets, ..Frame::default() };
                self.insert(parent, frame, new, Place::First);
            }
        }
    }

    /// Puts members or elements at an end of the object or list `container`.
    fn insert(&mut self, container: Value<'_>, mut frame: Frame, new: New<'d>, place: Place) {
        let (start, end) = container.place();
        let at = match place {
            Place::First => start.saturating_add(1),
            Place::Last => end.saturating_sub(1),
        };
        if !is_empty(container) {
            match place {
                Place::First => frame.comma_after = true,
                Place::Last => frame.comma_before = true,
            }
        } else if self.changes.iter().any(|change| change.end == at.saturating_sub(self.base)) {
            // It was empty; by now something goes there.
            frame.comma_before = true;
        }
        self.change((at, at), frame, new);
    }

    fn change(&mut self, (start, end): (usize, usize), frame: Frame, new: New<'d>) {
        let (start, end) = (start.saturating_sub(self.base), end.saturating_sub(self.base));
        self.changes.push(Change { start, end, frame, new });
    }

    /// How long the changed text will be, but for what writes itself.
    pub fn length(&self) -> usize {
        self.changes.iter().fold(self.text.len(), |length, change| {
            // A key, brackets and commas.
            const FRAME: usize = 24;
            let new = match &change.new {
                New::Text(text) => text.len(),
                New::Written(_) => 0,
            };
            length.saturating_add(new).saturating_add(FRAME)
        })
    }

    /// Writes the changed text to the end of `out`.
    pub fn write(self, out: &mut Text) {
        let mut changes: Vec<Option<Change<'d>>> = self.changes.into_iter().map(Some).collect();
        let place =
            |at: usize| changes.get(at).and_then(Option::as_ref).map(|change| (change.start, change.end));
        // Of several insertions at one place the first asked for comes first.
        let order = order(changes.len(), &|left, right| place(left).cmp(&place(right)));
        let mut done = 0;
        for change in order.into_iter().filter_map(|at| changes.get_mut(at)?.take()) {
            out.push(self.text.get(done..change.start).unwrap_or_default());
            done = change.end;
            change.write(out);
        }
        out.push(self.text.get(done..).unwrap_or_default());
    }
}

impl Change<'_> {
    fn write(self, out: &mut Text) {
        let Frame { comma_before, key, brackets, comma_after } = self.frame;
        let (open, close) = brackets.map(Brackets::both).unwrap_or_default();
        if comma_before {
            out.ascii(b",");
        }
        if let Some(key) = key {
            out.ascii(b"\"");
            out.push(key);
            out.ascii(b"\":");
        }
        out.push(open);
        match self.new {
            New::Text(text) => out.append(&text),
            New::Written(write) => write(out),
        }
        out.push(close);
        if comma_after {
            out.ascii(b",");
        }
    }
}

fn is_empty(container: Value<'_>) -> bool {
    let text = container.text();
    let inner = text.get(1..text.len().saturating_sub(1));
    inner.is_none_or(|inner| inner.bytes().all(|byte| byte.is_ascii_whitespace()))
}

#[cfg(test)]
mod tests {
    use super::super::{Document, Members};
    use super::*;

    fn text(new: &str) -> Text {
        let mut text = Text::new();
        text.push(new);
        text
    }

    fn edited(text: &str, change: impl for<'d> FnOnce(&mut Edit<'d>, Value<'d>, Members<'d>)) -> String {
        let document = Document::scan(text).unwrap();
        // The value in question stands somewhere in its document.
        let root = document.root().elements().unwrap().last().unwrap();
        let mut edit = Edit::new(root);
        change(&mut edit, root, root.members().unwrap());
        let (length, mut out) = (edit.length(), Text::new());
        edit.write(&mut out);
        assert!((out.len()..out.len() + 200).contains(&length), "{length} for {}", out.len());
        out.into_string()
    }

    #[test]
    fn untouched_text_comes_back_byte_for_byte() {
        let text = r#"{ "b" : 1e400, "a": "\u0041", "b": [ ] }"#;
        assert_eq!(edited(&format!("[0, {text}]"), |_, _, _| ()), text);
    }

    #[test]
    fn members_and_elements_go_where_they_belong() {
        let out = edited(r#"[{"o":{},"p":{"x":1},"l":[ ],"m":[1],"n":null}]"#, |edit, root, _| {
            for (key, brackets, new, place) in [
                ("o", Brackets::Object, "\"n\":0", Place::First),
                ("p", Brackets::Object, "\"n\":0", Place::First),
                ("l", Brackets::List, "7", Place::Last),
                ("m", Brackets::List, "7", Place::Last),
                ("m", Brackets::List, "0", Place::First),
                ("n", Brackets::List, "7", Place::Last),
                ("q", Brackets::List, "7", Place::Last),
            ] {
                edit.add(root, key, brackets, text(new), place);
            }
        });
        assert_eq!(out, r#"{"q":[7],"o":{"n":0},"p":{"n":0,"x":1},"l":[ 7],"m":[0,1,7],"n":[7]}"#);
    }

    #[test]
    fn of_several_changes_at_one_place_the_first_comes_first() {
        let out = edited(r#"[{"a":1,"b":2}]"#, |edit, root, members| {
            edit.add(root, "x", Brackets::List, text("0"), Place::First);
            edit.add(
                root,
                "y",
                Brackets::Object,
                New::Written(Box::new(|out| out.push("\"z\":0"))),
                Place::Last,
            );
            edit.replace(members.raw("b").unwrap(), text("3"));
        });
        assert_eq!(out, r#"{"x":[0],"y":{"z":0},"a":1,"b":3}"#);
        let out = edited("[0,{}]", |edit, root, _| {
            edit.add(root, "x", Brackets::List, text("0"), Place::First);
            edit.add(root, "y", Brackets::List, text("1"), Place::Last);
        });
        assert_eq!(out, r#"{"x":[0],"y":[1]}"#);
    }
}
