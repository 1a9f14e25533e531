//! Reads YAML and JSON as people write it: several documents, and an error that
//! says where.

use std::fmt;

use serde::{Serialize, Serializer};
use serde_json::Value;
use serde_saphyr::options::MergeKeyPolicy;

/// Text that is neither valid YAML nor valid JSON, and where the error is.
#[derive(Debug, PartialEq, Eq)]
pub struct SyntaxError {
    format: &'static str,
    line: u64,
    column: u64,
    message: String,
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not valid {}", self.format)?;
        if self.line > 0 {
            write!(f, " at line {}, column {}", self.line, self.column)?;
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for SyntaxError {}

/// How unquoted YAML scalars are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// As kubectl and Helm read it: `yes` is true, `0777` is octal, and `<<` is
    /// merged. For manifests and Helm's values.
    #[default]
    Kubernetes,
    /// The core schema of YAML 1.2, which kwctl and the policy server use:
    /// `yes`, `0777` and `1_000` are strings, and `<<` is a key like any other.
    /// For settings and `policies.yml`.
    Core,
}

/// All documents of a text, in the dialect of Kubernetes. Text that looks like JSON is
/// parsed as JSON, which gives better error messages; everything else is parsed as YAML.
/// Empty documents are skipped.
pub fn parse(text: &str) -> Result<Vec<Value>, SyntaxError> {
    parse_as(Dialect::Kubernetes, text)
}

/// Like [`parse`], in either dialect.
fn parse_as(dialect: Dialect, text: &str) -> Result<Vec<Value>, SyntaxError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let looks_like_json = text.trim_start().starts_with(['{', '[']);
    // Flow-style YAML documents begin like JSON, too.
    let separated = text.lines().any(|line| line.starts_with("---"));
    let documents = if looks_like_json && !separated {
        match parse_json(text) {
            // kwctl's settings may be in YAML's flow style.
            Err(error) if dialect == Dialect::Core => parse_yaml(dialect, text).map_err(|_| error)?,
            parsed => parsed?,
        }
    } else {
        parse_yaml(dialect, text)?
    };
    Ok(documents.into_iter().filter(|document| !document.is_null()).collect())
}

/// One document, in the dialect of Kubernetes. An empty text is `null`.
pub fn parse_one(text: &str) -> Result<Value, SyntaxError> {
    parse_one_as(Dialect::Kubernetes, text)
}

/// Like [`parse_one`], in either dialect.
pub fn parse_one_as(dialect: Dialect, text: &str) -> Result<Value, SyntaxError> {
    let mut documents = parse_as(dialect, text)?;
    if documents.len() > 1 {
        return Err(SyntaxError {
            format: "here",
            line: 0,
            column: 0,
            message: format!("expected one document, found {}", documents.len()),
        });
    }
    Ok(documents.pop().unwrap_or(Value::Null))
}

/// A value as YAML, in the usual order of manifests: `apiVersion`, `kind` and `metadata`
/// first, everything else alphabetically.
pub fn to_yaml(value: &Value) -> String {
    let options = serde_saphyr::ser_options! {
        compact_list_indent: true,
        no_lang_directive: true,
        // Folding at different widths would show up as a change in a diff.
        folded_wrap_chars: usize::MAX,
        min_fold_chars: usize::MAX,
    };
    // YAML can represent every JSON value.
    serde_saphyr::to_string_with_options(&Ordered(value), options).unwrap_or_else(|_| value.to_string())
}

/// The keys that come first, in order.
const LEADING_KEYS: [&str; 4] = ["apiVersion", "kind", "metadata", "name"];

struct Ordered<'a>(&'a Value);

impl Serialize for Ordered<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Object(object) => {
                let leading = LEADING_KEYS.iter().filter_map(|key| object.get_key_value(*key));
                let others = object.iter().filter(|(key, _)| !LEADING_KEYS.contains(&key.as_str()));
                serializer.collect_map(leading.chain(others).map(|(key, value)| (key, Self(value))))
            }
            Value::Array(items) => serializer.collect_seq(items.iter().map(Ordered)),
            scalar => scalar.serialize(serializer),
        }
    }
}

fn parse_json(text: &str) -> Result<Vec<Value>, SyntaxError> {
    serde_json::Deserializer::from_str(text).into_iter().collect::<Result<_, _>>().map_err(|error| {
        let message = error.to_string();
        let place = format!(" at line {} column {}", error.line(), error.column());
        SyntaxError {
            format: "JSON",
            line: error.line() as u64,
            column: error.column() as u64,
            message: message.strip_suffix(&place).unwrap_or(&message).to_owned(),
        }
    })
}

fn parse_yaml(dialect: Dialect, text: &str) -> Result<Vec<Value>, SyntaxError> {
    let options = match dialect {
        Dialect::Kubernetes => serde_saphyr::options! {
            legacy_octal_numbers: true,
            with_snippet: false,
        },
        Dialect::Core => serde_saphyr::options! {
            strict_booleans: true,
            leading_zero_numbers_as_strings: true,
            underscored_numbers_as_strings: true,
            merge_keys: MergeKeyPolicy::AsOrdinary,
            with_snippet: false,
        },
    };
    serde_saphyr::from_multiple_with_options(text, options).map_err(|error| {
        let location = error.location();
        let message = match error.without_snippet() {
            // The library's message includes advice for its callers.
            serde_saphyr::Error::DuplicateMappingKey { key: Some(key), .. } => {
                format!("duplicate key `{key}`; remove one")
            }
            serde_saphyr::Error::DuplicateMappingKey { key: None, .. } => {
                "duplicate key; remove one".to_owned()
            }
            other => other.to_string(),
        };
        // The position has already been printed.
        let place = location.map(|at| format!(" at line {}, column {}", at.line(), at.column()));
        let message =
            place.and_then(|place| Some(message.strip_suffix(&place)?.to_owned())).unwrap_or(message);
        SyntaxError {
            format: "YAML",
            line: location.map_or(0, |at| at.line()),
            column: location.map_or(0, |at| at.column()),
            message,
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_several_documents_and_skips_empty_ones() {
        assert_eq!(
            parse("# first\n---\na: 1\n---\n---\nb: [true, 'x']\n").unwrap(),
            [json!({"a": 1}), json!({"b": [true, "x"]})]
        );
        assert_eq!(parse("{\"a\": 1}\n{\"b\": 2}").unwrap().len(), 2);
        assert_eq!(parse("---\n{\"a\": 1}\n---\n{\"b\": 2}").unwrap().len(), 2);
        assert_eq!(parse("").unwrap(), Vec::<Value>::new());
    }

    #[test]
    fn scalars_are_what_kubernetes_takes_them_for() {
        let values = parse(
            "a: yes\nb: 'yes'\nc: 0777\nd: 1.5\ne: null\nf: ~\ng: 1e3\nh: 0x10\ni: 10.0.0.1\nj: \"1\"\nk: 2024-01-01\nl: -1\nm: on\n",
        )
        .unwrap();
        assert_eq!(
            values[0],
            json!({"a": true, "b": "yes", "c": 511, "d": 1.5, "e": null, "f": null, "g": 1000.0,
                   "h": 16, "i": "10.0.0.1", "j": "1", "k": "2024-01-01", "l": -1, "m": true})
        );
    }

    #[test]
    fn scalars_of_settings_are_what_the_policy_server_takes_them_for() {
        let text = "a: yes\nb: on\nc: y\nd: 017\ne: 1_000\nf: True\ng: ~\nh: 0x10\ni: 0o17\nj: 1e3\nk: -1\n\
                    l: NO\nm: '1'\nn: 12:30:45\no: 0b11\n";
        assert_eq!(
            parse_one_as(Dialect::Core, text).unwrap(),
            json!({"a": "yes", "b": "on", "c": "y", "d": "017", "e": "1_000", "f": true, "g": null, "h": 16,
                   "i": 15, "j": 1000.0, "k": -1, "l": "NO", "m": "1", "n": "12:30:45", "o": 3})
        );
        let text = "x: &x {a: 1}\ny:\n  <<: *x\n";
        assert_eq!(parse_one(text).unwrap()["y"], json!({"a": 1}));
        assert_eq!(parse_one_as(Dialect::Core, text).unwrap()["y"], json!({"<<": {"a": 1}}));
    }

    #[test]
    fn a_duplicate_key_is_reported_without_the_librarys_advice() {
        for dialect in [Dialect::Kubernetes, Dialect::Core] {
            let error = parse_as(dialect, "a: 1\nb: 2\na: 3\n").unwrap_err().to_string();
            assert_eq!(error, "not valid YAML at line 3, column 1: duplicate key `a`; remove one");
        }
    }

    #[test]
    fn a_mistake_has_its_place() {
        let error = parse("{\n  \"a\": 1,\n}").unwrap_err().to_string();
        assert_eq!(error, "not valid JSON at line 3, column 1: trailing comma");
        let error = parse("a: b\n c: d: e\n").unwrap_err().to_string();
        assert!(error.starts_with("not valid YAML at line 2, column "), "{error}");
        assert_eq!(error.matches("line 2").count(), 1, "{error}");
    }

    #[test]
    fn what_an_object_is_comes_first() {
        let pod = json!({ "spec": { "b": [{ "image": "i", "name": "web" }], "a": 1 },
                          "metadata": {}, "kind": "Pod", "apiVersion": "v1" });
        assert_eq!(
            to_yaml(&pod),
            "apiVersion: v1\nkind: Pod\nmetadata: {}\nspec:\n  a: 1\n  b:\n  - name: web\n    image: i\n"
        );
    }
}
