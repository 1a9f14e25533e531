//! The recorded admissions of consul-k8s's webhook: asks the policy with the settings for a case's
//! Helm values, and compares its pod with the webhook's.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::LazyLock;

use policy_host::helm;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Answer, Asked as _, PREFIX, expand, payload};

/// A minimal certificate: the recorded one is not valid.
pub const CA: &str = "-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n";
const RECORDED_CA: &str = "-----BEGIN CERTIFICATE-----\nMIIBtestCA\n-----END CERTIFICATE-----\n";

#[derive(Deserialize)]
pub struct Case {
    pub id: String,
    pub values: Map<String, Value>,
    pub namespace: Namespace,
    #[serde(default)]
    pub pod: Value,
    /// The object as text, if the API server would not send it.
    pub raw: Option<String>,
    #[serde(default)]
    pub consul: Value,
    #[serde(rename = "resolvConf")]
    resolv_conf: Option<String>,
    pub outcome: Outcome,
}

#[derive(Deserialize)]
pub struct Namespace {
    pub name: String,
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    #[serde(default)]
    pub missing: bool,
}

#[derive(Deserialize)]
pub struct Outcome {
    pub kind: String,
    #[serde(default)]
    pub message: String,
    #[serde(default)]
    pub pod: Value,
}

/// One difference between the two.
pub struct Difference<'c> {
    pub case: &'c Case,
    /// `outcome`, or the path in the pod: `annotations/NAME`, `containers/NAME/args/FLAG`, ...
    pub place: String,
    pub theirs: Value,
    /// One of the problems of a rejection.
    pub ours: Value,
}

impl fmt::Display for Difference<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Difference { case, place, theirs, ours } = self;
        write!(f, "{}: {place}\n    theirs: {theirs}\n    ours:   {ours}", case.id)
    }
}

pub static CASES: LazyLock<Vec<Case>> = LazyLock::new(|| {
    let recorded = include_str!("../../test_data/dataplane/webhook-2.0.3.jsonl");
    recorded.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
});

impl Case {
    pub fn annotation(&self, name: &str) -> Option<&str> {
        self.pod["metadata"]["annotations"].get(format!("{PREFIX}{name}"))?.as_str()
    }

    pub fn object(&self) -> Value {
        match &self.raw {
            Some(raw) => serde_json::from_str(raw).unwrap_or_default(),
            None => self.pod.clone(),
        }
    }

    pub fn value(&self, path: &str) -> Option<&Value> {
        self.values.get(path)
    }

    pub fn is_on(&self, path: &str) -> bool {
        self.value(path) == Some(&json!(true))
    }

    pub fn acls(&self) -> bool {
        self.is_on("global.acls.manageSystemACLs")
            || self.value("connectInject.overrideAuthMethodName").is_some()
    }

    /// The chart's values, as in a values file.
    fn values(&self) -> Value {
        let mut values = json!({ "global": { "name": "consul" } });
        for (path, value) in &self.values {
            *path.split('.').fold(&mut values, |place, key| &mut place[key]) = value.clone();
        }
        values
    }

    /// The policy's settings for the same installation: its values, as `policy-host settings` translates
    /// them, and what they do not contain.
    pub fn settings(&self) -> Value {
        let tls = self.is_on("global.tls.enabled") && !self.is_on("externalServers.useSystemRoots");
        let options = helm::Options {
            ca_cert: tls.then_some(CA),
            mode: Some(helm::Mode::Dataplane),
            release: Some("consul"),
            namespace: Some("consul"),
        };
        let translation = helm::translate(&self.values(), &options).unwrap();
        assert_eq!(translation.unknown().next(), None, "{}", self.id);
        let mut settings = translation.settings;
        // The translation omits two values, with a message: the chart's default for sidecars, and
        // an empty list of namespaces, with which nothing is injected.
        if !self.is_on("connectInject.dataplaneAsSidecarInitContainer.defaultEnabled") {
            settings["nativeSidecars"] = json!(false);
        }
        if self.value("connectInject.k8sAllowNamespaces") == Some(&json!([])) {
            settings["k8sAllowNamespaces"] = json!([]);
        }
        for (key, value) in resolver(self.resolv_conf.as_deref().unwrap_or(RESOLV_CONF)) {
            settings["dns"][key] = value;
        }
        // The namespace's labels override the chart's defaults. In the policy, this takes a second
        // policy with a namespace selector and other settings.
        let label = |name: &str| self.namespace.labels.get(&format!("{PREFIX}{name}"))?.parse::<bool>().ok();
        if let Some(on) = label("transparent-proxy") {
            // Not the default for Consul DNS, which is the same setting of the chart.
            let chart = std::mem::replace(&mut settings["transparentProxy"]["defaultEnabled"], json!(on));
            for key in ["enabled", "enableRedirection"] {
                if settings["dns"].get(key).is_none() {
                    settings["dns"][key] = json!(chart != false);
                }
            }
        }
        if let Some(on) = label("consul-dns") {
            settings["dns"]["enabled"] = json!(on);
            settings["dns"]["enableRedirection"] = json!(on);
        }
        let log = &self.consul["proxyDefaults"]["AccessLogs"];
        if log["Enabled"] == true && log["Type"] == "file" {
            settings["accessLogs"]["path"] = log["Path"].clone();
        }
        settings
    }

    pub fn ask(&self) -> Answer {
        self.ask_with(&self.settings())
    }

    pub fn ask_with(&self, settings: &Value) -> Answer {
        let object = self.raw.clone().unwrap_or_else(|| self.pod.to_string());
        Answer::to(payload(&self.namespace.name, &object, &settings.to_string()).as_bytes())
    }

    /// The differences: in the outcome, one for each problem that the policy reports, or in the
    /// injected pod.
    pub fn differences(&self) -> Vec<Difference<'_>> {
        let answer = self.ask();
        let ours = match (&answer.mutated_object, answer.accepted) {
            (Some(_), _) => "injected",
            (None, true) => "skipped",
            (None, false) => "rejected",
        };
        let difference = |place: &str, theirs: Value, ours: Value| Difference {
            case: self,
            place: place.to_owned(),
            theirs,
            ours,
        };
        if self.outcome.kind != ours {
            let theirs = json!(self.outcome.kind);
            let message = answer.message.clone().unwrap_or_else(|| format!("\n{}", answer.reason()));
            let problems: Vec<&str> = match ours {
                "injected" => vec!["injected"],
                _ => message.lines().skip(usize::from(message.contains('\n'))).collect(),
            };
            return problems
                .iter()
                .map(|problem| difference("outcome", theirs.clone(), json!(problem)))
                .collect();
        }
        if ours != "injected" {
            return Vec::new();
        }
        let before = self.object();
        let (theirs, ours) = (parts(&self.outcome.pod, &before), parts(&answer.pod(), &before));
        let places: BTreeSet<&String> = theirs.keys().chain(ours.keys()).collect();
        let value =
            |parts: &BTreeMap<String, Value>, place: &str| parts.get(place).cloned().unwrap_or_default();
        let differ = places.into_iter().filter(|place| theirs.get(*place) != ours.get(*place));
        differ.map(|place| difference(place, value(&theirs, place), value(&ours, place))).collect()
    }
}

const RESOLV_CONF: &str = "search consul.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.96.0.10\noptions ndots:5\n";

/// The values of the webhook's own `resolv.conf`, as settings.
fn resolver(resolv_conf: &str) -> Map<String, Value> {
    let words = |keyword: &str| -> Vec<String> {
        let lines = resolv_conf.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let lines = lines.filter(|words| words.first() == Some(&keyword));
        lines.flat_map(|words| words.into_iter().skip(1).map(str::to_owned).collect::<Vec<_>>()).collect()
    };
    let searches = words("search");
    let mut resolver = Map::new();
    resolver.insert("nameservers".into(), json!(words("nameserver")));
    let domain = searches.iter().find_map(|search| search.strip_prefix("svc.")).unwrap_or("cluster.local");
    resolver.insert("clusterDomain".into(), json!(domain));
    let own = searches.iter().filter(|search| *search != domain && !search.ends_with(&format!(".{domain}")));
    resolver.insert("searches".into(), json!(own.collect::<Vec<_>>()));
    // The webhook writes options that are not the resolver's defaults.
    let defaults = ["ndots:1", "timeout:5", "attempts:2"];
    let known =
        |option: &String| ["ndots:", "timeout:", "attempts:"].iter().any(|name| option.starts_with(name));
    let options = words("options").into_iter().filter(known);
    let options = options.filter(|option| !defaults.contains(&option.as_str()));
    resolver.insert("options".into(), json!(options.collect::<Vec<_>>()));
    resolver
}

/// Values that mean the same as their absence.
fn without_empty(value: &Value) -> Value {
    let is_empty = |value: &Value| match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        _ => false,
    };
    match value {
        Value::Object(members) => {
            let said = members.iter().filter(|(key, value)| *key != "privileged" || **value != false);
            let said = said.map(|(key, value)| (key.clone(), without_empty(value)));
            said.filter(|(_, value)| !is_empty(value)).collect::<Map<_, _>>().into()
        }
        Value::Array(items) => items.iter().map(without_empty).collect(),
        other => other.clone(),
    }
}

/// A pod as a map of paths to comparable values.
fn parts(pod: &Value, before: &Value) -> BTreeMap<String, Value> {
    let text = serde_json::to_string(&without_empty(pod)).unwrap();
    let text = text.replace(&escaped(RECORDED_CA), &escaped(CA));
    let pod: Value = serde_json::from_str(&text).unwrap();
    let mut parts = BTreeMap::new();
    for kind in ["annotations", "labels"] {
        for (name, value) in pod["metadata"][kind].as_object().into_iter().flatten() {
            parts.insert(format!("{kind}/{name}"), readable(name, value));
        }
    }
    for (field, value) in pod["metadata"].as_object().into_iter().flatten() {
        if !["annotations", "labels"].contains(&field.as_str()) {
            parts.insert(format!("metadata/{field}"), value.clone());
        }
    }
    for (field, value) in pod["spec"].as_object().into_iter().flatten() {
        match field.as_str() {
            "containers" | "initContainers" => {
                for container in value.as_array().unwrap() {
                    container_parts(
                        &format!("{field}/{}", container["name"].as_str().unwrap()),
                        container,
                        &mut parts,
                    );
                }
                parts.insert(format!("{field}/order"), names(value));
            }
            "volumes" => {
                for volume in value.as_array().unwrap() {
                    parts.insert(format!("volumes/{}", volume["name"].as_str().unwrap()), volume.clone());
                }
            }
            _ => {
                parts.insert(format!("spec/{field}"), value.clone());
            }
        }
    }
    // Values that both kept as sent are not compared.
    let same = |place: &String, value: &Value| {
        place.strip_prefix("spec/").is_some_and(|field| without_empty(&before["spec"][field]) == *value)
    };
    parts.retain(|place, value| !same(place, value));
    parts
}

fn escaped(text: &str) -> String {
    let quoted = serde_json::to_string(text).unwrap();
    quoted.trim_matches('"').to_owned()
}

fn names(list: &Value) -> Value {
    list.as_array().into_iter().flatten().map(|item| item["name"].clone()).collect()
}

/// JSON in a string, as a value.
fn readable(name: &str, value: &Value) -> Value {
    let is_json = name.ends_with("redirect-traffic-config") || name == "CONSUL_REDIRECT_TRAFFIC_CONFIG";
    match value.as_str().filter(|_| is_json) {
        Some(text) => serde_json::from_str(text).unwrap(),
        None => value.clone(),
    }
}

fn container_parts(place: &str, container: &Value, parts: &mut BTreeMap<String, Value>) {
    for (field, value) in container.as_object().unwrap() {
        match field.as_str() {
            "name" => (),
            "args" | "command" if place.contains("/consul-") => {
                parts.extend(
                    arguments(container)
                        .into_iter()
                        .map(|(flag, value)| (format!("{place}/args/{flag}"), value)),
                );
            }
            "env" => {
                // The kubelet expands references to earlier variables.
                let mut known = BTreeMap::new();
                for variable in value.as_array().unwrap() {
                    let name = variable["name"].as_str().unwrap();
                    let text = expand(variable["value"].as_str().unwrap_or_default(), &known);
                    let value = variable.get("valueFrom").cloned().unwrap_or(json!(text));
                    known.insert(name.to_owned(), format!("<{name}>"));
                    parts.insert(format!("{place}/env/{name}"), readable(name, &value));
                }
            }
            "volumeMounts" => {
                for mount in value.as_array().unwrap() {
                    parts.insert(
                        format!("{place}/mounts{}", mount["mountPath"].as_str().unwrap()),
                        mount.clone(),
                    );
                }
            }
            "securityContext" | "resources" => {
                for (part, value) in value.as_object().unwrap() {
                    parts.insert(format!("{place}/{field}/{part}"), value.clone());
                }
            }
            _ => {
                parts.insert(format!("{place}/{field}"), value.clone());
            }
        }
    }
}

/// The flags of an injected container with their values. `--` has the arguments for Envoy.
fn arguments(container: &Value) -> Vec<(String, Value)> {
    let words = |field: &str| -> Vec<String> {
        let list = container[field].as_array().into_iter().flatten();
        list.map(|word| word.as_str().unwrap().to_owned()).collect()
    };
    let command = words("command");
    let (form, mut words) = match command.first().map(String::as_str) {
        Some("/bin/sh") => {
            let script =
                command[2].trim_end_matches('\\').replace("\\\n", " ").replace("${", "$(").replace('}', ")");
            ("shell", shlex::split(&script).unwrap_or_else(|| vec![script]))
        }
        _ => ("exec", [command, words("args")].concat()),
    };
    // As after the kubelet's expansion.
    words.iter_mut().for_each(|word| *word = word.replace("$$", "$"));
    let mut arguments = Vec::new();
    if !container["command"].is_null() {
        arguments.push(("form".to_owned(), json!(form)));
    }
    if let Some(end) = words.iter().position(|word| word == "--") {
        arguments.push(("--".to_owned(), json!(words.split_off(end))));
    }
    let mut words = words.into_iter().peekable();
    while let Some(word) = words.next() {
        let (flag, value) = match word.split_once('=') {
            Some((flag, value)) => (flag.to_owned(), value.to_owned()),
            None if word == "-addresses" => (word, words.next().unwrap()),
            None => (word, String::new()),
        };
        arguments.push((flag, json!(value)));
    }
    arguments
}
