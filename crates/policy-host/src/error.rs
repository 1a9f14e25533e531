//! What can go wrong, one type for each step.

use std::{io, path::PathBuf, time::Duration};

use thiserror::Error;

/// The module could not be loaded.
#[derive(Debug, Error)]
pub enum LoadError {
    /// The file does not exist or cannot be read.
    #[error("cannot read the policy {}: {source}", path.display())]
    Read {
        /// The file's path.
        path: PathBuf,
        /// The I/O error.
        source: io::Error,
    },
    /// The bytes are not a WebAssembly module.
    #[error("not a WebAssembly module: {0}")]
    NotWasm(String),
    /// A WebAssembly module without the exports of waPC.
    #[error("not a waPC policy: {0}")]
    NotPolicy(String),
    /// The annotated metadata cannot be read.
    #[error("the policy's metadata (custom section `io.kubewarden.metadata`) is invalid: {0}")]
    Metadata(serde_json::Error),
    /// The policy needs another runtime.
    #[error("the policy's execution mode is `{0}`; only `kubewarden-wapc` is supported")]
    ExecutionMode(String),
}

/// A call that returned no valid answer.
#[derive(Debug, Error)]
pub enum CallError {
    /// The guest trapped: a panic, a stack overflow or an out-of-bounds access. A policy must
    /// never do this.
    #[error("the policy trapped in `{operation}`: {reason}{}", said(stderr))]
    Trap {
        /// The waPC operation called.
        operation: String,
        /// The kind of trap.
        reason: String,
        /// What the guest wrote to its standard error, such as a panic's message.
        stderr: String,
    },
    /// The guest returned an error instead of an answer.
    #[error("the policy returned an error from `{operation}`: {message}")]
    Guest {
        /// The waPC operation called.
        operation: String,
        /// The guest's error message.
        message: String,
    },
    /// The guest exceeded its time limit.
    #[error("the policy was interrupted: `{operation}` took longer than {limit:?}")]
    Timeout {
        /// The waPC operation called.
        operation: String,
        /// The time limit.
        limit: Duration,
    },
    /// The module's start functions failed, before any operation.
    #[error("the policy failed to start: {0}")]
    Start(String),
    /// The guest's answer has the wrong format.
    #[error("the policy's answer to `{operation}` is invalid: {source}")]
    Answer {
        /// The waPC operation called.
        operation: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

impl CallError {
    /// The message that the policy server and kwctl return in their response.
    #[must_use]
    pub fn as_reported(&self) -> String {
        match self {
            Self::Trap { reason, .. } => format!("Guest call failure: {reason}"),
            Self::Guest { message, .. } => format!("Guest call failure: {message}"),
            Self::Timeout { .. } => {
                "Policy execution interrupted because it exceeded the allowed execution time".to_owned()
            }
            Self::Start(message) => format!("Initialization failed: {message}"),
            Self::Answer { source, .. } => format!("invalid response from policy: {source}"),
        }
    }
}

/// The input is not an admission request.
#[derive(Debug, Error)]
pub enum RequestError {
    /// Not a JSON object at all.
    #[error("Invalid request object")]
    NotAnObject,
    /// An `AdmissionReview` that has no `request`.
    #[error("invalid AdmissionReview object")]
    NoRequest,
    /// A field is missing or of the wrong type.
    #[error("cannot build AdmissionRequest object from given input: {0}")]
    Malformed(#[from] serde_json::Error),
}

/// A panic's message, without the advice about backtraces.
fn said(stderr: &str) -> String {
    let lines: Vec<_> =
        stderr.trim().lines().filter(|line| !line.starts_with("note: run with `RUST_BACKTRACE=1`")).collect();
    if lines.is_empty() {
        return String::new();
    }
    format!("\n  the guest said: {}", lines.join("\n    "))
}
