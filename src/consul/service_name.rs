//! The name of a service in Consul.

use std::fmt;

use crate::problem::Flaw;
use crate::text::is_word;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceName(String);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceNameError {
    Empty,
    Several,
    TooLong,
    Malformed,
}

impl ServiceName {
    pub fn parse(text: &str) -> Result<Self, ServiceNameError> {
        const LONGEST: usize = 256;
        const MARKS: [u8; 3] = [b'-', b'_', b'.'];
        if is_word(text, LONGEST, &MARKS) {
            return Ok(ServiceName(text.to_owned()));
        }
        Err(if text.is_empty() {
            ServiceNameError::Empty
        } else if text.contains(',') {
            ServiceNameError::Several
        } else if text.len() > LONGEST {
            ServiceNameError::TooLong
        } else {
            ServiceNameError::Malformed
        })
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name in the form of an ACL identity: lower case, without dots.
    pub fn identity(&self) -> String {
        self.0.to_ascii_lowercase().replace('.', "-")
    }
}

impl ServiceNameError {
    pub fn rule(self) -> &'static str {
        match self {
            ServiceNameError::Empty => "must not be empty",
            ServiceNameError::Several => {
                "must be a single service: several services are not supported in mode agent"
            }
            ServiceNameError::TooLong => "must be no more than 256 bytes",
            ServiceNameError::Malformed => {
                "must consist of letters, digits, '-', '_' and '.', and must start and end with a letter or digit"
            }
        }
    }

    pub fn flaw(self) -> Flaw {
        match self {
            ServiceNameError::Several => Flaw::new(self.rule(), "write the one that other services call"),
            _ => self.rule().into(),
        }
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_and_invalid_names() {
        for name in ["web", "Web", "a.b", "my_svc-1", "0"] {
            assert_eq!(ServiceName::parse(name).unwrap().as_str(), name);
        }
        assert_eq!(ServiceName::parse(""), Err(ServiceNameError::Empty));
        assert_eq!(ServiceName::parse("a,b"), Err(ServiceNameError::Several));
        assert_eq!(ServiceName::parse(&"a".repeat(257)), Err(ServiceNameError::TooLong));
        for name in ["-a", "a b", "a/b", "$(x)", "é", "a\n"] {
            assert_eq!(ServiceName::parse(name), Err(ServiceNameError::Malformed), "{name:?}");
        }
        for (name, identity) in [("web-1_a", "web-1_a"), ("Web", "web"), ("a.B", "a-b")] {
            assert_eq!(ServiceName::parse(name).unwrap().identity(), identity);
        }
    }
}
