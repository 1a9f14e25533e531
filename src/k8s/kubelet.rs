//! Texts in which the kubelet expands variables.

use serde::Serialize;

/// Escapes a text for the kubelet, which replaces `$(NAME)` with the variable's value and `$$` with
/// `$`, in `env`, `command`, `args` and exec probes, but not in lifecycle hooks.
///
/// <https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/>
pub fn literal(text: &str) -> String {
    text.replace('$', "$$")
}

/// A reference to a variable that is earlier in the environment.
pub fn reference(variable: &str) -> String {
    format!("$({variable})")
}

/// The value of an environment variable. It consists of literals and references only, so the
/// kubelet expands nothing else.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct EnvText(String);

impl EnvText {
    pub fn literal(text: &str) -> Self {
        EnvText(literal(text))
    }

    pub fn reference(variable: &str) -> Self {
        EnvText(reference(variable))
    }

    /// Appends a literal.
    #[must_use]
    pub fn with(&self, text: &str) -> Self {
        EnvText(format!("{}{}", self.0, literal(text)))
    }

    /// Appends a reference to a variable.
    #[must_use]
    pub fn with_reference(&self, variable: &str) -> Self {
        EnvText(format!("{}{}", self.0, reference(variable)))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether the kubelet would expand one of `variables` in the text.
pub fn refers_to<'v>(text: &str, variables: impl IntoIterator<Item = &'v str>) -> bool {
    text.contains('$') && variables.into_iter().any(|variable| text.contains(&reference(variable)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kubelet makes of a value, by the rules of its expansion.
    fn expanded(text: &str, variables: &[(&str, &str)]) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            out.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix('$') {
                out.push('$');
                rest = after;
            } else if let Some((name, after)) = rest.strip_prefix('(').and_then(|r| r.split_once(')')) {
                match variables.iter().find(|(known, _)| *known == name) {
                    Some((_, value)) => out.push_str(value),
                    None => out.push_str(&format!("$({name})")),
                }
                rest = after;
            } else {
                out.push('$');
            }
        }
        out + rest
    }

    #[test]
    fn a_literal_survives_the_kubelet_and_a_reference_is_filled_in() {
        let variables = [("POD_IP", "10.0.0.1"), ("x", "y")];
        for text in
            ["$", "$$", "$(POD_IP)", "$$(POD_IP)", "$POD_IP", "a$", "${x}", "$$$(x)", "$$$(x", "$a$(x)"]
        {
            assert_eq!(expanded(&literal(text), &variables), text);
        }
        let text = EnvText::reference("POD_IP").with("-$a");
        assert_eq!(expanded(text.as_str(), &variables), "10.0.0.1-$a");
    }

    #[test]
    fn a_reference_is_found() {
        assert!(refers_to("http://$(DB_HOST):1", ["X", "DB_HOST"]));
        assert!(!refers_to("$DB_HOST $(DB_HOST_2)", ["DB_HOST"]));
    }
}
