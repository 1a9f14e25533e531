//! Durations in the syntax of Go and Consul: `10s`, `1m30s`, `1.5h`.

use std::fmt;

/// A duration in whole milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Millis(pub u64);

impl Millis {
    pub const SECOND: Millis = Millis(1000);

    /// Like Go's `time.ParseDuration`, for durations of at least 0.
    pub fn parse_go(text: &str) -> Option<Millis> {
        if text == "0" {
            return Some(Millis(0));
        }
        let mut rest = text.strip_prefix('+').unwrap_or(text);
        if rest.is_empty() {
            return None;
        }
        let mut nanos: u128 = 0;
        while !rest.is_empty() {
            let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
            let (number, tail) = rest.split_at_checked(end)?;
            let end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
            let (unit, next) = tail.split_at_checked(end)?;
            let unit: u128 = match unit {
                "ns" => 1,
                "us" | "µs" | "μs" => 1_000,
                "ms" => 1_000_000,
                "s" => 1_000_000_000,
                "m" => 60_000_000_000,
                "h" => 3_600_000_000_000,
                _ => return None,
            };
            let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
            if whole.is_empty() && fraction.is_empty() || fraction.len() > 18 {
                return None;
            }
            if !whole.is_empty() {
                nanos = nanos.checked_add(whole.parse::<u64>().ok().map(u128::from)?.checked_mul(unit)?)?;
            }
            if !fraction.is_empty() {
                let part: u128 = fraction.parse().ok()?;
                let scale = 10_u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
                nanos = nanos.checked_add(part.checked_mul(unit)?.checked_div(scale)?)?;
            }
            rest = next;
        }
        u64::try_from(nanos / 1_000_000).ok().map(Millis)
    }

    /// For `sleep`: seconds, with a fraction only if needed.
    pub fn as_seconds(self) -> String {
        let (seconds, millis) = (self.0 / 1000, self.0 % 1000);
        if millis == 0 {
            return seconds.to_string();
        }
        format!("{seconds}.{millis:03}").trim_end_matches('0').to_owned()
    }
}

/// In Consul's syntax.
impl fmt::Display for Millis {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 % 1000 {
            0 => write!(formatter, "{}s", self.0 / 1000),
            _ => write!(formatter, "{}ms", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_as_go_takes_them() {
        for (text, millis) in [
            ("10s", 10_000),
            ("1m30s", 90_000),
            ("1.5h", 5_400_000),
            ("250ms", 250),
            ("0", 0),
            ("+1s", 1000),
            (".5s", 500),
        ] {
            assert_eq!(Millis::parse_go(text), Some(Millis(millis)), "{text}");
        }
        for text in ["", "10", "s", "1x", "-1s", "1 s", "1s ", ".s", "99999999999999999999h", "1..5s"] {
            assert_eq!(Millis::parse_go(text), None, "{text:?}");
        }
    }

    #[test]
    fn seconds_for_sleep() {
        assert_eq!(Millis(1500).as_seconds(), "1.5");
        assert_eq!(Millis(10_000).as_seconds(), "10");
    }
}
