//! The schema and the reference documentation agree with the built policy.

mod support;

use std::collections::BTreeSet;

use consul_connect_injector::annotations::names::{ReadBy, TABLE, read_by};
use consul_connect_injector::settings::ModeName;
use policy_host::{
    documents, helm,
    helm::{Fate, Mode, Options},
    manifest,
};
use serde_json::{Map, Value, json};
use support::project::{
    CA, MODES, default_in, has, nested, policy, read, refusal, schema, setting, settings,
};

const PREFIX: &str = "consul.hashicorp.com/";

#[test]
fn every_setting_is_described_and_its_default_is_valid() {
    for (path, schema) in settings().0 {
        assert!(schema["description"].as_str().is_some_and(|text| text.len() > 10), "{path}");
        assert!(schema.get("type").is_some(), "{path}");
        let default = schema.get("default").unwrap_or_else(|| panic!("{path} has no default"));
        for value in [default, &Value::Null] {
            assert_eq!(refusal(&setting(&path, value.clone())), None, "{path}: {value}");
        }
    }
}

/// Writing out a default changes nothing, neither alone nor together with the settings that
/// give it an effect.
#[test]
fn the_schemas_defaults_are_the_policys() {
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": { "name": "web", "annotations": { format!("{PREFIX}connect-inject"): "true" } },
        "spec": { "serviceAccountName": "web", "containers": [{ "name": "web", "ports": [{ "containerPort": 8080 }] }] },
    });
    let mut silent = pod.clone();
    silent["metadata"]["annotations"] = json!({});
    for base in [
        json!({}),
        json!({ "acls": { "enabled": true }, "enableConsulNamespaces": true }),
        json!({ "enableConsulNamespaces": true, "consulNamespaces": { "mirroringK8S": true } }),
        json!({ "tls": { "enabled": true, "caCert": CA }, "nativeSidecars": false }),
        json!({ "mode": "dataplane" }),
        json!({ "mode": "dataplane", "enableConsulNamespaces": true, "acls": { "enabled": true } }),
        json!({ "mode": "dataplane", "nativeSidecars": false, "metrics": { "defaultEnabled": true } }),
    ] {
        let mode = base["mode"].as_str().unwrap_or("agent");
        for (path, schema) in settings().0.into_iter().filter(|(path, _)| has(mode, path)) {
            let pointer = format!("/{}", path.replace('.', "/"));
            if base.pointer(&pointer).is_some() {
                continue;
            }
            let mut written = base.clone();
            *path.split('.').fold(&mut written, |place, key| &mut place[key]) =
                default_in(mode, &path, &schema);
            for pod in [&pod, &silent] {
                let with = |settings: &Value| mutated(pod, settings);
                assert_eq!(with(&written), with(&base), "{path} in {written}");
            }
        }
    }
}

/// The policy's answer for a pod.
fn mutated(pod: &Value, settings: &Value) -> Value {
    let request = json!({
        "uid": "u", "kind": { "group": "", "version": "v1", "kind": "Pod" },
        "operation": "CREATE", "namespace": "shop", "object": pod,
    });
    let payload = json!({ "request": request, "settings": settings }).to_string();
    let answer: Value =
        serde_json::from_slice(&policy().call("validate", payload.as_bytes()).unwrap()).unwrap();
    assert_eq!(answer["accepted"], true, "{answer}");
    answer
}

#[test]
fn every_type_error_is_refused_by_name() {
    for (path, schema) in settings().0 {
        let types: Vec<_> = schema["type"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        for (kind, value) in [
            ("boolean", json!(true)),
            ("string", json!("x y")),
            ("integer", json!(1)),
            ("array", json!([[]])),
            ("object", json!({ "cpu": [] })),
        ] {
            // A value of the right type is wrong in another way.
            if types.contains(&kind) && !matches!(kind, "array" | "object") {
                continue;
            }
            let message = refusal(&setting(&path, value.clone()));
            let named = message.as_ref().is_some_and(|message| message.contains(&format!("setting {path}")));
            assert!(named, "{path}: {value}: {message:?}");
        }
    }
}

#[test]
fn what_the_schema_bounds_the_policy_bounds() {
    for (path, schema) in settings().0 {
        for value in schema.get("enum").and_then(Value::as_array).into_iter().flatten() {
            assert_eq!(refusal(&setting(&path, value.clone())), None, "{path}: {value}");
        }
        let bound = |name: &str| schema.get(name).and_then(Value::as_i64);
        if let (Some(least), Some(most)) = (bound("minimum"), bound("maximum")) {
            for (number, fits) in [(least - 1, false), (least, true), (most, true), (most + 1, false)] {
                assert_eq!(refusal(&setting(&path, json!(number))).is_none(), fits, "{path}: {number}");
            }
        }
        if schema.get("enum").is_some() || schema.get("pattern").is_some() {
            assert!(refusal(&setting(&path, json!("?!\u{0}"))).is_some(), "{path}");
        }
    }
}

#[test]
fn the_schema_has_the_keys_that_the_policy_knows() {
    let blocks = settings().1;
    for (mode, block) in MODES.iter().flat_map(|mode| blocks.iter().map(move |block| (mode, block))) {
        if !has(mode, block) {
            continue;
        }
        let unknown = "zzzzzzzzzzzzzzzzzzzz";
        let path = if block.is_empty() { unknown.to_owned() } else { format!("{block}.{unknown}") };
        let mut settings = nested(&path, json!(1));
        settings["mode"] = json!(mode);
        let message = refusal(&settings).unwrap();
        let (_, keys) = message.split_once("the settings here are ").unwrap();
        let known: BTreeSet<_> = keys.lines().next().unwrap().split(", ").map(str::to_owned).collect();
        let pointer: String =
            block.split('.').filter(|key| !key.is_empty()).flat_map(|key| ["/properties/", key]).collect();
        let schema = schema();
        let described = schema.pointer(&format!("{pointer}/properties")).unwrap().as_object().unwrap();
        let path = |key: &str| if block.is_empty() { key.to_owned() } else { format!("{block}.{key}") };
        let described = described.keys().filter(|key| has(mode, &path(key))).cloned();
        assert_eq!(described.collect::<BTreeSet<_>>(), known, "{mode}: {block}");
    }
}

/// An entry of the documentation: a third-level heading with a name in backticks, and the text below it.
struct Entry {
    name: String,
    default: String,
    examples: Vec<Value>,
    /// `(value, message)`
    mistakes: Vec<(Value, String)>,
}

fn entries(path: &str) -> Vec<Entry> {
    let text = read(path);
    let sections = text.split("\n### `").skip(1);
    sections
        .map(|section| {
            let section = section.split("\n## ").next().unwrap();
            let (name, body) = section.split_once("`\n").unwrap();
            let default = body.lines().find_map(|line| line.strip_prefix("Default: ")).unwrap();
            let examples = body
                .split("```yaml\n")
                .skip(1)
                .map(|rest| documents::parse_one(rest.split("```").next().unwrap()).unwrap());
            let lines: Vec<_> = body.lines().collect();
            let mistakes = lines.windows(2).filter_map(|pair| {
                let (_, value) = pair[0].split_once(": `{")?;
                let value = format!("{{{}", value.strip_suffix('`')?);
                Some((serde_json::from_str(&value).unwrap(), pair[1].strip_prefix("> ")?.to_owned()))
            });
            Entry {
                name: name.to_owned(),
                default: default.to_owned(),
                examples: examples.collect(),
                mistakes: mistakes.collect(),
            }
        })
        .collect()
}

fn names(entries: &[Entry]) -> BTreeSet<String> {
    entries.iter().map(|entry| entry.name.clone()).collect()
}

#[test]
fn the_settings_are_documented_with_their_defaults() {
    let entries = entries("docs/settings.md");
    let (settings, _) = settings();
    assert_eq!(names(&entries), settings.iter().map(|(path, _)| path.clone()).collect());
    for entry in &entries {
        let (_, schema) = settings.iter().find(|(path, _)| *path == entry.name).unwrap();
        let documented: Value = serde_json::from_str(entry.default.trim_matches('`')).unwrap();
        assert_eq!(documented, schema["default"], "{}", entry.name);
    }
}

#[test]
fn the_documented_settings_do_what_is_documented() {
    for entry in entries("docs/settings.md") {
        for example in &entry.examples {
            assert_eq!(refusal(example), None, "{example}");
        }
        assert!(!entry.mistakes.is_empty(), "{}: no mistake", entry.name);
        for (mistake, documented) in &entry.mistakes {
            let message = refusal(mistake).unwrap_or_default();
            assert!(
                message.contains(documented),
                "{mistake}: documented\n{documented}\nand really\n{message}"
            );
        }
    }
}

/// The problems and warnings for a pod with these annotations.
fn reviewed(annotations: &Map<String, Value>) -> (bool, String) {
    let mut all = Map::from_iter([(format!("{PREFIX}connect-inject"), json!("true"))]);
    for (name, value) in annotations {
        let name = name.strip_prefix(PREFIX).unwrap_or(name);
        all.insert(format!("{PREFIX}{name}"), value.clone());
    }
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": { "name": "web", "annotations": all },
        "spec": { "containers": [
            { "name": "web", "image": "web:1", "ports": [{ "containerPort": 8080, "name": "http" }] }] },
    });
    let case = manifest::cases(vec![pod], &manifest::Options::default()).unwrap().remove(0);
    let only_dataplane = |name: &str| read_by(name) == Some(ReadBy::Only(ModeName::Dataplane));
    let dataplane = annotations.keys().any(|name| only_dataplane(name.strip_prefix(PREFIX).unwrap_or(name)));
    let settings = if dataplane { json!({ "mode": "dataplane" }) } else { json!({}) };
    let response = policy().review(&case.request, &settings).response;
    let problems = response.message().unwrap_or_default().to_owned();
    let warnings = response.warnings.unwrap_or_default().join("\n");
    (response.allowed, format!("{problems}\n{warnings}"))
}

#[test]
fn the_annotations_are_documented() {
    let known = TABLE.iter().filter(|(_, read_by)| *read_by != ReadBy::Others);
    let known = known.map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names(&entries("docs/annotations.md")), known);
}

#[test]
fn the_documented_annotations_do_what_is_documented() {
    for entry in entries("docs/annotations.md") {
        for example in &entry.examples {
            let example = example.as_object().unwrap();
            let written = example.keys().next().unwrap().strip_prefix(PREFIX).unwrap();
            assert!(written.starts_with(&entry.name), "{written}");
            let (allowed, message) = reviewed(example);
            assert!(allowed, "{example:?}: {message}");
        }
        for (mistake, documented) in &entry.mistakes {
            let (_, message) = reviewed(mistake.as_object().unwrap());
            assert!(
                message.contains(documented),
                "{mistake}: documented\n{documented}\nand really\n{message}"
            );
        }
    }
}

/// The rows of a table about the Helm chart: the keys and their descriptions.
fn helm_rows(mode: Mode) -> Vec<(Vec<String>, String)> {
    let text = read("docs/settings.md");
    let heading = match mode {
        Mode::Agent => "| Helm values | settings |\n",
        Mode::Dataplane => "| Helm values | settings in dataplane mode |\n",
    };
    let (_, table) = text.split_once(heading).unwrap();
    let rows = table.lines().skip(1).take_while(|line| line.starts_with('|'));
    let rows = rows.filter(|line| !line.starts_with("| all else"));
    rows.map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let mut keys: Vec<String> = Vec::new();
        for name in cells[0].split('`').skip(1).step_by(2).filter(|name| *name != "ports") {
            // `.default` after `connectInject.enabled` is short for `connectInject.default`.
            let block = keys.last().and_then(|last| last.rsplit_once('.')).map(|(block, _)| block.to_owned());
            keys.push(if name.starts_with('.') { block.unwrap() + name } else { name.to_owned() });
        }
        (keys, cells[1].to_owned())
    })
    .collect()
}

/// How a key is translated with each of these values.
fn fates(mode: Mode, key: &str) -> Vec<(Fate, String)> {
    let samples = [
        json!(true),
        json!(false),
        json!("x"),
        json!(["x"]),
        json!({ "enabled": true }),
        json!({ "requests": { "cpu": "1" } }),
        json!({ "ports": { "http": 1, "https": 2, "grpc": 3 } }),
    ];
    let outcomes = samples.into_iter().flat_map(|sample| {
        let mut values = nested(key, sample);
        // Keys that others depend on.
        if key != "global.acls.manageSystemACLs" {
            values["global"]["acls"]["manageSystemACLs"] = json!(true);
        }
        if key.starts_with("externalServers.") {
            values["externalServers"]["enabled"] = json!(true);
        }
        if key != "global.metrics" {
            values["global"]["metrics"]["enabled"] = json!(true);
        }
        helm::translate(&values, &Options { mode: Some(mode), ..Options::default() }).unwrap().outcomes
    });
    let below = format!("{key}.");
    outcomes
        .filter(|outcome| outcome.key == key || outcome.key.starts_with(&below))
        .map(|outcome| (outcome.fate, outcome.text))
        .collect()
}

#[test]
fn the_helm_tables_say_what_becomes_of_their_keys() {
    for mode in [Mode::Agent, Mode::Dataplane] {
        for (keys, says) in helm_rows(mode) {
            for key in keys {
                let fates = fates(mode, &key);
                let is = |wanted: Fate| fates.iter().any(|(fate, _)| *fate == wanted);
                // Some of the words in backticks are settings.
                let named: Vec<&str> =
                    says.split('`').skip(1).step_by(2).filter(|name| *name != "-").collect();
                let names_a_setting = |(fate, text): &(Fate, String)| {
                    *fate != Fate::NotInThisMode && named.iter().any(|name| text.contains(name))
                };
                let fits = if says.starts_with("the same name") {
                    let name = key.strip_prefix("connectInject.").unwrap();
                    fates.iter().any(|(fate, text)| *fate == Fate::Translated && text.starts_with(name))
                } else if says.starts_with("not in this mode") {
                    is(Fate::NotInThisMode)
                } else if says.starts_with("stay") {
                    is(Fate::Deployment)
                } else {
                    fates.iter().any(names_a_setting) || is(Fate::Elsewhere)
                };
                assert!(fits && !is(Fate::Unknown), "{key}: documented: {says}; really: {fates:#?}");
            }
        }
    }
}

#[test]
fn what_the_helm_tables_leave_out_is_about_a_deployment() {
    let rows = |mode| helm_rows(mode).into_iter().flat_map(|(keys, _)| keys);
    let agent: Vec<String> = rows(Mode::Agent).collect();
    let dataplane: Vec<String> = rows(Mode::Agent).chain(rows(Mode::Dataplane)).collect();
    for (mode, rows) in [(Mode::Agent, agent), (Mode::Dataplane, dataplane)] {
        for key in helm::keys(mode) {
            let told = rows.iter().any(|row| key == row || key.starts_with(&format!("{row}.")));
            let fates = fates(mode, key);
            assert!(!fates.is_empty(), "{key}");
            if !told {
                assert!(fates.iter().all(|(fate, _)| *fate == Fate::Deployment), "{key}: {fates:#?}");
            }
        }
    }
}

/// A block of a values file that is copied into the settings is either valid there or rejected
/// with the translation of its keys.
#[test]
fn every_key_of_the_charts_block_gets_a_specific_message_in_the_settings() {
    for key in helm::keys(Mode::Agent).filter_map(|key| key.strip_prefix("connectInject.")) {
        let message = refusal(&nested(key, json!(7))).unwrap_or_default();
        assert!(!message.contains("is unknown"), "{message}");
    }
}
