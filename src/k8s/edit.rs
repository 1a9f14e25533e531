//! Changes to a pod. Only the objects and lists around a change are read. The rest stays the text
//! that the policy server sent, so that nothing of it is lost.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use crate::json::{Fields, Key};

/// A value of the pod.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Json<'a> {
    Kept(&'a RawValue),
    New(Box<RawValue>),
    Object(Object<'a>),
    List(Vec<Json<'a>>),
}

pub type Object<'a> = BTreeMap<Key<'a>, Json<'a>>;

impl<'de: 'a, 'a> Deserialize<'de> for Json<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&RawValue>::deserialize(deserializer).map(Json::Kept)
    }
}

impl Json<'_> {
    pub fn new(value: &impl Serialize) -> Result<Self> {
        Ok(Json::New(to_raw_value(value)?))
    }
}

/// An object before its first change.
pub fn unchanged<'a>(fields: &Fields<'a>) -> Object<'a> {
    fields.0.iter().map(|(name, text)| (name.clone(), Json::Kept(text))).collect()
}

/// The object under `key`, which is created if it is missing or null.
pub fn object<'v, 'a>(parent: &'v mut Object<'a>, key: &'static str) -> Result<&'v mut Object<'a>> {
    let value = parent.entry(key.into()).or_insert_with(|| Json::Object(Object::new()));
    if let Json::Kept(text) = value {
        let object: Option<Object> = serde_json::from_str(text.get()).context(key)?;
        *value = Json::Object(object.unwrap_or_default());
    }
    let object = if let Json::Object(object) = value { Some(object) } else { None };
    object.context(key)
}

/// The list under `key`, which is created if it is missing or null.
pub fn list<'v, 'a>(parent: &'v mut Object<'a>, key: &'static str) -> Result<&'v mut Vec<Json<'a>>> {
    let value = parent.entry(key.into()).or_insert_with(|| Json::List(Vec::new()));
    if let Json::Kept(text) = value {
        let list: Option<Vec<Json>> = serde_json::from_str(text.get()).context(key)?;
        *value = Json::List(list.unwrap_or_default());
    }
    let list = if let Json::List(list) = value { Some(list) } else { None };
    list.context(key)
}

/// Sets entries of the map under `key`.
pub fn set_entries(
    parent: &mut Object<'_>,
    key: &'static str,
    entries: BTreeMap<String, String>,
) -> Result<()> {
    let map = object(parent, key)?;
    for (name, value) in entries {
        map.insert(Key(name.into()), Json::new(&value)?);
    }
    Ok(())
}

/// New values, for a list.
pub fn new_items<'a>(items: impl IntoIterator<Item: Serialize>) -> Result<Vec<Json<'a>>> {
    items.into_iter().map(|item| Json::new(&item)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn missing_or_null_parents_are_created() {
        let pod = json!({ "metadata": { "labels": null }, "spec": { "containers": [1] } }).to_string();
        let mut pod: Object = serde_json::from_str(&pod).unwrap();
        let entry = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
        let metadata = object(&mut pod, "metadata").unwrap();
        set_entries(metadata, "labels", entry("a", "b")).unwrap();
        set_entries(metadata, "annotations", entry("c", "d")).unwrap();
        let spec = object(&mut pod, "spec").unwrap();
        list(spec, "containers").unwrap().extend(new_items([2]).unwrap());
        list(spec, "volumes").unwrap().extend(new_items([3]).unwrap());
        assert_eq!(
            serde_json::to_value(&pod).unwrap(),
            json!({ "metadata": { "labels": { "a": "b" }, "annotations": { "c": "d" } },
                "spec": { "containers": [1, 2], "volumes": [3] } })
        );
    }

    #[test]
    fn what_does_not_change_stays_as_it_was_written() {
        let text = r#"{"a":{"b":1.0,"c":[1e2, "\u0041"]},"d\n":9007199254740993}"#;
        let mut pod: Object = serde_json::from_str(text).unwrap();
        object(&mut pod, "a").unwrap().insert("b".into(), Json::new(&2).unwrap());
        assert_eq!(serde_json::to_string(&pod).unwrap(), text.replace("1.0", "2"));
    }
}
