//! Structural mutations of the sample requests and settings.

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use crate::catalogue::HOSTILE;
use crate::dice::Dice;
use crate::{REQUEST_LIMIT, sample};

/// One input.
#[derive(Debug)]
pub struct Input {
    /// `validate` or `validate_settings`.
    pub operation: &'static str,
    pub payload: Vec<u8>,
}

/// Generates the inputs of a seed. An input depends only on the seed and its number.
#[derive(Debug)]
pub struct Generator {
    seed: u64,
    payloads: Vec<Value>,
    settings: [Value; 2],
}

impl Generator {
    pub fn new(seed: u64) -> Self {
        Generator {
            seed,
            payloads: sample::payloads(),
            settings: [sample::settings(), sample::dataplane_settings()],
        }
    }

    /// The input with this number, always the same one.
    pub fn input(&self, index: u64) -> Input {
        let mut dice = Dice::of(self.seed, index);
        loop {
            let (operation, mut value) = match dice.one_in(8) {
                true => ("validate_settings", dice.pick(&self.settings).clone()),
                false => ("validate", dice.pick(&self.payloads).clone()),
            };
            if dice.one_in(1_000) {
                overgrow(&mut value, &mut dice);
            }
            for _ in 0..=dice.below(3) {
                mutate(&mut value, &mut dice);
            }
            let payload = value.to_string().into_bytes();
            if payload.len() <= REQUEST_LIMIT {
                return Input { operation, payload };
            }
        }
    }
}

/// The JSON pointers of a value and of everything in it.
pub fn pointers(value: &Value) -> Vec<String> {
    fn walk(value: &Value, pointer: String, all: &mut Vec<String>) {
        match value {
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    walk(item, format!("{pointer}/{index}"), all);
                }
            }
            Value::Object(members) => {
                for (key, member) in members {
                    let key = key.replace('~', "~0").replace('/', "~1");
                    walk(member, format!("{pointer}/{key}"), all);
                }
            }
            _ => (),
        }
        all.push(pointer);
    }
    let mut all = Vec::new();
    walk(value, String::new(), &mut all);
    all
}

/// A value of a wrong type.
static VALUES: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let values = json!([
        null, true, false, 0, -1, 1.5, -0.0, 1e300, 65536, i64::MIN, u64::MAX,
        "", " ", [], {}, [null], [[]], [{}], { "": null }, { "name": 7 }, [7],
        "true", "\0", "\u{1f600}", "\u{202e}\u{feff}\u{7f}", ",", ":", "a:b:c:d", "prepared_query",
        "db:1,db:1", "9223372036854775808s", "1e999999999", "-----BEGIN CERTIFICATE-----",
        "-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----",
        "kube-system", "Always", "windows", "UDP", "DELETE", "agent", "dataplane",
    ]);
    values.as_array().cloned().unwrap_or_default()
});

const KEYS: &[&str] = &[
    "",
    "name",
    "spec",
    "metadata",
    "annotations",
    "labels",
    "containers",
    "initContainers",
    "volumes",
    "env",
    "ports",
    "containerPort",
    "readinessProbe",
    "kind",
    "object",
    "settings",
    "mode",
    "template",
    "restartPolicy",
    "consul.hashicorp.com/",
    "consul.hashicorp.com/connect-inject",
    "consul.hashicorp.com/service-meta-",
    "consul.hashicorp.com/service-meta-\u{e9}",
    "consul.hashicorp.com/connect-inject-status",
    "\u{0}",
    "\u{202e}",
];

fn value(dice: &mut Dice) -> Value {
    match dice.below(600) {
        0 => json!("x".repeat(dice.below(300_000))),
        1 => json!("\u{1f600}\\\"".repeat(dice.below(20_000))),
        2 => (0..dice.below(120)).fold(json!([]), |inner, _| json!([inner])),
        3 => (0..dice.below(120)).fold(json!({}), |inner, _| json!({ "a": inner })),
        4 => json!("9".repeat(dice.below(5_000) + 1)),
        5 => json!("a:1,".repeat(dice.below(3_000))),
        200..400 => json!(dice.pick(&HOSTILE).value),
        _ => dice.pick(&VALUES).clone(),
    }
}

/// Makes one random change.
fn mutate(whole: &mut Value, dice: &mut Dice) {
    let pointers = pointers(whole);
    let (donor, place): (&String, &String) = (dice.pick(&pointers), dice.pick(&pointers));
    let donor = whole.pointer(donor).cloned().unwrap_or_default();
    let Some(place) = whole.pointer_mut(place) else { return };
    match place {
        Value::Object(members) if !dice.one_in(4) => change_members(members, donor, dice),
        Value::Array(items) if !dice.one_in(4) => change_items(items, donor, dice),
        Value::Object(_) | Value::Array(_) => *place = if dice.one_in(5) { donor } else { value(dice) },
        _ if dice.one_in(3) => garble(place, dice),
        _ => *place = if dice.one_in(5) { donor } else { value(dice) },
    }
}

fn change_members(members: &mut Map<String, Value>, donor: Value, dice: &mut Dice) {
    let key = members.keys().nth(dice.below(members.len())).cloned();
    match (dice.below(5), key) {
        (0, Some(key)) => drop(members.remove(&key)),
        (1, Some(key)) => {
            let member = members.remove(&key).unwrap_or_default();
            members.insert((*dice.pick(KEYS)).to_owned(), member);
        }
        (2, Some(key)) => {
            let member = members.remove(&key).unwrap_or_default();
            members.insert(key + &dice.pick(&HOSTILE).value, member);
        }
        (3, _) => drop(members.insert((*dice.pick(KEYS)).to_owned(), value(dice))),
        _ => drop(members.insert("x".to_owned(), donor)),
    }
}

fn change_items(items: &mut Vec<Value>, donor: Value, dice: &mut Dice) {
    let index = dice.below(items.len());
    match (dice.below(4), items.get(index).cloned()) {
        (0, Some(_)) => drop(items.remove(index)),
        (1, Some(item)) => {
            let count = if dice.one_in(200) { 2_000 } else { dice.below(20) };
            items.extend(std::iter::repeat_n(item, count));
        }
        (2, _) => items.insert(index, value(dice)),
        _ => items.push(donor),
    }
}

/// Changes a string: inserts something hostile, or removes or repeats a part. Any other value
/// becomes a string.
fn garble(place: &mut Value, dice: &mut Dice) {
    let text = place.as_str().map_or_else(|| place.to_string(), str::to_owned);
    let mut characters: Vec<char> = text.chars().collect();
    let (one, other) = (dice.below(characters.len() + 1), dice.below(characters.len() + 1));
    let (from, to) = (one.min(other), one.max(other));
    match dice.below(4) {
        0 => drop(characters.drain(from..to)),
        1 => {
            let piece = characters[from..to].to_vec();
            characters.splice(to..to, piece);
        }
        2 => {
            let one =
                *dice.pick(&[',', ':', '.', '-', '=', ' ', '0', '9', '"', '\'', '\\', '$', '#', '\n', '\0']);
            characters.insert(from, one);
        }
        _ => {
            let hostile = dice.pick(&HOSTILE).value.chars();
            characters.splice(from..to, hostile);
        }
    }
    *place = json!(characters.into_iter().collect::<String>());
}

/// Enlarges a list or an object to the maximum that Kubernetes stores.
fn overgrow(whole: &mut Value, dice: &mut Dice) {
    let mut pointers = pointers(whole);
    pointers
        .retain(|pointer| whole.pointer(pointer).is_some_and(|place| place.is_array() || place.is_object()));
    let place: &String = dice.pick(&pointers);
    match whole.pointer_mut(place) {
        Some(Value::Object(members)) => {
            let prefix = *dice.pick(&[
                "k",
                "consul.hashicorp.com/x",
                "consul.hashicorp.com/service-meta-",
                "consul.hashicorp.com/transparent-proxy",
            ]);
            let count = *dice.pick(&[1_000, 5_000]);
            members.extend((0..count).map(|index| (format!("{prefix}{index}"), json!("v"))));
        }
        Some(Value::Array(items)) => {
            let count = *dice.pick(&[1_000, 10_000, 20_000]);
            items.extend((0..count).map(|index| json!({ "name": format!("c{index}") })));
        }
        _ => (),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_depends_only_on_its_seed_and_number() {
        let payload = |seed, index| Generator::new(seed).input(index).payload;
        assert_eq!(payload(1, 77), payload(1, 77));
        assert_ne!(payload(1, 77), payload(1, 78));
        assert_ne!(payload(1, 77), payload(2, 77));
        // Inputs of adjacent seeds are different, too.
        assert_ne!(payload(1, 78), payload(2, 77));
    }

    #[test]
    fn a_pointer_leads_to_each_node() {
        let value = json!({ "a/b": [{ "~": null }, 1], "": {} });
        let mut all = pointers(&value);
        all.sort();
        assert_eq!(all, ["", "/", "/a~1b", "/a~1b/0", "/a~1b/0/~0", "/a~1b/1"]);
        assert!(all.iter().all(|pointer| value.pointer(pointer).is_some()));
    }

    #[test]
    fn every_kind_of_hostility_comes_up() {
        let generator = Generator::new(1);
        let mut seen = [0; 5];
        for index in 0..12_000 {
            let Input { operation, payload } = generator.input(index);
            assert!(payload.len() <= REQUEST_LIMIT);
            let text = String::from_utf8_lossy(&payload);
            for (count, is) in seen.iter_mut().zip([
                operation == "validate_settings",
                payload.len() > 100_000,
                text.contains("[[[[[[[["),
                text.contains("touch "),
                text.contains("c9999"),
            ]) {
                *count += u64::from(is);
            }
        }
        assert!(seen.iter().all(|count| *count > 0), "{seen:?}");
    }
}
