//! Hostile requests for the built policy, made from a seed, and what every answer
//! has to be.
//!
//! `cargo test` asks about some thousands of them, `make soak` about a million.

mod answer;
pub mod catalogue;
mod dice;
mod generator;
pub mod tree;
mod trial;

pub use answer::Answer;
pub use generator::{Generator, Input};
pub use trial::{MEMORY_LIMIT, Outcome, Trial};
