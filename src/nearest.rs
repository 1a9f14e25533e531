//! The known name that somebody probably meant.

/// The nearest of `known` to `name`, if one is near enough to be a likely slip.
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
    // The difference in length is the least that the distance can be, and cheap.
    let candidates = known.iter().filter(|candidate| candidate.chars().count().abs_diff(length) <= limit);
    let candidates = candidates.map(|candidate| (distance(candidate), *candidate));
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
    let last_word = |text: &str| text.rsplit('-').next().map(str::to_owned);
    // The last word says what the name is about.
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
    fn words_that_were_left_out_or_cut_short() {
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
