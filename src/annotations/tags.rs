//! Tags of the service.

use super::names::{OLD_TAGS, PREFIX, TAGS};
use super::{Annotations, full};
use crate::problem::Findings;

pub fn parse(annotations: &Annotations<'_>, findings: &mut Findings) -> Vec<String> {
    let old = annotations.get(OLD_TAGS);
    if old.is_some() {
        findings.warn(format!("{} is deprecated; use {PREFIX}{TAGS} instead", full(OLD_TAGS)));
    }
    let lists = annotations.get(TAGS).into_iter().chain(old);
    let tags = lists.flat_map(|list| list.split(',')).map(str::trim);
    tags.filter(|tag| !tag.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_under_both_names() {
        let mut findings = Findings::default();
        let tags = parse(&Annotations::from_iter([(TAGS, " a, b,,"), (OLD_TAGS, "c")]), &mut findings);
        assert_eq!(tags, ["a", "b", "c"]);
        assert!(findings.warnings[0].as_str().contains("deprecated"));
    }
}
