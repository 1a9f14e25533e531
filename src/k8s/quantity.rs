//! Kubernetes resource quantities: `100m`, `64Mi`, `1e3`.
//!
//! <https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/>

use std::fmt;
use std::str::FromStr;

/// A quantity of at least 0, with its original text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quantity {
    text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuantityError {
    Malformed,
    Negative,
}

impl fmt::Display for QuantityError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            QuantityError::Malformed => "must be a quantity such as 100m or 64Mi",
            QuantityError::Negative => "must not be negative",
        })
    }
}

impl Quantity {
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub fn exceeds(&self, limit: &Quantity) -> bool {
        self.nano() > limit.nano()
    }

    /// In billionths, the smallest unit of Kubernetes' quantities.
    pub fn nano(&self) -> u128 {
        parts(&self.text).map_or(0, |(whole, fraction, scale)| scale.apply(whole, fraction))
    }
}

/// The digits before and after the decimal point, and the scale.
fn parts(text: &str) -> Option<(&str, &str, Scale)> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let end = unsigned.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(unsigned.len());
    let (number, suffix) = unsigned.split_at_checked(end)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    Some((whole, fraction, Scale::from_suffix(suffix)?))
}

const NANO: u128 = 1_000_000_000;

impl FromStr for Quantity {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parts(text).ok_or(QuantityError::Malformed)?;
        let quantity = Quantity { text: text.to_owned() };
        if text.starts_with('-') && quantity.nano() > 0 {
            return Err(QuantityError::Negative);
        }
        Ok(quantity)
    }
}

enum Scale {
    Binary(u32),
    Decimal(i32),
}

impl Scale {
    fn from_suffix(suffix: &str) -> Option<Self> {
        Some(match suffix {
            "" => Scale::Decimal(0),
            "n" => Scale::Decimal(-9),
            "u" => Scale::Decimal(-6),
            "m" => Scale::Decimal(-3),
            "k" => Scale::Decimal(3),
            "M" => Scale::Decimal(6),
            "G" => Scale::Decimal(9),
            "T" => Scale::Decimal(12),
            "P" => Scale::Decimal(15),
            "E" => Scale::Decimal(18),
            "Ki" => Scale::Binary(10),
            "Mi" => Scale::Binary(20),
            "Gi" => Scale::Binary(30),
            "Ti" => Scale::Binary(40),
            "Pi" => Scale::Binary(50),
            "Ei" => Scale::Binary(60),
            _ => {
                let exponent = suffix.strip_prefix(['e', 'E'])?;
                let digits = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
                if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                    return None;
                }
                let bound = if exponent.starts_with('-') { -60 } else { 60 };
                Scale::Decimal(exponent.parse().unwrap_or(bound).clamp(-60, 60))
            }
        })
    }

    /// In billionths; larger values saturate.
    fn apply(&self, whole: &str, fraction: &str) -> u128 {
        // Kubernetes' quantities are not more precise than this.
        const PLACES: usize = 18;
        let fraction = fraction.get(..PLACES).unwrap_or(fraction);
        let digits = whole.bytes().chain(fraction.bytes());
        let mantissa = digits
            .fold(0_u128, |value, digit| value.saturating_mul(10).saturating_add(u128::from(digit - b'0')));
        let (exponent, mantissa) = match self {
            Scale::Binary(bits) => (0, mantissa.saturating_mul(1 << bits)),
            Scale::Decimal(exponent) => (*exponent, mantissa),
        };
        let exponent = exponent - i32::try_from(fraction.len()).unwrap_or_default();
        let factor = 10_u128.saturating_pow(exponent.unsigned_abs());
        let nano = mantissa.saturating_mul(NANO);
        if exponent < 0 { nano.div_ceil(factor) } else { nano.saturating_mul(factor) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nano(text: &str) -> u128 {
        text.parse::<Quantity>().unwrap().nano()
    }

    #[test]
    fn every_form_of_a_quantity() {
        assert_eq!(nano("100m"), 100_000_000);
        assert_eq!(nano("1"), NANO);
        assert_eq!(nano("+1.5"), 1_500_000_000);
        assert_eq!(nano(".5"), 500_000_000);
        assert_eq!(nano("5."), 5 * NANO);
        assert_eq!(nano("64Mi"), 64 * 1024 * 1024 * NANO);
        assert_eq!(nano("0.5Ki"), 512 * NANO);
        assert_eq!(nano("1e3"), 1000 * NANO);
        assert_eq!(nano("1E-3"), 1_000_000);
        assert_eq!(nano("1E"), 1_000_000_000_000_000_000 * NANO);
        assert_eq!(nano("-0"), 0);
        assert_eq!(nano(&"9".repeat(400)), u128::MAX);
    }

    #[test]
    fn invalid_quantities() {
        for text in ["", " ", "x", "1 ", "1mi", "1.2.3", "e3", "--1", "1e", "1e+", ".", "0x10", "1,5"] {
            assert_eq!(text.parse::<Quantity>(), Err(QuantityError::Malformed), "{text:?}");
        }
        assert_eq!("-1".parse::<Quantity>(), Err(QuantityError::Negative));
    }
}
