//! PEM certificates (RFC 7468), as far as a typing or copying mistake goes: the
//! containers' own TLS stacks read what is inside.

/// Why `text` is not one or several certificates, if it is not.
pub fn flaw(text: &str) -> Option<&'static str> {
    if text.contains('\0') {
        return Some("has a NUL character, which no variable can have");
    }
    let mut certificates = 0_usize;
    let mut inside: Option<Decoder> = None;
    for line in text.lines().map(str::trim) {
        match (line, inside.as_mut()) {
            ("-----BEGIN CERTIFICATE-----", None) => inside = Some(Decoder::default()),
            ("-----BEGIN CERTIFICATE-----", Some(_)) => return Some("has a certificate without an end"),
            ("-----END CERTIFICATE-----", Some(decoder)) => {
                if !decoder.is_der_sequence() {
                    return Some("has a certificate whose content is damaged");
                }
                certificates = certificates.saturating_add(1);
                inside = None;
            }
            (line, _) if line.starts_with("-----BEGIN") && line.contains("PRIVATE KEY") => {
                return Some("holds a private key");
            }
            (line, None) if line.starts_with("-----") => {
                return Some("has something else than certificates in it");
            }
            // Text outside of a certificate explains it.
            (_, None) => (),
            (line, Some(decoder)) => {
                if !line.bytes().all(|byte| decoder.push(byte)) {
                    return Some("has a certificate whose content is not base64");
                }
            }
        }
    }
    if inside.is_some() {
        return Some("has a certificate without an end");
    }
    (certificates == 0).then_some("has no PEM certificate")
}

/// Counts the bytes that base64 stands for and keeps the first few.
#[derive(Default)]
struct Decoder {
    head: Vec<u8>,
    length: usize,
    bits: u32,
    count: u32,
    padded: bool,
}

impl Decoder {
    fn push(&mut self, byte: u8) -> bool {
        let value = match byte {
            b'A'..=b'Z' => byte.wrapping_sub(b'A'),
            b'a'..=b'z' => byte.wrapping_sub(b'a').wrapping_add(26),
            b'0'..=b'9' => byte.wrapping_sub(b'0').wrapping_add(52),
            b'+' => 62,
            b'/' => 63,
            b'=' => {
                self.padded = true;
                return true;
            }
            _ => return false,
        };
        if self.padded {
            return false;
        }
        self.bits = (self.bits << 6 | u32::from(value)) & 0xff_ffff;
        self.count = self.count.saturating_add(6);
        if self.count >= 8 {
            self.count = self.count.saturating_sub(8);
            self.length = self.length.saturating_add(1);
            if self.head.len() < 6 {
                self.head.push((self.bits >> self.count).to_le_bytes()[0]);
            }
        }
        true
    }

    /// Whether the bytes begin as an ASN.1 SEQUENCE of just their number, as a
    /// certificate does.
    fn is_der_sequence(&self) -> bool {
        let mut head = self.head.iter().map(|byte| usize::from(*byte));
        if head.next() != Some(0x30) {
            return false;
        }
        let (header, length) = match head.next() {
            Some(short @ 0..=0x7f) => (2_usize, short),
            Some(long @ 0x81..=0x83) => {
                let bytes = long & 0xf;
                let length = head.take(bytes).fold(0_usize, |length, byte| length << 8 | byte);
                (bytes.saturating_add(2), length)
            }
            _ => return false,
        };
        header.saturating_add(length) == self.length
    }
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
            ("", "no PEM"),
            (&format!("a\0b\n{SMALL}"), "NUL"),
            ("hello", "no PEM"),
            ("-----BEGIN CERTIFICATE-----\nMAMC\n", "without an end"),
            ("-----BEGIN CERTIFICATE-----\nMAMC\n-----END CERTIFICATE-----", "damaged"),
            ("-----BEGIN CERTIFICATE-----\n%%%\n-----END CERTIFICATE-----", "base64"),
            ("-----BEGIN RSA PRIVATE KEY-----\nMAMC\n-----END RSA PRIVATE KEY-----", "private key"),
            ("-----BEGIN PUBLIC KEY-----\nMAMC\n", "something else"),
        ] {
            assert!(flaw(text).is_some_and(|flaw| flaw.contains(word)), "{text:?}: {:?}", flaw(text));
        }
    }
}
