//! The name of a service in Consul.

use std::fmt;

use crate::text::is_word;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceName(String);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceNameError {
    Empty,
    Several,
    TooLong,
    Characters,
    Ends,
}

impl ServiceName {
    pub const REMEDY: &str =
        "write letters, digits, '-', '_' and '.', beginning and ending with a letter or digit, at most 256";

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
        } else if text.bytes().all(|byte| byte.is_ascii_alphanumeric() || MARKS.contains(&byte)) {
            ServiceNameError::Ends
        } else {
            ServiceNameError::Characters
        })
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as Consul takes it for an ACL identity: in lower case, without a dot.
    pub fn identity(&self) -> String {
        self.0.to_ascii_lowercase().replace('.', "-")
    }
}

impl ServiceNameError {
    pub fn remedy(self) -> &'static str {
        match self {
            ServiceNameError::Several => "write the one that other services call",
            _ => ServiceName::REMEDY,
        }
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Display for ServiceNameError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            ServiceNameError::Empty => "is empty",
            ServiceNameError::Several => "names several services, which this mode does not have",
            ServiceNameError::TooLong => "is longer than 256 bytes",
            ServiceNameError::Characters => "has characters that a service name cannot have",
            ServiceNameError::Ends => "does not begin and end with a letter or digit",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_what_is_none() {
        for name in ["web", "Web", "a.b", "my_svc-1", "0"] {
            assert_eq!(ServiceName::parse(name).unwrap().as_str(), name);
        }
        assert_eq!(ServiceName::parse(""), Err(ServiceNameError::Empty));
        assert_eq!(ServiceName::parse("a,b"), Err(ServiceNameError::Several));
        assert_eq!(ServiceName::parse(&"a".repeat(257)), Err(ServiceNameError::TooLong));
        assert_eq!(ServiceName::parse("-a"), Err(ServiceNameError::Ends));
        for name in ["a b", "a/b", "$(x)", "é", "a\n"] {
            assert_eq!(ServiceName::parse(name), Err(ServiceNameError::Characters), "{name:?}");
        }
        for (name, identity) in [("web-1_a", "web-1_a"), ("Web", "web"), ("a.B", "a-b")] {
            assert_eq!(ServiceName::parse(name).unwrap().identity(), identity);
        }
    }
}
