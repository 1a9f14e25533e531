//! The annotation's list of upstreams, whatever the form of each of them.

use crate::problem::{Findings, Flaw};
use crate::text::Quoted;

/// Every upstream adds a listener to Envoy and two variables to every container.
const LIMIT: usize = 500;

/// Finds a port by its name or its number.
pub type ResolvePort<'r> = dyn Fn(&str) -> Result<u16, Flaw> + 'r;

/// The items of the annotation's value. Too many are a problem, and none of them is read.
pub fn items<'v>(subject: &str, value: &'v str, findings: &mut Findings) -> Vec<&'v str> {
    // An explicitly empty value means no upstreams.
    if value.is_empty() {
        return Vec::new();
    }
    let count = value.split(',').count();
    if count > LIMIT {
        let why = format!("must be at most {LIMIT} upstreams, found {count}");
        let flaw = Flaw::new(why, "list only services that the pod calls");
        findings.problem(flaw.at(subject).value(value));
        return Vec::new();
    }
    value.split(',').map(str::trim).collect()
}

/// Another upstream, `first`, has the same local port.
pub fn port_is_taken(first: &str) -> Flaw {
    let why = format!("its local port is already used by upstream {}", Quoted(first, 60));
    Flaw::new(why, "use another port")
}

pub const SEPARATOR_RULE: &str = "must be a list of upstreams separated by commas";

/// Whether an item of the list consists of several upstreams, with another separator than a comma.
pub fn has_other_separator(item: &str) -> bool {
    // A semicolon also separates options, which have an equals sign.
    let is_upstream = |part: &&str| {
        let (name, port) = part.split_once(':').unwrap_or_default();
        !name.is_empty() && !name.contains('=') && !port.is_empty()
    };
    let parts = item.split(|separator: char| separator.is_whitespace() || separator == ';');
    parts.filter(is_upstream).count() > 1
}
