//! What can go wrong, one type for each step.

use std::{io, path::PathBuf, time::Duration};

use thiserror::Error;

/// The module could not be loaded.
#[derive(Debug, Error)]
pub enum LoadError {
    #[error("cannot read the policy {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("not a WebAssembly module: {0}")]
    NotWasm(String),
    /// A WebAssembly module without the exports of waPC.
    #[error("not a waPC policy: {0}")]
    NotPolicy(String),
    #[error("the policy's metadata (custom section `io.kubewarden.metadata`) is invalid: {0}")]
    Metadata(serde_json::Error),
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
        operation: String,
        reason: String,
        /// What the guest wrote to its standard error, such as a panic's message.
        stderr: String,
    },
    #[error("the policy returned an error from `{operation}`: {message}")]
    Guest { operation: String, message: String },
    #[error("the policy was interrupted: `{operation}` took longer than {limit:?}")]
    Timeout { operation: String, limit: Duration },
    /// The module's start functions failed, before any operation.
    #[error("the policy failed to start: {0}")]
    Start(String),
    #[error("the policy's answer to `{operation}` is invalid: {source}")]
    Answer { operation: String, source: serde_json::Error },
}

impl CallError {
    /// The message that the policy server and kwctl return in their response.
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
    #[error("Invalid request object")]
    NotAnObject,
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
