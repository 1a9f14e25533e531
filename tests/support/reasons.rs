//! The intended differences between the policy and the injector that it replaces.

use std::collections::BTreeMap;

/// A kind of intended difference.
pub struct Reason<D> {
    /// A bullet in `docs/migrate.md`.
    pub says: &'static str,
    pub explains: fn(&D) -> bool,
}

/// What the first reason that explains a difference says.
pub fn explanation<D>(difference: &D, reasons: &[Reason<D>]) -> Option<&'static str> {
    reasons.iter().find(|reason| (reason.explains)(difference)).map(|reason| reason.says)
}

/// Fails for a difference without an explanation, and for a reason that explains none.
pub fn assert_explained(
    differences: impl IntoIterator<Item = (String, Option<&'static str>)>,
    reasons: impl IntoIterator<Item = &'static str>,
) {
    let mut explained: BTreeMap<&str, usize> = reasons.into_iter().map(|says| (says, 0)).collect();
    let mut unexplained = Vec::new();
    for (difference, explanation) in differences {
        match explanation {
            Some(says) => *explained.get_mut(says).unwrap() += 1,
            None => unexplained.push(difference),
        }
    }
    for (says, differences) in &explained {
        println!("{differences:5} {says}");
    }
    let count = unexplained.len();
    assert!(unexplained.is_empty(), "{count} differences without a reason:\n{}", unexplained.join("\n"));
    explained.retain(|_, differences| *differences == 0);
    assert!(explained.is_empty(), "reasons without a difference: {:#?}", explained.keys());
}
