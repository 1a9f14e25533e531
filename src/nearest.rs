//! Suggests a known name for an unknown one.

/// The known name that is most similar to `name`, if one is similar enough.
pub fn nearest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    const LONGEST: usize = 64;
    if name.len() > LONGEST {
        return None;
    }
    if let Some(longer) = shortened(name, known) {
        return Some(longer);
    }
    let length = name.chars().count();
    let limit = length.div_ceil(3).min(4);
    let lower = name.to_ascii_lowercase();
    let distance = |candidate: &str| strsim::levenshtein(&lower, &candidate.to_ascii_lowercase());
    // The distance is at least the difference in length, which is cheap to compute.
    let candidates = known.iter().filter(|candidate| candidate.chars().count().abs_diff(length) <= limit);
    let candidates = candidates.map(|candidate| (distance(candidate), *candidate));
    candidates.filter(|(distance, _)| *distance <= limit).min_by_key(|(d, _)| *d).map(|(_, c)| c)
}

/// The known name of which `name` omits words or the ends of words: `service-port` for
/// `connect-service-port`, `connect-proto` for `connect-service-protocol`.
fn shortened<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    let leaves_out = |candidate: &&str| {
        let mut words = candidate.split('-');
        name.split('-').all(|part| part.len() > 2 && words.any(|word| word.starts_with(part)))
    };
    let last_word = |text: &str| text.rsplit('-').next().map(str::to_owned);
    // The last word is the most significant.
    let rank = |candidate: &&str| (last_word(candidate) != last_word(name), candidate.len());
    known.iter().copied().filter(leaves_out).min_by_key(rank)
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
    }

    #[test]
    fn omitted_or_truncated_arguments() {
        let known = &["connect-service", "connect-service-port", "connect-service-upstreams", "service-tags"];
        for (name, meant) in [
            ("service-port", "connect-service-port"),
            ("connect-upstreams", "connect-service-upstreams"),
            ("service-tag", "service-tags"),
            ("upstreams", "connect-service-upstreams"),
            ("service", "connect-service"),
        ] {
            assert_eq!(nearest(name, known), Some(meant), "{name}");
        }
        assert_eq!(nearest("config-checksum", known), None);
        assert_eq!(nearest("gateway-kind", known), None);
    }
}
