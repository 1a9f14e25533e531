//! The Consul side: what a pod's service is, in Consul's terms.

pub mod namespace;
pub mod protocol;
pub mod readiness;
pub mod registration;
pub mod service_name;
pub mod upstream;

/// Whether a name is letters and digits, and between them these marks.
pub fn is_word(text: &str, longest: usize, marks: &[u8]) -> bool {
    let ends = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    text.len() <= longest
        && ends(text.bytes().next())
        && ends(text.bytes().last())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || marks.contains(&byte))
}
