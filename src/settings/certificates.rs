//! Checks PEM certificates (RFC 7468) for typing and copying mistakes. Their content is left to
//! the TLS libraries in the containers.

use pem::PemError;

const NO_END: &str = "has a certificate without an end line";

/// What is wrong with `text`, if it does not consist of certificates.
pub fn flaw(text: &str) -> Option<&'static str> {
    if text.contains('\0') {
        return Some("must not contain a NUL character");
    }
    let blocks: Vec<&str> = text.lines().filter_map(|line| line.trim().strip_prefix("-----BEGIN ")).collect();
    if blocks.iter().any(|label| label.contains("PRIVATE KEY")) {
        return Some("must not contain a private key");
    }
    if blocks.iter().any(|label| *label != "CERTIFICATE-----") {
        return Some("must contain only certificates");
    }
    if blocks.is_empty() {
        return Some("must contain a PEM certificate");
    }
    match pem::parse_many(text) {
        Err(PemError::InvalidData(_)) => Some("has a certificate whose content is not base64"),
        Ok(certificates) if certificates.len() == blocks.len() => {
            let damaged = certificates.iter().any(|certificate| !is_der_sequence(certificate.contents()));
            damaged.then_some("has a certificate whose content is damaged")
        }
        _ => Some(NO_END),
    }
}

/// Whether the bytes are one complete DER sequence. A truncated certificate is not.
fn is_der_sequence(bytes: &[u8]) -> bool {
    let Some((0x30, rest)) = bytes.split_first().map(|(tag, rest)| (*tag, rest)) else { return false };
    let Some((length, content)) = rest.split_first() else { return false };
    let Some(digits) = length.checked_sub(0x80).map(usize::from) else {
        return content.len() == usize::from(*length);
    };
    let Some((digits, content)) = content.split_at_checked(digits) else { return false };
    digits.len() <= 4
        && digits.iter().fold(0, |length, digit| length * 256 + usize::from(*digit)) == content.len()
}

#[cfg(test)]
mod tests {
    use super::flaw;

    // SEQUENCE { INTEGER 1 }: the smallest thing that has a certificate's frame.
    const SMALL: &str = "-----BEGIN CERTIFICATE-----\nMAMC\nAQE=\n-----END CERTIFICATE-----\n";

    #[test]
    fn one_or_several_with_text_around_them() {
        assert_eq!(flaw(SMALL), None);
        assert_eq!(flaw(&format!("# the old one\n{SMALL}\n# the new one\r\n{SMALL}")), None);
    }

    #[test]
    fn damage_is_noticed() {
        for (text, word) in [
            ("", "must contain a PEM"),
            (&format!("a\0b\n{SMALL}"), "NUL"),
            ("hello", "must contain a PEM"),
            ("-----BEGIN CERTIFICATE-----\nMAMC\n", "without an end"),
            ("-----BEGIN CERTIFICATE-----\nMAMC\n-----END CERTIFICATE-----", "damaged"),
            ("-----BEGIN CERTIFICATE-----\n%%%\n-----END CERTIFICATE-----", "base64"),
            ("-----BEGIN RSA PRIVATE KEY-----\nMAMC\n-----END RSA PRIVATE KEY-----", "private key"),
            ("-----BEGIN PUBLIC KEY-----\nMAMC\n", "only certificates"),
        ] {
            assert!(flaw(text).is_some_and(|flaw| flaw.contains(word)), "{text:?}: {:?}", flaw(text));
        }
    }
}
