//! How the chart reads its values.

use serde_json::{Value, json};

/// The values of one release.
#[derive(Clone, Copy)]
pub struct Values<'a>(pub &'a Value);

impl<'a> Values<'a> {
    /// The value at a JSON pointer, unless it means the same as its absence.
    pub fn written(self, pointer: &str) -> Option<&'a Value> {
        self.0.pointer(pointer).filter(|value| !is_empty(value))
    }

    pub fn text(self, pointer: &str) -> Option<&'a str> {
        self.written(pointer)?.as_str()
    }

    pub fn is_true(self, pointer: &str) -> bool {
        self.0.pointer(pointer) == Some(&json!(true))
    }

    /// A switch, if it is set; `-` is the value of `global.enabled`.
    pub fn switch(self, pointer: &str) -> Option<Value> {
        let enabled = self.written(pointer)?;
        let inherited = *enabled == json!("-");
        Some(if inherited {
            json!(self.0.pointer("/global/enabled") != Some(&json!(false)))
        } else {
            enabled.clone()
        })
    }

    /// Whether a switch is off; `-` takes the value of the chart's global metrics, the only
    /// block in which the injector's switches have it.
    pub fn is_off(self, switch: &Value) -> bool {
        *switch == json!(false) || (*switch == json!("-") && !self.is_true("/global/metrics/enabled"))
    }

    pub fn injector(self) -> Option<Value> {
        self.switch("/connectInject/enabled")
    }

    pub fn acls(self) -> bool {
        self.is_true("/global/bootstrapACLs") || self.is_true("/global/acls/manageSystemACLs")
    }

    /// The prefix of the names of the chart's objects, if the values set it.
    pub fn name(self) -> Option<&'a str> {
        self.written("/fullnameOverride").or(self.written("/global/name")).and_then(Value::as_str)
    }
}

/// The place of a path such as `connectInject.default`, with its blocks.
pub fn place<'a>(values: &'a mut Value, path: &str) -> &'a mut Value {
    path.split('.').fold(values, |block, key| {
        if !block.is_object() {
            *block = json!({});
        }
        &mut block[key]
    })
}

/// Whether a value means the same as its absence.
pub fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => matches!(text.trim(), "" | "{}" | "[]" | "null"),
        Value::Array(items) => items.is_empty(),
        Value::Object(block) => block.values().all(is_empty),
        _ => false,
    }
}

/// Turns quoted `"true"` into a boolean. A quoted `"false"` stays a string, because the chart's
/// templates treat any string as true.
pub fn unquote_true(value: &mut Value) {
    match value {
        Value::String(text) if text == "true" => *value = json!(true),
        Value::Array(items) => items.iter_mut().for_each(unquote_true),
        Value::Object(block) => block.values_mut().for_each(unquote_true),
        _ => (),
    }
}

/// The paths of all values below a key.
pub fn leaves(path: &str, value: &Value) -> Vec<String> {
    match value.as_object().filter(|block| !block.is_empty()) {
        Some(block) => {
            block.iter().flat_map(|(key, value)| leaves(&format!("{path}.{key}"), value)).collect()
        }
        None => vec![path.to_owned()],
    }
}

/// Merges one block into another, as Helm does.
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
