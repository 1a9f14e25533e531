//! How the chart reads its values.

use serde_json::{Value, json};

/// The values of one release.
#[derive(Clone, Copy)]
pub struct Values<'a>(pub &'a Value);

impl<'a> Values<'a> {
    /// The value at a JSON pointer, unless it says no more than its absence.
    pub fn written(self, pointer: &str) -> Option<&'a Value> {
        self.0.pointer(pointer).filter(|value| !is_empty(value))
    }

    pub fn text(self, pointer: &str) -> Option<&'a str> {
        self.written(pointer)?.as_str()
    }

    pub fn is_true(self, pointer: &str) -> bool {
        self.0.pointer(pointer) == Some(&json!(true))
    }

    /// A switch, where it is written; `-` is what `global.enabled` says.
    pub fn switch(self, pointer: &str) -> Option<Value> {
        let enabled = self.written(pointer)?;
        let inherited = *enabled == json!("-");
        Some(if inherited {
            json!(self.0.pointer("/global/enabled") != Some(&json!(false)))
        } else {
            enabled.clone()
        })
    }

    /// Whether a switch is off; `-` leaves it to the metrics of the whole chart, the
    /// only block where a mode of the injector has it.
    pub fn is_off(self, switch: &Value) -> bool {
        *switch == json!(false) || (*switch == json!("-") && !self.is_true("/global/metrics/enabled"))
    }

    pub fn injector(self) -> Option<Value> {
        self.switch("/connectInject/enabled")
    }

    pub fn acls(self) -> bool {
        self.is_true("/global/bootstrapACLs") || self.is_true("/global/acls/manageSystemACLs")
    }

    /// The name that the chart's own objects begin with, if the values say it.
    pub fn name(self) -> Option<&'a str> {
        self.written("/fullnameOverride").or(self.written("/global/name")).and_then(Value::as_str)
    }
}

/// Whether it says no more than its absence.
pub fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => matches!(text.trim(), "" | "{}" | "[]" | "null"),
        Value::Array(items) => items.is_empty(),
        Value::Object(block) => block.values().all(is_empty),
        _ => false,
    }
}

/// Makes booleans of quoted ones. A quoted `"false"` stays a text, since the templates of the
/// chart take any text for true.
pub fn unquote_true(value: &mut Value) {
    match value {
        Value::String(text) if text == "true" => *value = json!(true),
        Value::Array(items) => items.iter_mut().for_each(unquote_true),
        Value::Object(block) => block.values_mut().for_each(unquote_true),
        _ => (),
    }
}

/// The paths of everything that is written below a key.
pub fn leaves(path: &str, value: &Value) -> Vec<String> {
    match value.as_object().filter(|block| !block.is_empty()) {
        Some(block) => {
            block.iter().flat_map(|(key, value)| leaves(&format!("{path}.{key}"), value)).collect()
        }
        None => vec![path.to_owned()],
    }
}

/// Lays one block over another, as Helm does.
pub fn lay_over(under: &mut Value, over: &Value) {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) => {
            for (key, value) in over {
                lay_over(under.entry(key).or_insert(Value::Null), value);
            }
        }
        (under, over) => *under = over.clone(),
    }
}
