//! A JSON text and where each of its values stands.

use std::borrow::Cow;
use std::fmt;

use super::{Unreadable, special};

/// A JSON text (RFC 8259) that was scanned once, from end to end. Nesting has no
/// limit: nothing here calls itself.
#[derive(Debug)]
pub struct Document<'t> {
    text: &'t str,
    nodes: Vec<Node>,
}

/// A value. What is inside follows at once.
#[derive(Debug, Clone, Copy)]
struct Node {
    /// Where the key of a member begins. The highest bit is set if the key has escapes,
    /// or anything but its quotes and the colon stands between it and the value.
    key: u32,
    start: u32,
    end: u32,
    /// The first node that is not inside. The highest bit is set for a string with
    /// escapes.
    next: u32,
}

/// Places and nodes are less, as a text has fewer than 2 GiB.
const ESCAPED: u32 = 1 << 31;

impl Node {
    fn key(self) -> usize {
        (self.key & !ESCAPED) as usize
    }

    fn next(self) -> usize {
        (self.next & !ESCAPED) as usize
    }
}

/// Why a text is no JSON, and at which byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed {
    pub at: usize,
    pub why: &'static str,
}

impl fmt::Display for Malformed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} at byte {}", self.why, self.at)
    }
}

impl<'t> Document<'t> {
    pub fn scan(text: &'t str) -> Result<Self, Malformed> {
        if text.len() >= ESCAPED as usize {
            return Err(Malformed { at: 0, why: "is larger than 2 GiB" });
        }
        Ok(Document { text, nodes: scan(text.as_bytes())? })
    }

    /// As [`Document::scan`], for bytes that may not be UTF-8 either.
    pub fn scan_bytes(bytes: &'t [u8]) -> Result<Self, Malformed> {
        let text = std::str::from_utf8(bytes)
            .map_err(|error| Malformed { at: error.valid_up_to(), why: "invalid UTF-8" })?;
        Document::scan(text)
    }

    pub fn root(&self) -> Value<'_> {
        Value { document: self, index: 0 }
    }

    fn node(&self, index: usize) -> Node {
        self.nodes.get(index).copied().unwrap_or(Node { key: 0, start: 0, end: 0, next: u32::MAX })
    }

    /// The text of a member's key; half of a surrogate pair stands for none.
    fn key_of(&self, node: Node) -> Option<Cow<'_, str>> {
        let (start, end) = (node.key().wrapping_add(1), node.start as usize);
        if node.key & ESCAPED == 0 {
            return self.text.get(start..end.wrapping_sub(2)).map(Cow::Borrowed);
        }
        // Before the value are a quote, a colon and blanks.
        self.text.get(start..end)?.rsplit_once('"').and_then(|(key, _)| unescaped(key)).map(Cow::Owned)
    }

    fn has_key(&self, node: Node, text: &str) -> bool {
        if node.key & ESCAPED != 0 {
            return self.key_of(node).as_deref() == Some(text);
        }
        let (start, end) = (node.key().wrapping_add(1), (node.start as usize).wrapping_sub(2));
        if end.wrapping_sub(start) != text.len() {
            return false;
        }
        let key = self.text.as_bytes().get(start..end).unwrap_or_default();
        // Of those that are as long, most begin otherwise: that is seen without a call.
        key.first() == text.as_bytes().first() && key == text.as_bytes()
    }

    fn text_of(&self, index: usize) -> &str {
        let node = self.node(index);
        self.text.get(node.start as usize..node.end as usize).unwrap_or_default()
    }
}

// The scan: small functions that take a place and return the next, so that it stays
// in a register.

fn scan(bytes: &[u8]) -> Result<Vec<Node>, Malformed> {
    // In pods, a value has some twenty bytes.
    let mut nodes: Vec<Node> = Vec::with_capacity(bytes.len() / 16);
    // The innermost container that is open. Until its end is known, its node keeps
    // which one is around it.
    let (mut around, mut opened) = (Around::Nothing, 0);
    let mut at = blanks(bytes, 0);
    loop {
        let mut key = 0;
        if around == Around::Object {
            at = member(bytes, at, &mut key)?;
        }
        match bytes.get(at) {
            Some(first @ (b'{' | b'[')) => {
                let node = Node { key, start: place(at), end: place(opened), next: around as u32 };
                around = if *first == b'{' { Around::Object } else { Around::List };
                opened = nodes.len();
                nodes.push(node);
                at = blanks(bytes, at.wrapping_add(1));
                if !around.ends(bytes.get(at)) {
                    continue;
                }
            }
            first => {
                let start = at;
                let mut escaped = 0;
                at = match first {
                    Some(b'"') => string(bytes, at, &mut escaped)?,
                    Some(b'-' | b'0'..=b'9') => number(bytes, at)?,
                    Some(b't') => word(bytes, at, b"true")?,
                    Some(b'f') => word(bytes, at, b"false")?,
                    Some(b'n') => word(bytes, at, b"null")?,
                    Some(_) => return Err(Malformed { at, why: "expected a value" }),
                    None => return Err(Malformed { at, why: TOO_EARLY }),
                };
                let next = place(nodes.len()).wrapping_add(1) | escaped;
                nodes.push(Node { key, start: place(start), end: place(at), next });
            }
        }
        // A value ended: so may the containers around it, or they go on.
        loop {
            at = blanks(bytes, at);
            let mark = bytes.get(at);
            if around.ends(mark) {
                at = at.wrapping_add(1);
                let next = place(nodes.len());
                if let Some(node) = nodes.get_mut(opened) {
                    (around, opened) = (Around::of(node.next), node.end as usize);
                    (node.end, node.next) = (place(at), next);
                }
                continue;
            }
            let why = match (mark, around) {
                (Some(b','), Around::Object | Around::List) => {
                    at = blanks(bytes, at.wrapping_add(1));
                    break;
                }
                (None, Around::Nothing) => {
                    // What is left over is memory for the answer: 256 KiB, for a request of 1 MiB.
                    nodes.shrink_to_fit();
                    return Ok(nodes);
                }
                (None, _) => TOO_EARLY,
                (Some(_), Around::Nothing) => "has something after its end",
                (Some(_), Around::Object) => "expected ',' or '}'",
                (Some(_), Around::List) => "expected ',' or ']'",
            };
            return Err(Malformed { at, why });
        }
    }
}

/// What is open around a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Around {
    Nothing = 0,
    List = 1,
    Object = 2,
}

impl Around {
    /// Of its number, which a node has kept.
    fn of(kept: u32) -> Self {
        match kept {
            1 => Around::List,
            2 => Around::Object,
            _ => Around::Nothing,
        }
    }

    fn ends(self, mark: Option<&u8>) -> bool {
        match self {
            Around::Nothing => false,
            Around::List => mark == Some(&b']'),
            Around::Object => mark == Some(&b'}'),
        }
    }
}

const TOO_EARLY: &str = "ends too early";

/// Places fit: the text's length does.
#[expect(clippy::cast_possible_truncation)]
fn place(at: usize) -> u32 {
    at as u32
}

fn blanks(bytes: &[u8], mut at: usize) -> usize {
    // Of the characters that can stand here only blanks are so low.
    while let Some(byte) = bytes.get(at).filter(|byte| **byte <= b' ') {
        if !matches!(byte, b' ' | b'\n' | b'\t' | b'\r') {
            break;
        }
        at = at.wrapping_add(1);
    }
    at
}

/// A key and its colon; the blanks after it, too. `key` becomes what its node has.
fn member(bytes: &[u8], start: usize, key: &mut u32) -> Result<usize, Malformed> {
    if bytes.get(start) != Some(&b'"') {
        return Err(Malformed { at: start, why: "expected a key in quotes" });
    }
    *key = place(start);
    let end = string(bytes, start, key)?;
    let at = blanks(bytes, end);
    if bytes.get(at) != Some(&b':') {
        return Err(Malformed { at, why: "expected ':'" });
    }
    let value = blanks(bytes, at.wrapping_add(1));
    if value != end.wrapping_add(1) {
        *key |= ESCAPED;
    }
    Ok(value)
}

/// Sets [`ESCAPED`] in `escaped` where it belongs.
// A tenth of a call that skips goes into calling it.
#[expect(clippy::inline_always)]
#[inline(always)]
fn string(bytes: &[u8], start: usize, escaped: &mut u32) -> Result<usize, Malformed> {
    let mut at = start.wrapping_add(1);
    loop {
        if let Some(word) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
            let special = special(u64::from_le_bytes(*word));
            if special == 0 {
                at = at.wrapping_add(8);
                continue;
            }
            at = at.wrapping_add(special.trailing_zeros() as usize / 8);
        }
        match bytes.get(at) {
            Some(b'"') => return Ok(at.wrapping_add(1)),
            Some(b'\\') => {
                *escaped |= ESCAPED;
                at = escape(bytes, at)?;
            }
            Some(0x20..) => at = at.wrapping_add(1),
            Some(_) => return Err(Malformed { at, why: "has a control character in a string" }),
            None => return Err(Malformed { at, why: TOO_EARLY }),
        }
    }
}

fn escape(bytes: &[u8], backslash: usize) -> Result<usize, Malformed> {
    let at = backslash.wrapping_add(1);
    let next = at.wrapping_add(1);
    match bytes.get(at) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(next),
        Some(b'u') => match bytes.get(next..next.wrapping_add(4)) {
            Some(digits) if digits.iter().all(u8::is_ascii_hexdigit) => Ok(next.wrapping_add(4)),
            _ => Err(Malformed { at, why: BROKEN_ESCAPE }),
        },
        _ => Err(Malformed { at, why: BROKEN_ESCAPE }),
    }
}

const BROKEN_ESCAPE: &str = "has a broken escape in a string";

fn number(bytes: &[u8], start: usize) -> Result<usize, Malformed> {
    let mut at = start;
    if bytes.get(at) == Some(&b'-') {
        at = at.wrapping_add(1);
    }
    at = if bytes.get(at) == Some(&b'0') { at.wrapping_add(1) } else { digits(bytes, at)? };
    if bytes.get(at) == Some(&b'.') {
        at = digits(bytes, at.wrapping_add(1))?;
    }
    if let Some(b'e' | b'E') = bytes.get(at) {
        at = at.wrapping_add(1);
        if let Some(b'+' | b'-') = bytes.get(at) {
            at = at.wrapping_add(1);
        }
        at = digits(bytes, at)?;
    }
    Ok(at)
}

/// At least one.
fn digits(bytes: &[u8], start: usize) -> Result<usize, Malformed> {
    let mut at = start;
    while bytes.get(at).is_some_and(u8::is_ascii_digit) {
        at = at.wrapping_add(1);
    }
    if at == start { Err(Malformed { at, why: "has a broken number" }) } else { Ok(at) }
}

fn word(bytes: &[u8], at: usize, word: &[u8]) -> Result<usize, Malformed> {
    let rest = bytes.get(at..).unwrap_or_default();
    if !rest.starts_with(word) {
        return Err(Malformed { at, why: "expected a value" });
    }
    Ok(at.wrapping_add(word.len()))
}

/// A value in its document.
#[derive(Clone, Copy)]
pub struct Value<'d> {
    document: &'d Document<'d>,
    index: usize,
}

impl fmt::Debug for Value<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.text())
    }
}

impl<'d> Value<'d> {
    /// The value as it was written.
    pub fn text(self) -> &'d str {
        self.document.text_of(self.index)
    }

    fn node(self) -> Node {
        self.document.node(self.index)
    }

    /// Where it stands in its document's text.
    pub(super) fn place(self) -> (usize, usize) {
        let node = self.node();
        (node.start as usize, node.end as usize)
    }

    /// The bytes of [`Value::text`], without a look for character boundaries.
    fn bytes(self) -> &'d [u8] {
        let (start, end) = self.place();
        self.document.text.as_bytes().get(start..end).unwrap_or_default()
    }

    pub fn is_null(self) -> bool {
        // No other value begins so, and none but `true` as below.
        self.first() == Some(b'n')
    }

    pub fn is_true(self) -> bool {
        self.first() == Some(b't')
    }

    pub fn is_number(self) -> bool {
        self.first().is_some_and(|byte| byte == b'-' || byte.is_ascii_digit())
    }

    fn first(self) -> Option<u8> {
        self.bytes().first().copied()
    }

    /// The text that a string stands for; borrowed unless the string has escapes.
    pub fn string(self) -> Option<Cow<'d, str>> {
        self.first().filter(|first| *first == b'"')?;
        let (start, end) = self.place();
        let inner = self.document.text.get(start.wrapping_add(1)..end.wrapping_sub(1))?;
        if self.node().next & ESCAPED != 0 {
            unescaped(inner).map(Cow::Owned)
        } else {
            Some(Cow::Borrowed(inner))
        }
    }

    pub fn members(self) -> Option<Members<'d>> {
        (self.first() == Some(b'{')).then_some(Members(Some(self)))
    }

    pub fn elements(self) -> Option<impl Iterator<Item = Value<'d>>> {
        (self.first() == Some(b'[')).then(|| self.inside())
    }

    /// The values of an object's members or a list's elements.
    fn inside(self) -> impl Iterator<Item = Value<'d>> {
        let (mut index, end) = (self.index.wrapping_add(1), self.node().next());
        let document = self.document;
        std::iter::from_fn(move || {
            let value = (index < end).then_some(Value { document, index })?;
            index = value.node().next();
            Some(value)
        })
    }

    /// [`Value::string`], or what stands there instead.
    pub fn expect_string(self, path: impl Fn() -> String) -> Result<Cow<'d, str>, Unreadable> {
        self.string().ok_or_else(|| self.unexpected("a string", path))
    }

    pub fn expect_members(self, path: impl Fn() -> String) -> Result<Members<'d>, Unreadable> {
        self.members().ok_or_else(|| self.unexpected("an object", path))
    }

    pub fn expect_elements(
        self,
        path: impl Fn() -> String,
    ) -> Result<impl Iterator<Item = Value<'d>>, Unreadable> {
        self.elements().ok_or_else(|| self.unexpected("a list", path))
    }

    pub fn unexpected(self, expected: &str, path: impl Fn() -> String) -> Unreadable {
        let found = match self.first() {
            Some(b'{') => "an object",
            Some(b'[') => "a list",
            Some(b'"') if expected == "a string" => "one with an escape that stands for no character",
            Some(b'"') => "a string",
            Some(b't' | b'f') => "a boolean",
            Some(b'n') => "null",
            _ => "a number",
        };
        Unreadable { path: path(), why: format!("expected {expected}, found {found}") }
    }
}

/// The members of an object, in their order. The default has none.
#[derive(Debug, Clone, Copy, Default)]
pub struct Members<'d>(Option<Value<'d>>);

impl<'d> Members<'d> {
    /// The object itself.
    pub fn value(self) -> Option<Value<'d>> {
        self.0
    }

    /// The value of `key` as it was written, `null` included. Of a repeated key
    /// the last one counts, as it does for the API server.
    pub fn raw(self, key: &str) -> Option<Value<'d>> {
        // A loop of its own: most of what is decided begins here, and an iterator is slower.
        let object = self.0?;
        let document = object.document;
        let nodes = document.nodes.get(..object.node().next()).unwrap_or_default();
        let mut index = object.index.wrapping_add(1);
        let mut found = None;
        while let Some(node) = nodes.get(index) {
            if document.has_key(*node, key) {
                found = Some(Value { document, index });
            }
            index = node.next();
        }
        found
    }

    /// The value of `key`, unless it is `null`.
    pub fn get(self, key: &str) -> Option<Value<'d>> {
        self.raw(key).filter(|value| !value.is_null())
    }

    /// Keys that no text can be (half of a surrogate pair) are empty here.
    pub fn iter(self) -> impl Iterator<Item = (Cow<'d, str>, Value<'d>)> {
        let keyed = |value: Value<'d>| (value.document.key_of(value.node()).unwrap_or_default(), value);
        self.0.into_iter().flat_map(Value::inside).map(keyed)
    }

    /// The string of `key`; absent and `null` are empty.
    pub fn string(self, key: &str, path: impl Fn() -> String) -> Result<Cow<'d, str>, Unreadable> {
        self.get(key).map_or(Ok(Cow::Borrowed("")), |value| value.expect_string(path))
    }
}

/// The text of a string's inside, whose escapes are complete. Half of a surrogate
/// pair stands for nothing.
fn unescaped(inner: &str) -> Option<String> {
    let mut text = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some((before, after)) = rest.split_once('\\') {
        text.push_str(before);
        let mut characters = after.chars();
        let escape = characters.next()?;
        rest = characters.as_str();
        text.push(match escape {
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let first = unit(&mut rest)?;
                let second = match first {
                    0xd800..=0xdbff => {
                        rest = rest.strip_prefix("\\u")?;
                        Some(unit(&mut rest)?)
                    }
                    _ => None,
                };
                char::decode_utf16(std::iter::once(first).chain(second)).next()?.ok()?
            }
            itself => itself,
        });
    }
    text.push_str(rest);
    Some(text)
}

/// Four hexadecimal digits.
fn unit(rest: &mut &str) -> Option<u16> {
    let (digits, after) = rest.split_at_checked(4)?;
    *rest = after;
    u16::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The same value as `serde_json` builds it, through the document.
    fn decoded(value: Value<'_>) -> serde_json::Value {
        if let Some(members) = value.members() {
            return members.iter().map(|(key, value)| (key.into_owned(), decoded(value))).collect();
        }
        if let Some(elements) = value.elements() {
            return elements.map(decoded).collect();
        }
        value.string().map_or_else(
            || serde_json::from_str(value.text()).unwrap(),
            |text| serde_json::Value::String(text.into_owned()),
        )
    }

    fn agree(text: &str) {
        // A number too large for serde_json is JSON all the same.
        let other = serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok();
        let own = Document::scan(text);
        assert_eq!(own.is_ok(), other, "{text}: {own:?}");
        if let (Ok(own), Ok(other)) = (own, serde_json::from_str::<serde_json::Value>(text)) {
            assert_eq!(decoded(own.root()), other, "{text}");
        }
    }

    #[test]
    fn what_is_json_and_what_is_not() {
        for text in [
            "",
            " ",
            "{}",
            "[]",
            "[ ]",
            "{ }",
            "null",
            "nul",
            "nulll",
            "true",
            "tru",
            "-",
            "0",
            "-0",
            "01",
            "1.",
            "1.5",
            ".5",
            "1e5",
            "1e",
            "1E+",
            "1e-7",
            "+1",
            "0x1",
            "\"",
            "\"\"",
            "\"a",
            "\"\\",
            "\"\\u12\"",
            "\"\\u00e9\\n\\/\"",
            "\"\\ud83d\\ude00\"",
            "\"\\x\"",
            "\"\t\"",
            "\"\u{7f}é\u{1f600}\"",
            "[1,]",
            "[,1]",
            "[1 2]",
            "[1",
            "[1}",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{a:1}",
            "{\"a\":1 \"b\":2}",
            "{\"a\":1]",
            "{\"a\":{\"b\":[1,{\"c\":null}]},\"d\":\"e\"}",
            "1 1",
            "{} x",
            "\u{feff}{}",
            "\"12345678\\\"9\"",
            "{\"a\":1,\"a\":2}",
            "[[[[]]]]",
            "]",
            "}",
            ",",
            ":",
            "\"1234567\u{1}\"",
        ] {
            agree(text);
        }
    }

    #[test]
    fn half_of_a_surrogate_pair_is_no_text() {
        for text in ["\"\\ud83d\"", "\"\\ude00\"", "\"\\ud83d\\u0041\"", "\"\\ud83dx\""] {
            assert_eq!(Document::scan(text).unwrap().root().string(), None, "{text}");
            assert!(serde_json::from_str::<String>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_last_of_a_repeated_key_counts_however_it_is_written() {
        for text in [
            r#"{"a":1,"b":null,"\u0061":2}"#,
            r#"{"a":1,"\u0061":1,"b":null,"a":2}"#,
            "{ \"a\" : 1, \"b\"\t:null, \"a\":\n2 }",
        ] {
            let document = Document::scan(text).unwrap();
            let members = document.root().members().unwrap();
            assert_eq!(members.raw("a").map(Value::text), Some("2"), "{text}");
            assert!(members.get("b").is_none() && members.raw("b").is_some(), "{text}");
            for other in ["", "c", "aa", "a\"", "a\" ", "a\":1,\"b"] {
                assert!(members.raw(other).is_none(), "{other} in {text}");
            }
        }
    }

    #[test]
    fn nesting_has_no_limit() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(Document::scan(&deep).unwrap().root().text(), deep);
    }

    #[test]
    fn errors_say_where() {
        let error = |text: &str| Document::scan_bytes(text.as_bytes()).unwrap_err().to_string();
        assert_eq!(error("{\"a\" 1}"), "expected ':' at byte 5");
        assert_eq!(error("{\"a\":"), "ends too early at byte 5");
        assert_eq!(Document::scan_bytes(b"\"\xff\"").unwrap_err().why, "invalid UTF-8");
    }

    proptest! {
        #[test]
        fn as_serde_json_does(text in r#"[\[\]{}:,"\\ux0-9eE.+\-ntrufalse \n]{0,24}"#) {
            agree(&text);
        }

        /// Keys that look like what is around keys, however they are written.
        #[test]
        fn members_are_found_as_in_a_map(
            members in prop::collection::vec(("[ab\":,{ ]{0,3}", any::<bool>(), "[ \n]{0,1}", "[ \t]{0,1}"), 0..6),
            others in prop::collection::vec("[ab\":,{ 0-9]{0,6}", 0..4),
        ) {
            let mut map = serde_json::Map::new();
            let mut text = Vec::new();
            for (at, (key, escaped, before, after)) in members.iter().enumerate() {
                map.insert(key.clone(), at.into());
                let written = if *escaped {
                    let units = key.encode_utf16().map(|unit| format!("\\u{unit:04x}"));
                    format!("\"{}\"", units.collect::<String>())
                } else {
                    serde_json::to_string(key).unwrap()
                };
                text.push(format!("{written}{before}:{after}{at}"));
            }
            let text = format!("{{{}}}", text.join(","));
            let document = Document::scan(&text).unwrap();
            let found = document.root().members().unwrap();
            for key in members.iter().map(|member| &member.0).chain(&others) {
                let expected = map.get(key).map(ToString::to_string);
                prop_assert_eq!(found.raw(key).map(Value::text), expected.as_deref(), "{} in {}", key, text);
            }
            let keys: Vec<String> = found.iter().map(|(key, _)| key.into_owned()).collect();
            let expected: Vec<String> = members.iter().map(|member| member.0.clone()).collect();
            prop_assert_eq!(keys, expected, "{}", text);
        }

        #[test]
        fn strings_as_serde_json_does(text in any::<String>(), after in "[a-z\"\\\\]{0,3}") {
            agree(&serde_json::to_string(&text).unwrap());
            agree(&format!("[{}{after}]", serde_json::to_string(&text).unwrap()));
        }
    }
}
