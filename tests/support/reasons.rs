//! The intended differences between the policy and the injector that it replaces.

use std::fmt::Display;

/// A kind of intended difference.
pub struct Reason<D> {
    pub name: &'static str,
    /// A bullet in `docs/migrate.md`.
    pub says: &'static str,
    pub explains: fn(&D) -> bool,
}

/// Fails for a difference without a reason, and for a reason that is not the first one to explain
/// any difference.
pub fn assert_explained<D: Display>(differences: impl IntoIterator<Item = D>, reasons: &[Reason<D>]) {
    let mut explained = vec![0; reasons.len()];
    let mut unexplained = Vec::new();
    for difference in differences {
        match reasons.iter().position(|reason| (reason.explains)(&difference)) {
            Some(index) => explained[index] += 1,
            None => unexplained.push(difference.to_string()),
        }
    }
    let mut unused = Vec::new();
    for (Reason { name, says, .. }, differences) in reasons.iter().zip(explained) {
        println!("{differences:5} {name}: {says}");
        if differences == 0 {
            unused.push(*name);
        }
    }
    let count = unexplained.len();
    assert!(unexplained.is_empty(), "{count} differences without a reason:\n{}", unexplained.join("\n"));
    assert!(unused.is_empty(), "reasons without a difference: {unused:?}");
}
