//! JSON that is read in place, changed in place and written straight out.
//!
//! A request is scanned once ([`Document`]); after that its values are looked at
//! where they stand and never decoded as a whole. What the policy changes is put
//! into the pod's own text ([`Edit`]), so whatever is not touched comes back byte
//! for byte: fields of a later Kubernetes version, big numbers, the order of
//! members, escapes. What it adds is written at once ([`Object`], [`List`]).
//!
//! `serde_json` would read the same text once for every level that is looked into,
//! and build what is thrown away: `docs/performance.md` has the figures. The tests
//! hold the two against each other.

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects, clippy::string_slice))]

mod document;
mod edit;
mod order;
mod text;
mod write;

use std::fmt;

pub use document::{Document, Malformed, Members, Value};
pub use edit::{Brackets, Edit, New, Place};
pub use order::order;
pub use text::Text;
pub use write::{List, Object, object, quoted};

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

/// In one word of eight bytes, the high bit of every byte that cannot stand in a
/// JSON string as itself: a quote, a backslash or a control character. Bits above
/// the lowest one may be wrong.
fn special(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 255;
    // Bytes that are zero, or below the space, borrow from their high bit.
    let control = word.wrapping_sub(ONES.wrapping_mul(0x20));
    let quote = (word ^ ONES.wrapping_mul(u64::from(b'"'))).wrapping_sub(ONES);
    let backslash = (word ^ ONES.wrapping_mul(u64::from(b'\\'))).wrapping_sub(ONES);
    (control | quote | backslash) & !word & (ONES << 7)
}

/// How many bytes `bytes` begins with that stand in a JSON string as themselves.
fn plain(bytes: &[u8]) -> usize {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut length = 0_usize;
    for word in words {
        let special = special(u64::from_le_bytes(*word));
        if special != 0 {
            return length.wrapping_add(special.trailing_zeros() as usize / 8);
        }
        length = length.wrapping_add(8);
    }
    // Most texts are plain to their end: their last eight bytes are looked at once more.
    if bytes.last_chunk().is_some_and(|last| special(u64::from_le_bytes(*last)) == 0) {
        return bytes.len();
    }
    let more = rest.iter().position(|byte| *byte < 0x20 || matches!(byte, b'"' | b'\\'));
    length.wrapping_add(more.unwrap_or(rest.len()))
}
