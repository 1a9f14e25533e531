//! Single values in the notation of `helm --set`.

use serde_json::{Value, json};

use super::values::place;

/// Sets the value at a path such as `connectInject.default`. False if the path or the value
/// uses more of `--set`'s syntax than names, dots and one scalar.
pub fn set(values: &mut Value, path: &str, value: &Value) -> bool {
    if path.is_empty() || path.contains(['[', ']', '\\', '=', ',']) || path.split('.').any(str::is_empty) {
        return false;
    }
    if value.as_str().is_some_and(|text| text.starts_with('{')) {
        return false;
    }
    *place(values, path) = value.clone();
    true
}

/// The type that `--set` gives a value.
pub fn typed(text: &str) -> Value {
    match text {
        "true" => json!(true),
        "false" => json!(false),
        "null" => Value::Null,
        // Keeps a leading zero, as in a zip code.
        _ if text != "0" && text.starts_with('0') => json!(text),
        _ => text.parse::<i64>().map_or_else(|_| json!(text), |number| json!(number)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_makes_its_blocks() {
        let mut values = json!({ "connectInject": { "enabled": true }, "client": "x" });
        for (path, value) in [("connectInject.default", typed("true")), ("client.grpc", typed("false"))] {
            assert!(set(&mut values, path, &value));
        }
        assert_eq!(
            values,
            json!({ "connectInject": { "enabled": true, "default": true }, "client": { "grpc": false } })
        );
    }

    #[test]
    fn what_only_helm_can_read_is_left_to_it() {
        let mut values = json!({});
        for path in ["connectInject.k8sAllowNamespaces[0]", "a\\.b", "", "a..b", "a,b=c"] {
            assert!(!set(&mut values, path, &json!("x")), "{path}");
        }
        assert!(!set(&mut values, "connectInject.k8sAllowNamespaces", &json!("{a,b}")));
        assert_eq!(values, json!({}));
    }

    #[test]
    fn a_text_becomes_what_helm_takes_it_for() {
        for (text, value) in [
            ("true", json!(true)),
            ("True", json!("True")),
            ("null", Value::Null),
            ("8502", json!(8502)),
            ("0", json!(0)),
            ("007", json!("007")),
            ("1.5", json!("1.5")),
        ] {
            assert_eq!(typed(text), value, "{text}");
        }
    }
}
