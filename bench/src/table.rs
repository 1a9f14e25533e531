//! The measurements as a table for people.

use std::fmt::Write as _;

use crate::measure::{Module, Row, Spread};

const HEAD: [&str; 9] = [
    "call",
    "module",
    "fuel",
    "us (p10-p90)",
    "beyond last",
    "instance us",
    "memory KiB",
    "written pages",
    "patch",
];

/// A row for each call and module. "Beyond last" is the time beyond the same call
/// of the last module.
pub fn of(modules: &[Module], rows: &[Row]) -> String {
    let mut lines = vec![HEAD.map(str::to_owned)];
    let last = modules.last().map(|module| module.name.as_str());
    for row in rows {
        let bound = rows.iter().find(|other| other.case == row.case && Some(&*other.module) == last);
        let beyond = match (row.time, bound.and_then(|bound| bound.time)) {
            (Some(time), Some(bound)) if Some(&*row.module) != last => {
                format!("{:+.1}", time.median - bound.median)
            }
            _ => String::new(),
        };
        lines.push([
            row.case.to_owned(),
            row.module.clone(),
            row.fuel.to_string(),
            row.time.map(spread).unwrap_or_default(),
            beyond,
            row.instantiation.map(|time| format!("{:.1}", time.median)).unwrap_or_default(),
            (row.peak_memory_bytes / 1024).to_string(),
            row.written_pages.to_string(),
            row.patch
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
    text
}

fn spread(time: Spread) -> String {
    format!("{:.1} ({:.1}-{:.1})", time.median, time.p10, time.p90)
}
