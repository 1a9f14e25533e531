//! Text that the kubelet puts into a container.

/// Protects a text from the kubelet, which makes the variable's value of `$(NAME)` and `$`
/// of `$$`, in `env`, `command`, `args` and exec probes, but not in lifecycle hooks.
///
/// <https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/>
pub fn literal(text: &str) -> String {
    text.replace('$', "$$")
}

/// The value of a variable that stands earlier in the environment.
pub fn reference(variable: &str) -> String {
    format!("$({variable})")
}

/// Whether the kubelet would expand one of `variables` in the text.
pub fn refers_to<'v>(text: &str, variables: impl IntoIterator<Item = &'v str>) -> bool {
    text.contains("$(") && variables.into_iter().any(|variable| text.contains(&reference(variable)))
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
        for text in ["$", "$$", "$(POD_IP)", "$$(POD_IP)", "$POD_IP", "a$", "${x}", "$$$(x)", "$$$(x", "$a$(x)"] {
            assert_eq!(expanded(&literal(text), &variables), text);
        }
        let text = reference("POD_IP") + &literal("-$a");
        assert_eq!(expanded(&text, &variables), "10.0.0.1-$a");
    }

    #[test]
    fn a_reference_is_found() {
        assert!(refers_to("http://$(DB_HOST):1", ["X", "DB_HOST"]));
        assert!(!refers_to("$DB_HOST $(DB_HOST_2)", ["DB_HOST"]));
    }
}
