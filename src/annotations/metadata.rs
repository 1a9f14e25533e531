//! Metadata of the service: `service-meta-KEY`.

use super::names::{META, PREFIX};
use super::{Annotations, full};
use crate::problem::{Findings, Flaw, Problem};

/// Keys that the policy sets itself.
pub const POD_NAME_KEY: &str = "pod-name";
pub const K8S_NAMESPACE_KEY: &str = "k8s-namespace";

/// Consul's limits, in bytes and pairs.
const KEY_LIMIT: usize = 128;
const VALUE_LIMIT: usize = 512;
const PAIRS_LIMIT: usize = 64;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MetaValue {
    Literal(String),
    /// An environment variable with a field of the pod.
    Variable(&'static str),
}

impl MetaValue {
    fn parse(value: &str) -> Self {
        match value {
            "$POD_NAME" => MetaValue::Variable("POD_NAME"),
            "$POD_NAMESPACE" => MetaValue::Variable("POD_NAMESPACE"),
            "$POD_IP" => MetaValue::Variable("POD_IP"),
            "$HOST_IP" => MetaValue::Variable("HOST_IP"),
            literal => MetaValue::Literal(literal.to_owned()),
        }
    }
}

/// `reserved` are the keys that the registration sets itself in this mode.
pub fn parse(
    annotations: &Annotations<'_>,
    reserved: &[&str],
    findings: &mut Findings,
) -> Vec<(String, MetaValue)> {
    let mut pairs = Vec::new();
    for (name, value) in annotations.iter() {
        let Some(key) = name.strip_prefix(META) else { continue };
        let problems = [
            key_flaw(key, reserved).map(|flaw| flaw.at(full(name))),
            value_flaw(value).map(|flaw| flaw.at(full(name)).value(value)),
        ];
        findings.problems.extend(problems.into_iter().flatten());
        pairs.push((key.to_owned(), MetaValue::parse(value)));
    }
    let limit = PAIRS_LIMIT.saturating_sub(reserved.len());
    if pairs.len() > limit {
        let rule = format!(
            "must be at most {limit}, found {}: Consul accepts {PAIRS_LIMIT} pairs, and the injector sets {}",
            pairs.len(),
            reserved.len()
        );
        findings.problem(Problem::new(format!("annotations {PREFIX}{META}*"), rule));
    }
    pairs
}

fn key_flaw(key: &str, reserved: &[&str]) -> Option<Flaw> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    Some(if key.is_empty() {
        "the metadata key is empty; write it after service-meta-".into()
    } else if !key.bytes().all(fits) {
        "the metadata key must consist of letters, digits, '-' and '_'".into()
    } else if key.len() > KEY_LIMIT {
        format!("the metadata key must be no more than {KEY_LIMIT} bytes").into()
    } else if key.starts_with("consul-") {
        "the metadata key must not start with consul-, which is reserved for Consul".into()
    } else if reserved.contains(&key) {
        "the injector sets this metadata key itself; remove the annotation, or use another key".into()
    } else {
        return None;
    })
}

fn value_flaw(value: &str) -> Option<Flaw> {
    (value.len() > VALUE_LIMIT).then(|| format!("must be no more than {VALUE_LIMIT} bytes").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESERVED: &[&str] = &[POD_NAME_KEY, K8S_NAMESPACE_KEY];

    fn parsed(name: &str, value: &str) -> (Vec<(String, MetaValue)>, Vec<String>) {
        let mut findings = Findings::default();
        let pairs = parse(&Annotations::from_iter([(name, value)]), RESERVED, &mut findings);
        (pairs, findings.problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_value_is_a_text_or_a_variable_about_the_pod() {
        for (value, expected) in [
            ("$POD_NAME", MetaValue::Variable("POD_NAME")),
            ("$HOST_IP", MetaValue::Variable("HOST_IP")),
            ("$x", MetaValue::Literal("$x".into())),
            ("a $POD_IP", MetaValue::Literal("a $POD_IP".into())),
        ] {
            assert_eq!(parsed("service-meta-a", value).0, [("a".to_owned(), expected)]);
        }
    }

    #[test]
    fn what_consul_refuses() {
        for (key, why) in [
            ("", "key is empty"),
            ("a.b", "must consist of letters"),
            (&"k".repeat(129), "no more than 128 bytes"),
            ("consul-x", "reserved for Consul"),
            ("pod-name", "sets this metadata key itself"),
        ] {
            let (_, problems) = parsed(&format!("service-meta-{key}"), "x");
            assert!(problems.len() == 1 && problems[0].contains(why), "{key}: {problems:?}");
        }
        assert_eq!(parsed("service-meta-consul-x", &"x".repeat(513)).1.len(), 2);
        let many: Vec<String> = (0..63).map(|index| format!("service-meta-{index}")).collect();
        let many: Vec<_> = many.iter().map(|name| (name.as_str(), "")).collect();
        let mut findings = Findings::default();
        parse(&Annotations::from_iter(many), RESERVED, &mut findings);
        assert!(findings.problems[0].to_string().contains("must be at most 62, found 63"), "{findings:?}");
    }
}
