//! Generates requests for the built policy from a seed, and checks the requirements for each
//! answer.
//!
//! `cargo test` runs several thousand of them, and `make soak` a million. `make fuzz` checks
//! its answers against the same requirements.

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
pub use trial::{Outcome, Trial, load};

/// The policy server's limit for a request.
pub const REQUEST_LIMIT: usize = 2 * 1024 * 1024;
