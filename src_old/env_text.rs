//! Texts for the environment of a container.

use std::borrow::Cow;

/// A text that the kubelet puts into a container's environment. The kubelet
/// expands `$(NAME)` there and makes `$` of `$$`, so a text that is meant to the
/// letter has every `$` doubled.
///
/// <https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/>
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct EnvText<'t>(Cow<'t, str>);

impl<'t> EnvText<'t> {
    /// Arrives in the container as it is written here.
    pub fn literal(text: &'t str) -> Self {
        Cow::Borrowed(text).into()
    }

    /// The value of a variable that stands earlier in the environment.
    pub fn reference(variable: &str) -> EnvText<'static> {
        EnvText(["$(", variable, ")"].concat().into())
    }

    /// What the kubelet is meant to expand as it stands.
    pub fn expanding(text: String) -> EnvText<'static> {
        EnvText(text.into())
    }

    #[must_use]
    pub fn with(&self, literal: &str) -> EnvText<'static> {
        EnvText([&*self.0, EnvText::literal(literal).as_str()].concat().into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'t> From<Cow<'t, str>> for EnvText<'t> {
    fn from(literal: Cow<'t, str>) -> Self {
        EnvText(if literal.contains('$') { literal.replace('$', "$$").into() } else { literal })
    }
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
        for text in ["$", "$$", "$(POD_IP)", "$$(POD_IP)", "$POD_IP", "a$", "${x}", "$$$(x"] {
            assert_eq!(expanded(&EnvText::literal(text).0, &[("POD_IP", "10.0.0.1")]), text);
        }
        let reference = EnvText::reference("POD_IP").with("-$a");
        assert_eq!(expanded(&reference.0, &[("POD_IP", "10.0.0.1")]), "10.0.0.1-$a");
    }
}
