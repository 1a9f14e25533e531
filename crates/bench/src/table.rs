//! Prints the measurements as a table.

use std::fmt::Write as _;

use crate::measure::{Module, Row};

/// The baseline module, which accepts without reading the request.
const ACCEPT: &str = "accept";
/// A module that uses the SDK's types in the obvious way.
const NAIVE: &str = "naive";

/// The limit for a call of the policy, less the time of `accept`, as a fraction of that of `naive`.
const AIMS: [(&str, f64); 4] =
    [("skip", 0.5), ("inject 4 KB", 1.8), ("inject 64 KB", 1.0), ("inject 1 MB", 1.0)];

const HEAD: [&str; 9] = [
    "call",
    "module",
    "fuel",
    "us (p10-p90)",
    "beyond accept",
    "of naive",
    "instance us",
    "memory KiB",
    "patch",
];

/// A row for each call and module, the modules' sizes, and the goals for the first module.
pub fn of(modules: &[Module], rows: &[Row]) -> String {
    let mut lines = vec![HEAD.map(str::to_owned)];
    for row in rows {
        let figures = &row.figures;
        lines.push([
            row.case.to_owned(),
            row.module.clone(),
            figures.fuel.to_string(),
            format!("{:.1} ({:.1}-{:.1})", row.time.median, row.time.p10, row.time.p90),
            beyond_accept(rows, row).map(|beyond| format!("{beyond:+.1}")).unwrap_or_default(),
            of_naive(rows, row).map(|ratio| format!("{ratio:.2}")).unwrap_or_default(),
            format!("{:.1}", row.instance.median),
            (figures.peak_memory_bytes / 1024).to_string(),
            figures
                .patch
                .map(|patch| format!("{} operations, {} bytes", patch.operations, patch.bytes))
                .unwrap_or_default(),
        ]);
    }
    let widths: Vec<usize> = (0..HEAD.len())
        .map(|column| lines.iter().filter_map(|line| line.get(column)).map(String::len).max().unwrap_or(0))
        .collect();
    let mut text = String::new();
    for line in &lines {
        let cells: Vec<String> = line
            .iter()
            .zip(&widths)
            .enumerate()
            .map(|(column, (cell, width))| match column {
                2..=7 => format!("{cell:>width$}"),
                _ => format!("{cell:<width$}"),
            })
            .collect();
        let _ = writeln!(text, "{}", cells.join("  ").trim_end());
    }
    for module in modules {
        let _ = writeln!(text, "{}: {} bytes", module.name, module.bytes);
    }
    for (case, most) in AIMS {
        let subject = modules.first().map(|module| module.name.as_str());
        let row = rows.iter().find(|row| row.case == case && Some(row.module.as_str()) == subject);
        if let Some((row, ratio)) = row.and_then(|row| Some((row, of_naive(rows, row)?))) {
            let met = if ratio <= most { "met" } else { "MISSED" };
            let _ = writeln!(text, "{case}: {} takes {ratio:.2} of naive, at most {most}: {met}", row.module);
        }
    }
    text
}

/// The median, less that of the same call of `accept`.
fn beyond_accept(rows: &[Row], row: &Row) -> Option<f64> {
    let accept = rows.iter().find(|other| other.case == row.case && other.module == ACCEPT)?;
    (row.module != ACCEPT).then_some(row.time.median - accept.time.median)
}

/// The same as a fraction of that of `naive`.
fn of_naive(rows: &[Row], row: &Row) -> Option<f64> {
    let naive = rows.iter().find(|other| other.case == row.case && other.module == NAIVE)?;
    (row.module != NAIVE).then_some(beyond_accept(rows, row)? / beyond_accept(rows, naive)?)
}

#[cfg(test)]
mod tests {
    use policy_budgets::Figures;

    use super::*;
    use crate::measure::Spread;

    #[test]
    fn a_module_is_compared_beyond_accept() {
        let row = |module: &str, median| Row {
            case: "skip",
            module: module.to_owned(),
            figures: Figures { fuel: 1, peak_memory_bytes: 1024, patch: None },
            time: Spread { median, p10: median, p90: median },
            instance: Spread { median: 1.0, p10: 1.0, p90: 1.0 },
        };
        let rows = [row("policy", 40.0), row(NAIVE, 70.0), row(ACCEPT, 20.0)];
        assert_eq!(
            rows.iter().map(|row| beyond_accept(&rows, row)).collect::<Vec<_>>(),
            [Some(20.0), Some(50.0), None]
        );
        assert_eq!(rows.iter().map(|row| of_naive(&rows, row)).collect::<Vec<_>>(), [Some(0.4), None, None]);
    }
}
