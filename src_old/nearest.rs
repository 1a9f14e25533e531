//! The known name that somebody probably meant.

/// The nearest of `known` to `name`, if one is near enough to be a likely slip.
pub fn nearest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    // A long name is no slip of a known one, and comparing costs its length.
    if name.len() > 64 {
        return None;
    }
    if let Some(longer) = shortened(name, known) {
        return Some(longer);
    }
    let limit = name.chars().count().div_ceil(3).min(4);
    let candidates = known.iter().map(|candidate| (distance(name, candidate), *candidate));
    candidates.filter(|(distance, _)| *distance <= limit).min_by_key(|(d, _)| *d).map(|(_, c)| c)
}

/// The known name of which `name` leaves out words or the ends of words:
/// `service-port` of `connect-service-port`, `connect-proto` of
/// `connect-service-protocol`.
fn shortened<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    let leaves_out = |candidate: &&str| {
        let mut words = candidate.split('-');
        name.split('-').all(|part| part.len() > 2 && words.any(|word| word.starts_with(part)))
    };
    // The last word says what it is about.
    let last = |text: &str| text.rsplit('-').next().map(str::to_owned);
    known
        .iter()
        .copied()
        .filter(leaves_out)
        .min_by_key(|candidate| (last(candidate) != last(name), candidate.len()))
}

/// Levenshtein's distance, capital letters being the same as small ones.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (index, l) in left.chars().enumerate() {
        let mut diagonal = index;
        let mut before = index.saturating_add(1);
        let mut next = Vec::with_capacity(row.len());
        next.push(before);
        for (above, r) in row.iter().skip(1).zip(&right) {
            let changed = diagonal.saturating_add(usize::from(!l.eq_ignore_ascii_case(r)));
            before = changed.min(above.saturating_add(1)).min(before.saturating_add(1));
            next.push(before);
            diagonal = *above;
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognized_and_other_names_are_not() {
        let known = &["imageConsul", "imageEnvoy", "default"];
        assert_eq!(nearest("imageconsul", known), Some("imageConsul"));
        assert_eq!(nearest("imageEnvoi", known), Some("imageEnvoy"));
        assert_eq!(nearest("defualt", known), Some("default"));
        assert_eq!(nearest("tolerations", known), None);
        assert_eq!(distance("kitten", "sitting"), 3);
    }

    #[test]
    fn words_that_were_left_out_or_cut_short() {
        let known = crate::annotations::name::KNOWN;
        for (name, meant) in [
            ("service-port", "connect-service-port"),
            ("connect-upstreams", "connect-service-upstreams"),
            ("connect-service-proto", "connect-service-protocol"),
            ("proxy-cpu-limit", "sidecar-proxy-cpu-limit"),
            ("sidecar-proxy-mem-limit", "sidecar-proxy-memory-limit"),
            ("service-tag", "service-tags"),
            ("upstreams", "connect-service-upstreams"),
            ("port", "connect-service-port"),
            ("service", "connect-service"),
        ] {
            assert_eq!(nearest(name, known), Some(meant), "{name}");
        }
        assert_eq!(nearest("config-checksum", known), None);
        assert_eq!(nearest("gateway-kind", known), None);
    }
}
