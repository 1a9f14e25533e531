//! Errors of the command, and their exit status.

use std::process::ExitCode;

use policy_host::{CallError, LoadError};

use super::style;

/// The exit statuses, which `--help` lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    Silent = 0,
    Error = 1,
    Unreadable = 3,
    BadInput = 4,
    NotAPolicy = 5,
    Trap = 6,
    GuestError = 7,
    Timeout = 8,
    Rejected = 9,
    UnknownKeys = 10,
    Differences = 11,
}

/// A message for a person, and a status for a script.
#[derive(Debug)]
pub struct Failure {
    status: Status,
    message: String,
    hint: Option<String>,
}

impl Failure {
    pub fn new(status: Status, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), hint: None }
    }

    pub fn other(message: impl Into<String>) -> Self {
        Self::new(Status::Error, message)
    }

    /// Ends the command without a message.
    pub fn silent() -> Self {
        Self::new(Status::Silent, "")
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub fn print(&self) {
        if self.message.is_empty() {
            return;
        }
        // The same prefix and text as kwctl's, which scripts may search for.
        anstream::eprintln!("{}: {}", style::bad("Error"), self.message);
        if let Some(hint) = &self.hint {
            anstream::eprintln!("  {}: {hint}", style::strong("hint"));
        }
    }

    /// Adds the subject, if the message does not contain it.
    pub fn about(mut self, subject: &str) -> Self {
        if !self.message.contains(subject) {
            self.message = format!("{subject}: {}", self.message);
        }
        self
    }

    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.status as u8)
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        let message = error.to_string();
        match error {
            LoadError::Read { source, .. } => {
                let failure = Self::new(Status::Unreadable, message);
                if source.kind() == std::io::ErrorKind::NotFound {
                    failure.hint("run `make policy.wasm` to build this project's policy; `settings` accepts another one with --policy PATH")
                } else {
                    failure
                }
            }
            LoadError::NotWasm(_) => Self::new(Status::NotAPolicy, message)
                .hint("a policy is a .wasm file that `cargo build --target wasm32-wasip1` builds"),
            LoadError::NotPolicy(_) | LoadError::Metadata(_) | LoadError::ExecutionMode(_) => {
                Self::new(Status::NotAPolicy, message)
            }
        }
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        let status = match error {
            CallError::Trap { .. } | CallError::Start(_) => Status::Trap,
            CallError::Guest { .. } | CallError::Answer { .. } => Status::GuestError,
            CallError::Timeout { .. } => Status::Timeout,
        };
        let failure = Self::new(status, error.to_string());
        match status {
            Status::Timeout => failure.hint("use --timeout 0 to run it without a time limit"),
            _ => failure,
        }
    }
}
