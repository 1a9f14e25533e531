//! Measures modules alternately, so that disturbances of the machine affect all of them.

use std::time::Duration;

use policy_budgets::{Case, Figures};
use policy_host::{CallError, Policy};
use serde_json::{Value, json};

use crate::server::{Server, ServerError, Time};

/// A module to measure.
pub struct Module {
    pub name: String,
    pub policy: Policy,
    pub server: Server,
    pub bytes: usize,
}

/// The measurements of one kind of call in one module.
#[derive(Clone, Debug)]
pub struct Row {
    pub case: &'static str,
    pub module: String,
    pub figures: Figures,
    /// The time from instantiation to answer.
    pub time: Spread,
    /// The part of it for instantiation.
    pub instance: Spread,
}

/// Microseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    pub median: f64,
    pub p10: f64,
    pub p90: f64,
}

#[derive(Debug, thiserror::Error)]
pub enum MeasureError {
    #[error("{module}: {case}: {source}")]
    Host { module: String, case: &'static str, source: CallError },
    #[error("{module}: {case}: {source}")]
    Server { module: String, case: &'static str, source: ServerError },
}

impl Spread {
    fn of(times: impl Iterator<Item = Duration>) -> Self {
        let mut times: Vec<_> = times.collect();
        times.sort_unstable();
        let at = |percent: usize| {
            let index = (times.len().saturating_sub(1) * percent + 50) / 100;
            times.get(index).map_or(f64::NAN, |time| time.as_secs_f64() * 1e6)
        };
        Self { median: at(50), p10: at(10), p90: at(90) }
    }
}

impl Row {
    pub fn json(&self) -> Value {
        let spread =
            |spread: Spread| json!({ "median": spread.median, "p10": spread.p10, "p90": spread.p90 });
        json!({
            "case": self.case,
            "module": self.module,
            "fuel": self.figures.fuel,
            "peak_memory_bytes": self.figures.peak_memory_bytes,
            "microseconds": spread(self.time),
            "instance_microseconds": spread(self.instance),
            "patch": self.figures.patch.map(|patch| json!({ "operations": patch.operations, "bytes": patch.bytes })),
        })
    }
}

/// The number of consecutive calls of a module: as on a server under load, its code is then in
/// the processor's caches.
const TURN: usize = 25;

/// Measures each case with each module; `runs` is the number of timed calls.
pub fn all(modules: &[Module], cases: &[Case], runs: usize) -> Result<Vec<Row>, MeasureError> {
    let mut rows = Vec::new();
    for case in cases {
        let mut timed: Vec<Vec<Time>> = vec![Vec::new(); modules.len()];
        // Requests of 1 MB take some forty times as long, and vary less.
        let runs = if case.payload.len() > 512 * 1024 { runs.div_ceil(20) } else { runs };
        for turn in (0..runs).step_by(TURN) {
            for (module, times) in modules.iter().zip(&mut timed) {
                for _ in turn..runs.min(turn + TURN) {
                    let time = module.server.time(case.operation, &case.payload);
                    times.push(time.map_err(|source| MeasureError::Server {
                        module: module.name.clone(),
                        case: case.name,
                        source,
                    })?);
                }
            }
        }
        for (module, times) in modules.iter().zip(timed) {
            let figures = policy_budgets::measure(&module.policy, case).map_err(|source| {
                MeasureError::Host { module: module.name.clone(), case: case.name, source }
            })?;
            rows.push(Row {
                case: case.name,
                module: module.name.clone(),
                figures,
                time: Spread::of(times.iter().map(|time| time.instance + time.call)),
                instance: Spread::of(times.iter().map(|time| time.instance)),
            });
        }
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spread_is_of_the_sorted_times() {
        let spread = Spread::of((0..=100).rev().map(Duration::from_micros));
        assert_eq!(spread, Spread { median: 50.0, p10: 10.0, p90: 90.0 });
    }
}
