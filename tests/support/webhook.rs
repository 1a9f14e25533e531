//! The recorded admissions of consul-k8s's webhook: asks the policy with the settings for a case's
//! Helm values.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use policy_host::helm;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Answer, Asked as _, PREFIX, payload};

/// A minimal certificate.
const CA: &str = "-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n";

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
    pub resolv_conf: Option<String>,
    pub outcome: Outcome,
}

#[derive(Deserialize)]
pub struct Namespace {
    pub name: String,
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

#[derive(Deserialize)]
pub struct Outcome {
    pub kind: String,
    #[serde(default)]
    pub message: String,
    #[serde(default)]
    pub pod: Value,
}

pub static CASES: LazyLock<Vec<Case>> = LazyLock::new(|| {
    // The recorded certificate is not valid.
    let recorded = include_str!("../../test_data/dataplane/webhook-2.0.3.jsonl");
    let recorded = recorded.replace("MIIBtestCA", "MAMCAQE=");
    recorded.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
});

impl Case {
    pub fn annotation(&self, name: &str) -> Option<&str> {
        self.pod["metadata"]["annotations"].get(format!("{PREFIX}{name}"))?.as_str()
    }

    pub fn is_on(&self, path: &str) -> bool {
        self.values.get(path) == Some(&json!(true))
    }

    pub fn acls(&self) -> bool {
        self.is_on("global.acls.manageSystemACLs")
            || self.values.contains_key("connectInject.overrideAuthMethodName")
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
        if self.values.get("connectInject.k8sAllowNamespaces") == Some(&json!([])) {
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
        let object = self.raw.clone().unwrap_or_else(|| self.pod.to_string());
        Answer::to(payload(&self.namespace.name, &object, &self.settings().to_string()).as_bytes())
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
