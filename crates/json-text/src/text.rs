//! A text that is written to its end.

/// A text that grows.
///
/// Most of what is written are a few bytes. For a `String` each of them is a call into
/// the runtime, which takes longer than the bytes do: here they are stored at once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
// Whole texts and ASCII go in, so that it is UTF-8.
pub struct Text(Vec<u8>);

impl Text {
    pub fn new() -> Self {
        Text(Vec::new())
    }

    pub fn with_capacity(bytes: usize) -> Self {
        Text(Vec::with_capacity(bytes))
    }

    pub fn reserve_exact(&mut self, more: usize) {
        self.0.reserve_exact(more);
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    pub fn into_string(self) -> String {
        String::from_utf8(self.0).unwrap_or_default()
    }

    pub fn push(&mut self, text: &str) {
        match text.len() {
            0..4 => text.bytes().for_each(|byte| self.0.push(byte)),
            4..8 => self.ends::<4>(text),
            8..16 => self.ends::<8>(text),
            16..=32 => self.ends::<16>(text),
            _ => self.0.extend_from_slice(text.as_bytes()),
        }
    }

    pub fn append(&mut self, other: &Text) {
        self.0.extend_from_slice(&other.0);
    }

    /// A text of `N` bytes to twice as many: its first ones, and over their end its last.
    fn ends<const N: usize>(&mut self, text: &str) {
        let text = text.as_bytes();
        if let (Some(first), Some(last)) = (text.first_chunk::<N>(), text.last_chunk::<N>()) {
            self.0.extend_from_slice(first);
            let twice = N.saturating_mul(2).saturating_sub(text.len());
            self.0.truncate(self.0.len().saturating_sub(twice));
            self.0.extend_from_slice(last);
        }
    }

    /// Marks of JSON.
    pub(crate) fn ascii<const N: usize>(&mut self, marks: &[u8; N]) {
        debug_assert!(marks.is_ascii());
        self.0.extend_from_slice(marks);
    }
}

#[cfg(test)]
mod tests {
    use super::Text;

    #[test]
    fn texts_of_every_length_arrive_whole() {
        let source: String = ('a'..='z').chain('é'..='ü').collect();
        for length in (0..=source.len()).filter(|length| source.is_char_boundary(*length)) {
            let mut out = Text::new();
            out.push("<");
            out.push(&source[..length]);
            out.ascii(b"\">");
            assert_eq!(out.into_string(), format!("<{}\">", &source[..length]));
        }
    }
}
