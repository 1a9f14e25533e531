//! Changes to a pod. Only the objects and lists around a change are read. The rest stays the text
//! that the policy server sent, so that nothing of it is lost.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, anyhow};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::json::{Fields, Key};

/// A value of the pod.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum EditedValue<'a> {
    /// As it arrived.
    Kept(&'a RawValue),
    New(Box<RawValue>),
    /// Opened for a change.
    Object(EditedObject<'a>),
    /// Opened for a change.
    List(Vec<EditedValue<'a>>),
}

pub type EditedObject<'a> = BTreeMap<Key<'a>, EditedValue<'a>>;

/// An object before its first change.
pub fn editable(fields: Fields<'_>) -> EditedObject<'_> {
    let mut object = EditedObject::new();
    object.extend(fields.all.into_iter().map(|(name, text)| (name, EditedValue::Kept(text))));
    object
}

pub fn new_value<'a>(value: &impl Serialize) -> Result<EditedValue<'a>> {
    Ok(EditedValue::New(to_raw_value(value)?))
}

/// New values, for a list.
pub fn new_values<'a>(values: impl IntoIterator<Item: Serialize>) -> Result<Vec<EditedValue<'a>>> {
    values.into_iter().map(|value| new_value(&value)).collect()
}

/// The object under `key`, which is created if it is missing or null.
pub fn object<'v, 'a>(
    parent: &'v mut EditedObject<'a>,
    key: &'static str,
) -> Result<&'v mut EditedObject<'a>> {
    let value = parent.entry(key.into()).or_insert(EditedValue::Kept(RawValue::NULL));
    if let EditedValue::Kept(text) = value {
        let fields: Option<Fields> = serde_json::from_str(text.get()).context(key)?;
        *value = EditedValue::Object(editable(fields.unwrap_or_default()));
    }
    match value {
        EditedValue::Object(object) => Ok(object),
        _ => Err(anyhow!(key)),
    }
}

/// The list under `key`, which is created if it is missing or null.
pub fn list<'v, 'a>(
    parent: &'v mut EditedObject<'a>,
    key: &'static str,
) -> Result<&'v mut Vec<EditedValue<'a>>> {
    let value = parent.entry(key.into()).or_insert(EditedValue::Kept(RawValue::NULL));
    if let EditedValue::Kept(text) = value {
        let items: Option<Vec<&RawValue>> = serde_json::from_str(text.get()).context(key)?;
        *value = EditedValue::List(items.into_iter().flatten().map(EditedValue::Kept).collect());
    }
    match value {
        EditedValue::List(list) => Ok(list),
        _ => Err(anyhow!(key)),
    }
}

/// Sets entries of the map under `key`.
pub fn set_entries(
    parent: &mut EditedObject<'_>,
    key: &'static str,
    entries: BTreeMap<String, String>,
) -> Result<()> {
    let map = object(parent, key)?;
    for (name, value) in entries {
        map.insert(Key(name.into()), new_value(&value)?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn missing_or_null_parents_are_created() {
        let pod = json!({ "metadata": { "labels": null }, "spec": { "containers": [1] } }).to_string();
        let mut pod = editable(serde_json::from_str(&pod).unwrap());
        let entry = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
        let metadata = object(&mut pod, "metadata").unwrap();
        set_entries(metadata, "labels", entry("a", "b")).unwrap();
        set_entries(metadata, "annotations", entry("c", "d")).unwrap();
        let spec = object(&mut pod, "spec").unwrap();
        list(spec, "containers").unwrap().extend(new_values([2]).unwrap());
        list(spec, "volumes").unwrap().extend(new_values([3]).unwrap());
        assert_eq!(
            serde_json::to_value(&pod).unwrap(),
            json!({ "metadata": { "labels": { "a": "b" }, "annotations": { "c": "d" } },
                "spec": { "containers": [1, 2], "volumes": [3] } })
        );
    }

    #[test]
    fn what_does_not_change_stays_as_it_was_written() {
        let text = r#"{"a":{"b":1.0,"c":[1e2, "\u0041"]},"d\n":9007199254740993}"#;
        let mut pod = editable(serde_json::from_str(text).unwrap());
        object(&mut pod, "a").unwrap().insert("b".into(), new_value(&2).unwrap());
        assert_eq!(serde_json::to_string(&pod).unwrap(), text.replace("1.0", "2"));
    }
}
