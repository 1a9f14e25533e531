//! The figures of a policy that are the same on every machine: the work and memory of a
//! call, the size of the patch, the size of the module. The test `budgets` compares them
//! with `budgets.json`, and `policy-bench` shows them beside the times.

mod cases;

pub use cases::{Case, all};
use policy_host::{AdmissionResponse, CallError, Policy, PolicyAnswer};
use serde_json::json;

/// What one call takes.
#[derive(Clone, Debug)]
pub struct Figures {
    /// Units of work: about one for each WebAssembly instruction.
    pub fuel: u64,
    /// The greatest size of the guest's memory.
    pub peak_memory_bytes: u64,
    /// The patch that a policy server makes of the answer, if it changes the object.
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

/// The policy server's comparison, by the crate `json-patch`.
fn patch(case: &Case, response: &[u8]) -> Option<Patch> {
    let object = case.object.as_ref()?;
    let answer: PolicyAnswer = serde_json::from_slice(response).ok()?;
    let patch = AdmissionResponse::from_answer("", Some(object), answer).decoded_patch().ok()??;
    Some(Patch { operations: patch.0.len(), bytes: json!(patch).to_string().len() })
}
