//! Measures modules beside each other, so that what disturbs the machine
//! disturbs all of them.

use std::time::Duration;

use policy_host::{CallError, Policy, PolicyAnswer};
use serde::Serialize;
use serde_json::{Value, json};

use crate::cases::Case;

/// A module under measurement.
pub struct Module {
    pub name: String,
    pub policy: Policy,
    pub bytes: usize,
}

/// What one call of one module takes.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    pub case: &'static str,
    pub module: String,
    /// Units of work from instantiation to answer; the same on every machine.
    pub fuel: u64,
    pub peak_memory_bytes: u64,
    /// Pages of 4 KiB that were written to.
    pub written_pages: u64,
    /// From instantiation to answer. Absent if nothing was timed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<Spread>,
    /// What is left of [`Row::time`] without the answer: making an instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instantiation: Option<Spread>,
    /// The patch that the host makes of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patch: Option<Patch>,
}

/// Microseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Spread {
    pub median: f64,
    pub p10: f64,
    pub p90: f64,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub struct Patch {
    pub operations: usize,
    pub bytes: usize,
}

impl Spread {
    fn of(mut times: Vec<Duration>) -> Option<Self> {
        times.sort_unstable();
        let at = |percent: usize| {
            let time = times.get((times.len().checked_sub(1)? * percent + 50) / 100)?;
            Some(time.as_secs_f64() * 1e6)
        };
        Some(Self { median: at(50)?, p10: at(10)?, p90: at(90)? })
    }
}

/// How often a module is called in its turn: a server under load calls a policy again
/// and again, too, and finds its code in the processor's caches.
const TURN: usize = 25;

/// Measures every case with every module; `runs` is how often each is timed.
pub fn all(modules: &[Module], cases: &[Case], runs: usize) -> Result<Vec<Row>, CallError> {
    let mut rows = Vec::new();
    for case in cases {
        let mut timed = vec![(Vec::new(), Vec::new()); modules.len()];
        // The megabyte takes some forty times as long, and spreads less.
        let runs = if case.payload.len() > 512 * 1024 { runs.div_ceil(20) } else { runs };
        for turn in (0..runs).step_by(TURN) {
            for (module, (whole, start)) in modules.iter().zip(&mut timed) {
                for _ in turn..runs.min(turn + TURN) {
                    let time = module.policy.observe(case.operation, &case.payload)?;
                    whole.push(time.start + time.call);
                    start.push(time.start);
                }
            }
        }
        for (module, (whole, start)) in modules.iter().zip(timed) {
            let measured = module.policy.measure(case.operation, &case.payload)?;
            rows.push(Row {
                case: case.name,
                module: module.name.clone(),
                fuel: measured.fuel,
                peak_memory_bytes: measured.peak_memory,
                written_pages: measured.written_pages,
                time: Spread::of(whole),
                instantiation: Spread::of(start),
                patch: patch(case, &measured.response),
            });
        }
    }
    Ok(rows)
}

/// The patch as the policy server would send it.
fn patch(case: &Case, answer: &[u8]) -> Option<Patch> {
    let answer: PolicyAnswer = serde_json::from_slice(answer).ok()?;
    let object = case.object.as_ref()?;
    let response = policy_host::AdmissionResponse::from_answer("", Some(object), answer);
    let patch = response.decoded_patch().ok()??;
    Some(Patch { operations: patch.0.len(), bytes: json!(patch).to_string().len() })
}

/// The figures that are the same on every machine, by the name of their row.
pub fn fixed(module: &Module, rows: &[Row]) -> Vec<(String, u64)> {
    let mut figures = vec![("module bytes".to_owned(), module.bytes as u64)];
    for row in rows.iter().filter(|row| row.module == module.name) {
        figures.push((format!("{}: fuel", row.case), row.fuel));
        figures.push((format!("{}: peak memory bytes", row.case), row.peak_memory_bytes));
        figures.push((format!("{}: written pages", row.case), row.written_pages));
        if let Some(patch) = row.patch {
            figures.push((format!("{}: patch operations", row.case), patch.operations as u64));
            figures.push((format!("{}: patch bytes", row.case), patch.bytes as u64));
        }
    }
    figures
}

/// Every figure over its budget, every one without a budget, and every budget
/// that no figure answers to, each in a sentence.
pub fn over(figures: &[(String, u64)], budgets: &serde_json::Map<String, Value>) -> Vec<String> {
    let mut broken = Vec::new();
    for (name, figure) in figures {
        match budgets.get(name).and_then(Value::as_u64) {
            Some(budget) if *figure <= budget => (),
            Some(budget) => {
                let percent = (*figure as f64 / budget as f64 - 1.0) * 100.0;
                broken.push(format!("{name} is {figure}, {percent:.1}% over its budget of {budget}"));
            }
            None => broken.push(format!("{name} is {figure} and has no budget")),
        }
    }
    let unknown = budgets.keys().filter(|name| !figures.iter().any(|(known, _)| known == *name));
    broken.extend(unknown.map(|name| format!("{name} has a budget and was not measured")));
    broken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_budget_is_named() {
        let figures = [("a".to_owned(), 110), ("b".to_owned(), 5), ("c".to_owned(), 1)];
        let budgets = json!({ "a": 100, "b": 5, "d": 1 });
        assert_eq!(
            over(&figures, budgets.as_object().unwrap_or(&serde_json::Map::new())),
            [
                "a is 110, 10.0% over its budget of 100",
                "c is 1 and has no budget",
                "d has a budget and was not measured"
            ]
        );
    }

    #[test]
    fn the_spread_is_of_the_sorted_times() {
        let times = (0..=100).rev().map(Duration::from_micros).collect();
        let spread = Spread::of(times).map(|spread| (spread.p10, spread.median, spread.p90));
        assert_eq!(spread, Some((10.0, 50.0, 90.0)));
        assert!(Spread::of(Vec::new()).is_none());
    }
}
