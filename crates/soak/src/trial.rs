//! Runs the policy on one input.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use consul_connect_injector::text::is_harmless;
use policy_host::{LoadError, LogEntry, Policy, SettingsAnswer};

use crate::answer::{Answer, shown};
use crate::generator::Input;

/// The limit for the memory of a call.
const MEMORY_LIMIT: u64 = 64 * 1024 * 1024;

/// The limit for the work of a call, in WebAssembly instructions: about what compiled code does
/// in the policy server's limit of two seconds. Unlike time, it does not depend on the machine.
const FUEL_LIMIT: u64 = 2_000_000_000;

/// Only for calls that never return, because the interpreter is slower than the policy server.
const ENDLESS: Duration = Duration::from_secs(15);

/// Loads a policy for trials.
pub fn load(wasm: &[u8]) -> Result<Policy, LoadError> {
    Policy::builder().timeout(Some(ENDLESS)).bytes(wasm)
}

/// The outcome of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Accepted,
    Injected,
    Rejected,
}

/// An answer that meets the requirements, and its cost.
#[derive(Debug)]
pub struct Trial {
    pub outcome: Outcome,
    pub memory: u64,
    pub fuel: u64,
    pub response: Vec<u8>,
}

impl Trial {
    /// Runs the input. An error states the requirement that was not met.
    pub fn of(policy: &Policy, input: &Input) -> Result<Self, String> {
        let (policy, logs) = policy.with_logs();
        let ask = || policy.observe(input.operation, &input.payload);
        let seen = catch_unwind(AssertUnwindSafe(ask)).map_err(|_| "the host panicked".to_owned())?;
        let seen = seen.map_err(|error| error.to_string())?;
        if seen.peak_memory > MEMORY_LIMIT {
            return Err(format!("{} bytes of memory", seen.peak_memory));
        }
        if seen.fuel > FUEL_LIMIT {
            return Err(format!("{} units of work", seen.fuel));
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
        Ok(Trial { outcome, memory: seen.peak_memory, fuel: seen.fuel, response: seen.response })
    }
}

/// A log line must be a single line without terminal control characters.
fn check_log(lines: &[LogEntry]) -> Result<(), String> {
    let mut messages = lines.iter().filter_map(|line| line.message.as_deref());
    match messages.find(|message| !message.chars().all(is_harmless)) {
        Some(message) => Err(format!("a line of the log that misleads: {message:?}")),
        None => Ok(()),
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
