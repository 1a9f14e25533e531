//! Goes through the values key by key.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::{
    Fate, Outcome, chart_defaults,
    keys::{
        self, Rule,
        Rule::{Consul, Injector, OtherMode, Remedy, Setting, Special},
    },
    notes,
    values::{Values, is_empty, leaves},
};
use crate::{advice, documents};

/// The settings, what became of each key, and what the values leave open.
pub fn translate(values: &Value, ca_cert: Option<&str>) -> (Value, Vec<Outcome>, Vec<String>) {
    let mut translator = Translator { values: Values(values), settings: json!({}), outcomes: Vec::new() };
    translator.block("", values);
    let notes = notes::conclude(&mut translator, ca_cert);
    (translator.settings, translator.outcomes, notes)
}

pub struct Translator<'a> {
    pub values: Values<'a>,
    pub settings: Value,
    outcomes: Vec<Outcome>,
}

impl Translator<'_> {
    fn block(&mut self, block: &str, values: &Value) {
        for (key, value) in values.as_object().into_iter().flatten() {
            let path = if block.is_empty() { key.clone() } else { format!("{block}.{key}") };
            if key.contains('.') {
                self.flat(&path, key, value);
            } else {
                self.key(&path, value);
            }
        }
    }

    fn key(&mut self, path: &str, value: &Value) {
        if let Some(rule) = keys::rule(path) {
            return self.apply(path, rule, value);
        }
        if keys::children(path).next().is_none() {
            return self.unknown(path);
        }
        match value {
            Value::Object(_) => self.block(path, value),
            Value::Null => self.told(path, Fate::Deployment, "empty: nothing to do"),
            _ => self.told(path, Fate::Unknown, "this is a block of the chart, and needs keys below it"),
        }
    }

    fn apply(&mut self, path: &str, rule: &Rule, value: &Value) {
        let empty = is_empty(value);
        let text = |used: &str| if empty { "empty: nothing to do".to_owned() } else { used.to_owned() };
        let (fate, text) = match rule {
            Setting(setting) => return self.setting(path, setting, value),
            Special => return self.special(path, value),
            Injector => (
                Fate::Deployment,
                "belongs to the original injector's own deployment, which the policy replaces: remove it"
                    .to_owned(),
            ),
            Consul => (Fate::Deployment, "stays with the chart, which deploys Consul".to_owned()),
            OtherMode(instead) => {
                let switch = ["enabled", "defaultEnabled"].iter().find_map(|key| value.get(key));
                let off = empty
                    || self.values.is_off(value)
                    || switch.is_some_and(|switch| self.values.is_off(switch));
                let text = if off { "off: nothing to do".to_owned() } else { (*instead).to_owned() };
                (Fate::NotInThisMode, text)
            }
            Remedy(remedy) if empty => (Fate::Deployment, text(remedy)),
            Remedy(remedy) => (Fate::Elsewhere, text(remedy)),
        };
        for leaf in leaves(path, value) {
            self.told(&leaf, fate, &text);
        }
    }

    /// As in a values file, `null` is the default; so is an empty text.
    fn setting(&mut self, path: &str, setting: &str, value: &Value) {
        if value.is_object() {
            for (key, value) in value.as_object().into_iter().flatten() {
                self.setting(&format!("{path}.{key}"), &format!("{setting}.{key}"), value);
            }
        } else if is_empty(value) && !value.is_array() {
            self.told(path, Fate::Translated, &format!("empty: the default of {setting} stays"));
        } else if let Some(text) = chart_defaults::left_out(path, value, setting) {
            self.told(path, Fate::Translated, &text);
        } else if setting.ends_with("resources.limits.memory")
            && !setting.starts_with("sidecarProxy")
            && advice::quantity(value).is_some_and(|bytes| bytes < advice::CLI_MEMORY)
        {
            let text = format!(
                "left out: Consul's command line needs 85 MB and would be killed; the default of {setting} stays"
            );
            self.told(path, Fate::Translated, &text);
        } else {
            self.set(setting, value.clone());
            self.told(path, Fate::Translated, setting);
        }
    }

    fn special(&mut self, path: &str, value: &Value) {
        let own = |pointer: &str| self.values.written(pointer);
        match path {
            "global.image" | "global.imageEnvoy" | "global.imagePullPolicy" => {
                let setting = match path {
                    "global.image" => "imageConsul",
                    "global.imageEnvoy" => "imageEnvoy",
                    _ => "imagePullPolicy",
                };
                if own(&format!("/connectInject/{setting}")).is_some() {
                    let text = format!("connectInject.{setting} stands over it");
                    self.told(path, Fate::Translated, &text);
                } else {
                    self.setting(path, setting, value);
                }
            }
            "connectInject.enabled" => match self.values.injector() {
                Some(Value::Bool(false)) => self.told(
                    path,
                    Fate::Deployment,
                    "the chart's own injector is off, as it has to be beside this policy; the policy's `enabled` stays true",
                ),
                enabled => self.setting(path, "enabled", &enabled.unwrap_or_default()),
            },
            "connectInject.k8sAllowNamespaces" if *value == json!([]) => {
                self.told(path, Fate::Elsewhere, "left out, as the policy would inject nothing: see the notes");
            }
            "connectInject.k8sAllowNamespaces" => self.setting(path, "k8sAllowNamespaces", value),
            "global.name" | "fullnameOverride" => match value.as_str().filter(|name| !name.is_empty()) {
                Some(name)
                    if self.values.is_true("/global/acls/manageSystemACLs")
                        && own("/connectInject/overrideAuthMethodName").is_none()
                        && (path == "fullnameOverride" || own("/fullnameOverride").is_none()) =>
                {
                    self.set("acls.authMethod", json!(format!("{name}-k8s-auth-method")));
                    self.told(path, Fate::Translated, "acls.authMethod, which the chart names after it");
                }
                _ => self.told(path, Fate::Deployment, "stays with the chart, which deploys Consul"),
            },
            "global.tls.enableAutoEncrypt" if *value == json!(true) => self.told(
                path,
                Fate::Elsewhere,
                "the agents' certificates come from Connect's own CA: write its root into tls.caCert as well, which /v1/connect/ca/roots of an agent shows",
            ),
            "externalServers" if value.get("enabled") == Some(&json!(true)) => {
                for leaf in leaves(path, value) {
                    self.told(
                        &leaf,
                        Fate::Elsewhere,
                        "the policy speaks to the client agent on a pod's node, not to servers: let agents join these by client.join",
                    );
                }
            }
            "client.enabled" if self.values.switch("/client/enabled") == Some(json!(false)) => self.told(
                path,
                Fate::Elsewhere,
                "the policy needs a Consul client agent on every node: set it to true",
            ),
            "client.grpc" if *value == json!(false) => self.told(
                path,
                Fate::Elsewhere,
                "Envoy gets its configuration from the agent's gRPC port: set it to true",
            ),
            "client.grpc" => {
                self.told(path, Fate::Translated, "agent.grpcPort, whose default is the chart's 8502");
            }
            "client.extraConfig" => self.agent_ports(path, value),
            "global.tls.caCert" => {
                let empty = value.as_object().map_or(is_empty(value), |block| block.values().all(is_empty));
                let (fate, text) = match empty {
                    true => (Fate::Deployment, "empty: nothing to do"),
                    false => (
                        Fate::Elsewhere,
                        "tls.caCert takes the certificate itself, not the place where it is kept: see the notes",
                    ),
                };
                for leaf in leaves(path, value) {
                    self.told(&leaf, fate, text);
                }
            }
            _ => {
                for leaf in leaves(path, value) {
                    self.told(&leaf, Fate::Deployment, "stays with the chart, which deploys Consul");
                }
            }
        }
    }

    /// The agents' own configuration may move their ports.
    fn agent_ports(&mut self, path: &str, value: &Value) {
        let config = match value {
            Value::String(text) => documents::parse_one(text).unwrap_or_default(),
            other => other.clone(),
        };
        let mut settings = Vec::new();
        let encrypted = self.values.is_true("/global/tls/enabled");
        let grpc = if encrypted && config.pointer("/ports/grpc_tls").is_some() { "grpc_tls" } else { "grpc" };
        for (port, setting) in [("http", "httpPort"), ("https", "httpsPort"), (grpc, "grpcPort")] {
            let written = config.pointer(&format!("/ports/{port}"));
            let number = |value: &Value| value.as_i64().or_else(|| value.as_str()?.parse().ok());
            // -1 closes a port.
            if let Some(number) = written.and_then(number).filter(|number| *number > 0) {
                let setting = format!("agent.{setting}");
                self.set(&setting, json!(number));
                settings.push(setting);
            }
        }
        if !config.is_object() && !is_empty(value) {
            let text = "not readable here: if it moves ports, write agent.httpPort, agent.httpsPort or agent.grpcPort";
            self.told(path, Fate::Elsewhere, text);
        } else if settings.is_empty() {
            self.told(path, Fate::Deployment, "stays with the chart, which deploys Consul");
        } else {
            let text = format!("{}; the rest stays with the chart", settings.join(", "));
            self.told(path, Fate::Translated, &text);
        }
    }

    fn unknown(&mut self, path: &str) {
        let text = match keys::nearest(path) {
            Some(known) => format!("not a key of the chart; did you mean {known}?"),
            None => "not a key of the chart: remove it".to_owned(),
        };
        self.told(path, Fate::Unknown, &text);
    }

    /// A key with dots in it, which Helm takes for one name and never for a path.
    fn flat(&mut self, path: &str, key: &str, value: &Value) {
        let mut text = "one key with dots in its name, which Helm does not read as a path".to_owned();
        if keys::is_known(path) {
            let shown = if value.is_object() { "{...}".to_owned() } else { value.to_string() };
            let depth = key.matches('.').count();
            let nested = format!("{}: {shown}{}", key.replace('.', ": {"), "}".repeat(depth));
            let _ = write!(text, "; write {nested}");
        }
        self.told(path, Fate::Unknown, &text);
    }

    fn told(&mut self, key: &str, fate: Fate, text: &str) {
        self.outcomes.push(Outcome { key: key.to_owned(), fate, text: text.to_owned() });
    }

    /// Sets a setting by its path. What is set twice is true if it was once: ACLs
    /// have had two names.
    pub fn set(&mut self, setting: &str, value: Value) {
        let mut place = &mut self.settings;
        for key in setting.split('.') {
            if !place.is_object() {
                *place = Value::Object(Map::new());
            }
            place = &mut place[key];
        }
        if *place != json!(true) {
            *place = value;
        }
    }
}
