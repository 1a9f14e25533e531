//! JSON that is read in part and edited in place.
//!
//! A pod is never decoded as a whole. Its text is looked at member by member
//! ([`Members`]), and what the policy changes is put into the text at the place
//! where it belongs ([`Edit`]). Whatever is not touched therefore comes back byte
//! for byte: fields of a later Kubernetes version, big numbers, the order of
//! members, escapes.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// The members of a JSON object in their order, each value as it was written.
#[derive(Debug, Default)]
pub struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Members<'a> {
    /// The value of `key` as it was written, `null` included. Of a repeated key
    /// the last one counts, as it does for the API server.
    pub fn raw(&self, key: &str) -> Option<&'a RawValue> {
        let found = self.0.iter().rev().find(|(name, _)| name == key);
        found.map(|(_, value)| *value)
    }

    /// The value of `key`, unless it is `null`.
    pub fn get(&self, key: &str) -> Option<&'a RawValue> {
        self.raw(key).filter(|value| !is_null(value))
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.0.iter().map(|(key, value)| (key.as_ref(), *value))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::with_capacity(16);
                while let Some(Text(key)) = map.next_key()? {
                    members.push((key, map.next_value()?));
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

/// The elements of a JSON array, each as it was written.
#[derive(Debug, Default)]
pub struct Elements<'a>(pub Vec<&'a RawValue>);

impl<'de: 'a, 'a> Deserialize<'de> for Elements<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Array;

        impl<'de> Visitor<'de> for Array {
            type Value = Elements<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut elements = Vec::new();
                while let Some(element) = seq.next_element()? {
                    elements.push(element);
                }
                Ok(Elements(elements))
            }
        }

        deserializer.deserialize_seq(Array)
    }
}

/// A string, borrowed from the input unless it has escapes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Text<'a>(pub Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Str;

        impl<'de> Visitor<'de> for Str {
            type Value = Text<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(value)))
            }

            fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(value.to_owned())))
            }
        }

        deserializer.deserialize_str(Str)
    }
}

/// Reads a value that is expected at `path`; the error names the path.
pub fn read<'a, T: Deserialize<'a>>(value: &'a RawValue, path: &str) -> Result<T, Unreadable> {
    serde_json::from_str(value.get())
        .map_err(|error| Unreadable { path: path.to_owned(), why: without_position(&error) })
}

/// A part of the request that is not what Kubernetes would send there.
#[derive(Debug, PartialEq, Eq)]
pub struct Unreadable {
    pub path: String,
    pub why: String,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.path, self.why)
    }
}

/// `serde_json`'s own words without "at line 1 column 7": the text that such a
/// position belongs to is the policy server's, and nobody has it before them.
pub fn without_position(error: &serde_json::Error) -> String {
    let message = error.to_string();
    match message.rfind(" at line ") {
        Some(end) => message.get(..end).unwrap_or(&message).to_owned(),
        None => message,
    }
}

pub fn is_null(value: &RawValue) -> bool {
    value.get() == "null"
}

/// A text and what is to be changed in it.
#[derive(Debug)]
pub struct Edit<'a> {
    text: &'a str,
    changes: Vec<Change>,
}

#[derive(Debug)]
struct Change {
    start: usize,
    end: usize,
    new: String,
}

impl<'a> Edit<'a> {
    pub fn new(text: &'a RawValue) -> Self {
        Edit { text: text.get(), changes: Vec::new() }
    }

    /// Puts `new` in the place of `part`, which must be a part of the text.
    pub fn replace(&mut self, part: &RawValue, new: String) {
        if let Some((start, end)) = self.place(part) {
            self.changes.push(Change { start, end, new });
        }
    }

    /// Puts members or elements at the beginning of the object or array `part`.
    pub fn prepend(&mut self, part: &RawValue, new: String) {
        if new.is_empty() {
            return;
        }
        if let Some((start, _)) = self.place(part) {
            let new = if is_empty(part) { new } else { new + "," };
            self.insert(start.saturating_add(1), new);
        }
    }

    /// Puts members or elements at the end of the object or array `part`.
    pub fn append(&mut self, part: &RawValue, new: String) {
        if new.is_empty() {
            return;
        }
        if let Some((_, end)) = self.place(part) {
            let new = if is_empty(part) { new } else { format!(",{new}") };
            self.insert(end.saturating_sub(1), new);
        }
    }

    fn insert(&mut self, at: usize, new: String) {
        self.changes.push(Change { start: at, end: at, new });
    }

    /// Where `part` stands in the text. Every part was borrowed from it, so its
    /// address tells.
    fn place(&self, part: &RawValue) -> Option<(usize, usize)> {
        let part = part.get();
        let start = (part.as_ptr() as usize).checked_sub(self.text.as_ptr() as usize)?;
        let end = start.checked_add(part.len())?;
        debug_assert_eq!(self.text.get(start..end), Some(part));
        (end <= self.text.len()).then_some((start, end))
    }

    /// Writes the changed text to the end of `out`.
    pub fn write(mut self, out: &mut String) {
        // Stable: of two insertions at one place the first asked for comes first.
        self.changes.sort_by_key(|change| (change.start, change.end));
        let added = self.changes.iter().map(|change| change.new.len()).sum::<usize>();
        out.reserve(self.text.len().saturating_add(added));
        let mut done = 0;
        for change in &self.changes {
            out.push_str(self.text.get(done..change.start).unwrap_or_default());
            out.push_str(&change.new);
            done = change.end;
        }
        out.push_str(self.text.get(done..).unwrap_or_default());
    }
}

fn is_empty(container: &RawValue) -> bool {
    let text = container.get();
    let inner = text.get(1..text.len().saturating_sub(1));
    inner.is_none_or(|inner| inner.bytes().all(|byte| byte.is_ascii_whitespace()))
}

/// `"key":value`, both as JSON.
pub fn member(key: &str, value: &impl serde::Serialize) -> String {
    format!("{}:{}", encode(key), encode(value))
}

/// A value as JSON. What the policy writes are strings, lists and structs of
/// them, for which encoding cannot fail.
pub fn encode<T: serde::Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned())
}

/// For use with `#[serde(deserialize_with)]`: `null` is like an absent field.
pub fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default).map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edited(text: &str, change: impl for<'a> FnOnce(&mut Edit<'a>, &Members<'a>)) -> String {
        let raw: &RawValue = serde_json::from_str(text).unwrap();
        let members: Members = read(raw, "test").unwrap();
        let mut edit = Edit::new(raw);
        change(&mut edit, &members);
        let mut out = String::new();
        edit.write(&mut out);
        out
    }

    #[test]
    fn untouched_text_comes_back_byte_for_byte() {
        let text = r#"{ "b" : 1e400, "a": "\u0041", "b": [ ] }"#;
        assert_eq!(edited(text, |_, _| ()), text);
    }

    #[test]
    fn members_and_elements_go_where_they_belong() {
        let out = edited(r#"{"o":{},"p":{"x":1},"l":[ ],"m":[1]}"#, |edit, members| {
            edit.prepend(members.raw("o").unwrap(), "\"n\":0".into());
            edit.prepend(members.raw("p").unwrap(), "\"n\":0".into());
            edit.append(members.raw("l").unwrap(), "7".into());
            edit.append(members.raw("m").unwrap(), "7".into());
            edit.prepend(members.raw("p").unwrap(), String::new());
            edit.append(members.raw("m").unwrap(), String::new());
        });
        assert_eq!(out, r#"{"o":{"n":0},"p":{"n":0,"x":1},"l":[ 7],"m":[1,7]}"#);
    }

    #[test]
    fn null_is_replaced_and_the_last_of_a_repeated_key_counts() {
        let out = edited(r#"{"a":null,"b":1,"b":2}"#, |edit, members| {
            assert!(members.get("a").is_none());
            edit.replace(members.raw("a").unwrap(), "[]".into());
            edit.replace(members.raw("b").unwrap(), "3".into());
        });
        assert_eq!(out, r#"{"a":[],"b":1,"b":3}"#);
    }

    #[test]
    fn nesting_beyond_the_parsers_recursion_limit_is_no_obstacle() {
        let deep = format!("{{\"x\":{}{}}}", "[".repeat(5000), "]".repeat(5000));
        assert_eq!(edited(&deep, |_, _| ()), deep);
    }
}
