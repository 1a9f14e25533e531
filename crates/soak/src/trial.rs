//! One input, asked of the policy.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use policy_host::{CallError, Policy, SettingsAnswer};

use crate::answer::{Answer, check_log, shown};
use crate::generator::Input;

/// What no call may take.
pub const MEMORY_LIMIT: u64 = 64 * 1024 * 1024;

/// What became of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Accepted,
    Injected,
    Rejected,
}

/// An answer as it was promised, and what it took.
#[derive(Debug)]
pub struct Trial {
    pub outcome: Outcome,
    pub memory: u64,
    pub time: Duration,
    pub response: Vec<u8>,
}

impl Trial {
    /// Asks; whatever was not as promised is said in words. The policy's own limit
    /// of time holds.
    pub fn of(policy: &Policy, input: &Input) -> Result<Self, String> {
        let (policy, logs) = policy.with_logs();
        let asked = || {
            let ask = || policy.observe(input.operation, &input.payload);
            // A machine with other work may leave it waiting: late is what is late twice.
            ask().or_else(|error| if matches!(error, CallError::Timeout { .. }) { ask() } else { Err(error) })
        };
        let seen = catch_unwind(AssertUnwindSafe(asked)).map_err(|_| "the host panicked".to_owned())?;
        let seen = seen.map_err(|error| error.to_string())?;
        if seen.peak_memory > MEMORY_LIMIT {
            return Err(format!("{} bytes of memory", seen.peak_memory));
        }
        if let Some(refused) = seen.refused {
            return Err(format!("more than a log line was asked of the host: {refused}"));
        }
        check_log(&logs.take())?;
        let outcome = match input.operation {
            "validate_settings" => about_settings(&seen.response)?,
            _ => match Answer::read(&seen.response)? {
                Answer { accepted: false, .. } => Outcome::Rejected,
                Answer { mutated_object: Some(_), .. } => Outcome::Injected,
                _ => Outcome::Accepted,
            },
        };
        Ok(Trial { outcome, memory: seen.peak_memory, time: seen.time, response: seen.response })
    }
}

fn about_settings(response: &[u8]) -> Result<Outcome, String> {
    let answer: SettingsAnswer = serde_json::from_slice(response)
        .map_err(|error| format!("{error} in the answer {}", shown(response)))?;
    match (answer.valid, &answer.message) {
        (true, None) => Ok(Outcome::Accepted),
        (false, Some(message)) if message.len() > 20 => Ok(Outcome::Rejected),
        _ => Err(format!("a message is for invalid settings, and they have one: {answer:?}")),
    }
}
