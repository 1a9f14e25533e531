//! Requests for the built policy, made from a seed, and what holds for every answer.
//!
//! `cargo test` asks about some thousands of them, `make soak` about a million, and
//! `make fuzz` holds its answers against the same promises.

mod answer;
pub mod catalogue;
mod dice;
mod generator;
pub mod sample;
#[cfg(feature = "host")]
mod trial;

pub use answer::{Answer, shown};
pub use generator::{Generator, Input, pointers};
#[cfg(feature = "host")]
pub use trial::{FUEL_LIMIT, MEMORY_LIMIT, Outcome, Trial, load};

/// The policy server refuses a longer request.
pub const REQUEST_LIMIT: usize = 2 * 1024 * 1024;
