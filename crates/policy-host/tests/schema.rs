//! `settings.schema.json` and the built policy accept the same settings.
//!
//! The schema also rejects what the policy rejects, except for the rules that JSON Schema cannot
//! express: [`UNSAYABLE`].

mod support;

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::{Value, json};
use support::project::{refusal, schema, setting, settings};

/// A validator for the subset of JSON Schema 2020-12 that the schema uses. Unknown keywords
/// are errors.
struct Validator(BTreeMap<String, Regex>);

impl Validator {
    fn new(schema: &Value) -> Self {
        fn collect(schema: &Value, found: &mut BTreeMap<String, Regex>) {
            if let Some(pattern) = schema.get("pattern").and_then(Value::as_str) {
                found.insert(pattern.to_owned(), Regex::new(pattern).unwrap());
            }
            match schema {
                Value::Object(members) => members.values().for_each(|value| collect(value, found)),
                Value::Array(items) => items.iter().for_each(|value| collect(value, found)),
                _ => (),
            }
        }
        let mut found = BTreeMap::new();
        collect(schema, &mut found);
        Self(found)
    }

    fn valid(&self, schema: &Value, value: &Value) -> bool {
        let Some(keywords) = schema.as_object() else { return schema == &json!(true) };
        keywords.iter().all(|(keyword, wanted)| match keyword.as_str() {
            "$schema" | "title" | "description" | "default" | "then" | "else" => true,
            "type" => match wanted.as_array() {
                Some(types) => types.iter().any(|wanted| is(wanted, value)),
                None => is(wanted, value),
            },
            "enum" => wanted.as_array().unwrap().contains(value),
            "const" => wanted == value,
            "pattern" => value.as_str().is_none_or(|text| self.0[wanted.as_str().unwrap()].is_match(text)),
            "minLength" => {
                value.as_str().is_none_or(|text| text.chars().count() as u64 >= wanted.as_u64().unwrap())
            }
            "maxLength" => {
                value.as_str().is_none_or(|text| text.chars().count() as u64 <= wanted.as_u64().unwrap())
            }
            "minimum" => value.as_f64().is_none_or(|number| number >= wanted.as_f64().unwrap()),
            "maximum" => value.as_f64().is_none_or(|number| number <= wanted.as_f64().unwrap()),
            "maxItems" => value.as_array().is_none_or(|items| items.len() as u64 <= wanted.as_u64().unwrap()),
            "items" => value.as_array().is_none_or(|items| items.iter().all(|item| self.valid(wanted, item))),
            "required" => value.as_object().is_none_or(|members| {
                wanted.as_array().unwrap().iter().all(|key| members.contains_key(key.as_str().unwrap()))
            }),
            "properties" => value.as_object().is_none_or(|members| {
                members
                    .iter()
                    .all(|(key, value)| wanted.get(key).is_none_or(|schema| self.valid(schema, value)))
            }),
            "propertyNames" => value
                .as_object()
                .is_none_or(|members| members.keys().all(|key| self.valid(wanted, &json!(key)))),
            "additionalProperties" => value.as_object().is_none_or(|members| {
                let known =
                    |key: &str| schema.pointer("/properties").is_some_and(|known| known.get(key).is_some());
                members.iter().all(|(key, value)| known(key) || self.valid(wanted, value))
            }),
            "if" => {
                let branch = if self.valid(wanted, value) { "then" } else { "else" };
                schema.get(branch).is_none_or(|branch| self.valid(branch, value))
            }
            _ => panic!("the validator does not know the keyword {keyword}"),
        })
    }
}

fn is(wanted: &Value, value: &Value) -> bool {
    match wanted.as_str().unwrap() {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("{other} is no type"),
    }
}

/// Problems that JSON Schema cannot express.
const UNSAYABLE: &[&str] = &[
    // Arithmetic.
    "must not exceed the limit",
    "must equal the limit",
    // Shell syntax.
    "has an unclosed quote",
    " is not allowed: ",
    "Envoy does not start with ",
    " requires a value",
    " must be one of ",
    " must be an integer from 0 to 4294967295",
    // The content of a certificate.
    "has a certificate ",
    "must contain only certificates",
    "must not contain a private key",
    "must contain a PEM certificate",
    // 1.0 is an integer in JSON Schema.
    ".0: must be an integer",
    "e0: must be an integer",
    // Addresses and names of dataplane mode.
    "must be a DNS name",
    "must not be a command",
    "must be an IP address",
    "must be the absolute path of a file",
    "must be version 1.9 or later",
    // Rules that depend on another setting.
    "requires Consul namespaces",
    "must be false with openshift: true",
    // Bounds of durations, and fractions below a nanosecond.
    "must be a duration",
];

/// Whether the settings are valid. Fails if schema and policy disagree.
fn agreed(validator: &Validator, schema: &Value, settings: &Value) -> Result<bool, String> {
    let valid = validator.valid(schema, settings);
    let Some(message) = refusal(settings) else {
        return if valid { Ok(true) } else { Err(format!("only the schema refuses {settings}")) };
    };
    let unsayable = |problem: &str| UNSAYABLE.iter().any(|why| problem.contains(why));
    if valid && !message.lines().skip(1).all(unsayable) {
        return Err(format!("only the policy refuses {settings}: {message}"));
    }
    Ok(false)
}

/// Strings that are valid in one setting and invalid in others.
const TEXTS: &[&str] = &[
    "",
    " ",
    "a",
    "A",
    "-",
    ".",
    "_",
    "*",
    "0",
    "-0",
    "-0.0",
    "+1",
    "-1",
    "1.",
    ".5",
    ".",
    "1e3",
    "1E3",
    "1E",
    "1e",
    "1e+3",
    "64Mi",
    "64MB",
    "64mi",
    "100m",
    "1.5.2",
    "true",
    "null",
    "10s",
    "+10s",
    "1m30s",
    "1.5m",
    ".5m",
    "10",
    "10 s",
    "s",
    "1.5.5s",
    "shop",
    "Shop",
    "shop-",
    "-shop",
    "sh_op",
    "shop.",
    "my-ns-1",
    "a*",
    "**",
    "http",
    "HTTP",
    "http2",
    "Always",
    "always",
    "hashicorp/consul:1.22.7",
    "consul",
    "consul:",
    "consul:1.22.7@",
    "example.com:5000/a/b:1",
    "example.com:99999/a",
    "example.com:+80/a",
    "example.com:/a",
    "-a.example.com/b",
    "a-.example.com/b",
    "a..b/c",
    "localhost/a",
    "localhost:5000/a:b",
    "[::1]:5000/a",
    "[::1/a",
    "[]/a",
    "a__b/c",
    "a//b",
    "a/",
    "/a",
    "a:b:c",
    "A/b",
    "a/B",
    "a.b/C",
    "a b",
    "a\n",
    "a\u{0}",
    "é",
    "k8s-",
    "client.dc1.consul",
    "--log-level debug",
    "'",
    "consul-k8s-auth-method",
    "a/b",
    "a.b",
    "x y",
    "-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n",
    "-----BEGIN CERTIFICATE-----",
];

/// Names of resources.
const RESOURCES: &[&str] = &[
    "cpu",
    "memory",
    "memmory",
    "ephemeral-storage",
    "storage",
    "requests.cpu",
    "hugepages-2Mi",
    "hugepages-64Ki",
    "hugepages-02Mi",
    "hugepages-Mi",
    "hugepages-2M",
    "nvidia.com/gpu",
    "example.com/a_B.c-9",
    "example.com/-a",
    "example.com/",
    "/a",
    "a/b/c",
    "Example.com/a",
    "example..com/a",
    "kubernetes.io/batch",
    "x/a",
    "",
];

#[test]
fn the_schema_takes_what_the_policy_takes() {
    let (schema, mut dice) = (schema(), Dice(0x9e37_79b9_7f4a_7c15));
    let validator = Validator::new(&schema);
    let (mut valid, mut invalid, mut disagreements) = (0, 0, Vec::new());
    let mut ask = |settings: &Value| match agreed(&validator, &schema, settings) {
        Ok(true) => valid += 1,
        Ok(false) => invalid += 1,
        Err(disagreement) => disagreements.push(disagreement),
    };
    let long = |length: usize| json!("a".repeat(length));
    let others = [
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(1),
        json!(1.5),
        json!(1.0),
        json!(64),
        json!(65_535),
        json!(65_536),
        json!(1024),
        json!(1025),
        json!(1e300),
        json!([]),
        json!({}),
        json!([null]),
        json!([1]),
        json!([[]]),
        json!({ "cpu": {} }),
        json!({ "zzz": 1 }),
        long(62),
        long(63),
        long(64),
        long(65),
        long(128),
        long(129),
        long(253),
        long(254),
        long(512),
        long(513),
    ];
    let (leaves, blocks) = settings();
    for path in blocks.iter().chain(leaves.iter().map(|(path, _)| path)) {
        for value in &others {
            ask(&setting(path, value.clone()));
        }
    }
    for (path, leaf) in &leaves {
        let wrap = |text: &str| match () {
            () if path.ends_with("requests") || path.ends_with("limits") => json!({ "cpu": text }),
            () if leaf["type"].to_string().contains("array") => json!([text]),
            () => json!(text),
        };
        if path.ends_with("requests") || path.ends_with("limits") {
            for name in RESOURCES {
                for name in [(*name).to_owned(), dice.mutated(name), dice.mutated(name), dice.mutated(name)] {
                    ask(&setting(path, json!({ name.as_str(): 1 })));
                    ask(&setting(path, json!({ name.as_str(): null })));
                }
            }
        }
        for text in TEXTS {
            ask(&setting(path, wrap(text)));
            for _ in 0..3 {
                ask(&setting(path, wrap(&dice.mutated(text))));
            }
        }
    }
    disagreements.sort();
    assert!(disagreements.is_empty(), "{} disagreements:\n{}", disagreements.len(), disagreements.join("\n"));
    assert!(valid > 1_500 && invalid > 5_000, "{valid} valid, {invalid} invalid");
}

#[test]
fn what_depends_on_another_setting_is_in_the_schema_where_it_can_be() {
    let schema = schema();
    let validator = Validator::new(&schema);
    for settings in [
        json!({ "tls": { "enabled": true } }),
        json!({ "tls": { "enabled": true, "caCert": "" } }),
        json!({ "tls": { "enabled": true, "caCert": null } }),
        json!({ "imageK8S": "a" }),
        json!({ "mode": "agent", "sidecarProxy": { "lifecycle": {} } }),
        json!({ "mode": "dataplane", "imageEnvoy": "a" }),
    ] {
        assert!(refusal(&settings).is_some(), "{settings}");
        assert!(!validator.valid(&schema, &settings), "{settings}");
    }
}

/// The same sequence in each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    /// A string with a character added, removed or replaced.
    fn mutated(&mut self, text: &str) -> String {
        const ALPHABET: &[char] = &[
            'a', 'Z', '0', '9', '-', '_', '.', '/', ':', '@', '*', '+', ' ', '\n', 'm', 'M', 'i', 'e', 's',
            'é', '[', ']', '"', ',',
        ];
        let mut characters: Vec<char> = text.chars().collect();
        for _ in 0..=self.below(2) {
            let at = self.below(characters.len() + 1);
            match self.below(3) {
                0 => characters.insert(at, ALPHABET[self.below(ALPHABET.len())]),
                1 if at < characters.len() => characters[at] = ALPHABET[self.below(ALPHABET.len())],
                _ if at < characters.len() => drop(characters.remove(at)),
                _ => (),
            }
        }
        characters.into_iter().collect()
    }
}
