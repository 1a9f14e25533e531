//! Metadata of the service: `service-meta-KEY`.

use super::names::{META, PREFIX};
use super::{Annotations, full};
use crate::problem::{Findings, Flaw};

/// Keys that the injector sets itself.
pub const POD_NAME_KEY: &str = "pod-name";
pub const K8S_NAMESPACE_KEY: &str = "k8s-namespace";

/// Consul's limits, in bytes and pairs.
const KEY_LIMIT: usize = 128;
const VALUE_LIMIT: usize = 512;
const PAIRS_LIMIT: usize = 64;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MetaValue {
    Literal(String),
    /// The name of an environment variable about the pod.
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

/// `reserved` are the keys that the mode's registration has already.
pub fn parse(
    annotations: &Annotations<'_>,
    reserved: &[&str],
    findings: &mut Findings,
) -> Vec<(String, MetaValue)> {
    let mut pairs = Vec::new();
    for (name, value) in annotations.iter() {
        let Some(key) = name.strip_prefix(META) else { continue };
        let flaws = key_flaw(key, reserved).into_iter().chain(value_flaw(value));
        findings.problems.extend(flaws.map(|flaw| flaw.at(full(name)).value(value)));
        pairs.push((key.to_owned(), MetaValue::parse(value)));
    }
    let limit = PAIRS_LIMIT.saturating_sub(reserved.len());
    if pairs.len() > limit {
        let own = reserved.len();
        let why =
            format!("are {} pairs, and Consul takes {limit} beside the injector's own {own}", pairs.len());
        findings.problem(Flaw::new(why, "remove some").at(format!("annotations {PREFIX}{META}*")));
    }
    pairs
}

fn key_flaw(key: &str, reserved: &[&str]) -> Option<Flaw> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let (why, remedy) = if key.is_empty() {
        ("has no key", "write the metadata's key after the last '-'")
    } else if !key.bytes().all(fits) {
        (
            "has a key with characters that Consul refuses",
            "write letters, digits, '-' and '_' after service-meta-",
        )
    } else if key.len() > KEY_LIMIT {
        ("has a key of over 128 bytes, which Consul refuses", "write a shorter key")
    } else if key.starts_with("consul-") {
        ("has a key beginning with consul-, which Consul keeps for itself", "write another key")
    } else if reserved.contains(&key) {
        ("has a key that the injector sets itself", "remove it, or write another key")
    } else {
        return None;
    };
    Some(Flaw::new(why, remedy))
}

fn value_flaw(value: &str) -> Option<Flaw> {
    (value.len() > VALUE_LIMIT)
        .then(|| Flaw::new("is over 512 bytes, which Consul refuses", "write a shorter value"))
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
            ("", "has no key"),
            ("a.b", "characters"),
            (&"k".repeat(129), "over 128 bytes"),
            ("consul-x", "keeps for itself"),
            ("pod-name", "sets itself"),
        ] {
            let (_, problems) = parsed(&format!("service-meta-{key}"), "x");
            assert!(problems.len() == 1 && problems[0].contains(why), "{key}: {problems:?}");
        }
        assert_eq!(parsed("service-meta-consul-x", &"x".repeat(513)).1.len(), 2);
        let many: Vec<String> = (0..63).map(|index| format!("service-meta-{index}")).collect();
        let many: Vec<_> = many.iter().map(|name| (name.as_str(), "")).collect();
        let mut findings = Findings::default();
        parse(&Annotations::from_iter(many), RESERVED, &mut findings);
        assert!(findings.problems[0].to_string().contains("are 63 pairs"), "{findings:?}");
    }
}
