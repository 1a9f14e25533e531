//! The figures of a policy that do not depend on the machine: fuel and memory of a call, size
//! of the patch, size of the module. The test `budgets` compares them with `budgets.json`, and
//! `policy-bench` prints them with the times.

mod cases;

pub use cases::{Case, all};
use policy_host::{AdmissionResponse, CallError, Policy, PolicyAnswer};
use serde_json::json;

/// The figures of one call.
#[derive(Clone, Debug)]
pub struct Figures {
    /// Units of work, about one for each WebAssembly instruction.
    pub fuel: u64,
    /// The peak size of the guest's memory.
    pub peak_memory_bytes: u64,
    /// The policy server's patch for the answer, if it changes the object.
    pub patch: Option<Patch>,
}

/// The size of a JSON patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patch {
    /// Operations.
    pub operations: usize,
    /// Bytes as compact JSON.
    pub bytes: usize,
}

/// Calls the policy once.
pub fn measure(policy: &Policy, case: &Case) -> Result<Figures, CallError> {
    let seen = policy.observe(case.operation, &case.payload)?;
    Ok(Figures { fuel: seen.fuel, peak_memory_bytes: seen.peak_memory, patch: patch(case, &seen.response) })
}

/// The patch as the policy server computes it, with the crate `json-patch`.
fn patch(case: &Case, response: &[u8]) -> Option<Patch> {
    let object = case.object.as_ref()?;
    let answer: PolicyAnswer = serde_json::from_slice(response).ok()?;
    let patch = AdmissionResponse::from_answer("", Some(object), answer).decoded_patch().ok()??;
    Some(Patch { operations: patch.0.len(), bytes: json!(patch).to_string().len() })
}
