//! Translates the values of Consul's Helm chart into the policy's settings.
//!
//! The chart configures a whole Consul: servers, agents, gateways, and the
//! injector whose place the policy takes. [`translate`] says of every key that
//! is written in a values file what became of it. It knows the charts from
//! Consul 1.5 on to today's.

use std::{fmt, fmt::Write as _};

use serde_json::{Map, Value, json};
use thiserror::Error;

use crate::advice;

/// What a values file means for the policy.
#[derive(Clone, Debug, PartialEq)]
pub struct Translation {
    /// The policy's settings.
    pub settings: Value,
    /// What became of every key, those to act upon first.
    pub outcomes: Vec<Outcome>,
    /// What the values leave open.
    pub notes: Vec<String>,
}

/// What became of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// `connectInject.default`
    pub key: String,
    /// The heading it belongs under.
    pub fate: Fate,
    /// What it is now, or what to do.
    pub text: String,
}

/// The ways in which a key can end, in the order of their importance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// The chart does not know it either.
    Unknown,
    /// Somebody has to do something that settings cannot.
    Elsewhere,
    /// It is in the settings.
    Translated,
    /// It asks for a mode that the policy does not have.
    NotInThisMode,
    /// It is about how Consul or its own injector runs.
    Deployment,
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "unknown keys",
            Self::Elsewhere => "to be done elsewhere",
            Self::Translated => "translated",
            Self::NotInThisMode => "not in this mode",
            Self::Deployment => "about Consul's own deployment",
        })
    }
}

/// The document is no values file.
#[derive(Debug, Error, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum HelmError {
    #[error("a values file is an object, with keys such as `global`, `client` and `connectInject`")]
    NotAnObject,
}

/// What the chart's keys are about. A rule holds for everything below its key.
enum Rule {
    /// The setting of the same meaning.
    Setting(&'static str),
    /// The injector that the policy replaces.
    Injector,
    /// Consul itself, which the chart goes on to deploy.
    Consul,
    /// A mode of later injectors, and what to do instead.
    OtherMode(&'static str),
    /// What to do if it is used.
    Remedy(&'static str),
    /// More than a table can say: [`Translator::special`].
    Special,
}

use Rule::{Consul, Injector, OtherMode, Remedy, Setting, Special};

const UPSTREAMS: &str = "name what the pod calls in the annotation connect-service-upstreams";
const METRICS: &str = "this mode adds no listener for metrics: write envoy_prometheus_bind_addr into the config of Consul's \
                       proxy-defaults entry, which Envoy's bootstrap takes up";
const PROBES: &str =
    "nothing takes its place: Envoy has a startup probe of the policy's own, and no liveness probe";
const PULL_SECRETS: &str =
    "name the secrets in imagePullSecrets of the pods' service accounts: the images are pulled by the pods";

/// By key; a block is whatever has keys below it here.
const RULES: &[(&str, Rule)] = &[
    ("global.enabled", Consul),
    ("global.logLevel", Consul),
    ("global.logJSON", Consul),
    ("global.name", Special),
    ("global.domain", Consul),
    ("global.installK8sNetworkingCRDs", Consul),
    ("global.peering", OtherMode("reach a peer's services by a service-resolver entry in Consul")),
    ("global.adminPartitions", OtherMode("keep the agents in the partition `default`")),
    ("global.image", Special),
    ("global.imageK8S", Injector),
    ("global.imageK8s", Injector),
    ("global.imageEnvoy", Special),
    ("global.imageConsulDataplane", OtherMode("imageEnvoy names the proxy's image")),
    ("global.imagePullPolicy", Special),
    ("global.imagePullSecrets", Remedy(PULL_SECRETS)),
    ("global.datacenter", Consul),
    ("global.enablePodSecurityPolicies", Consul),
    ("global.secretsBackend", Consul),
    ("global.gossipEncryption", Consul),
    ("global.recursors", Consul),
    ("global.gossipKey", Consul),
    ("global.initContainer", Consul),
    ("global.bootstrapACLs", Setting("acls.enabled")),
    ("global.tls.enabled", Setting("tls.enabled")),
    ("global.tls.enableAutoEncrypt", Special),
    ("global.tls.httpsOnly", Consul),
    ("global.tls.verify", Consul),
    ("global.tls.serverAdditionalDNSSANs", Consul),
    ("global.tls.serverAdditionalIPSANs", Consul),
    ("global.tls.caCert", Special),
    ("global.tls.caKey", Consul),
    ("global.tls.logLevel", Consul),
    ("global.tls.annotations", Consul),
    ("global.enableConsulNamespaces", Setting("enableConsulNamespaces")),
    ("global.acls.manageSystemACLs", Setting("acls.enabled")),
    ("global.acls.bootstrapToken", Consul),
    ("global.acls.createReplicationToken", Consul),
    ("global.acls.replicationToken", Consul),
    ("global.acls.partitionToken", Consul),
    ("global.acls.logLevel", Consul),
    ("global.acls.resources", Consul),
    ("global.acls.tolerations", Consul),
    ("global.acls.nodeSelector", Consul),
    ("global.acls.annotations", Consul),
    ("global.argocd", Consul),
    ("global.enterpriseLicense", Consul),
    ("global.federation", Consul),
    ("global.metrics", OtherMode(METRICS)),
    ("global.lifecycleSidecarContainer.resources", Setting("lifecycleSidecar.resources")),
    ("global.consulSidecarContainer.resources", Setting("lifecycleSidecar.resources")),
    ("global.generateManifests", Consul),
    ("global.generateManifestsStorageClassName", Consul),
    ("global.generateManifestsStorage", Consul),
    ("global.crds", Consul),
    ("global.podSecurityContext", Consul),
    ("global.openshift.enabled", Setting("openshift")),
    ("global.openshift.upgradeTo419From418", Consul),
    ("global.openshift.isOcpGreaterthan4_18", Consul),
    ("global.openshift.crds", Consul),
    ("global.consulAPITimeout", Injector),
    ("global.cloud", Consul),
    ("global.extraLabels", Consul),
    ("global.trustedCAs", Consul),
    ("global.experiments", Consul),
    ("global.dualStack", Consul),
    ("client.enabled", Special),
    ("client.grpc", Special),
    ("client.extraConfig", Special),
    ("client.image", Consul),
    ("client.join", Consul),
    ("client.resources", Consul),
    ("client.extraVolumes", Consul),
    ("client.extraContainers", Consul),
    ("client.tolerations", Consul),
    ("client.nodeSelector", Consul),
    ("client.priorityClassName", Consul),
    ("client.annotations", Consul),
    ("client.extraLabels", Consul),
    ("client.extraEnvironmentVars", Consul),
    ("client.dataDirectoryHostPath", Consul),
    ("client.exposeGossipPorts", Consul),
    ("client.securityContext", Consul),
    ("client.containerSecurityContext", Consul),
    ("client.affinity", Consul),
    ("client.dnsPolicy", Consul),
    ("client.disableHostNodeID", Consul),
    ("client.hostNetwork", Consul),
    ("client.updateStrategy", Consul),
    ("client.snapshotAgent", Consul),
    ("client.nodeMeta", Consul),
    ("client.serviceAccount", Consul),
    ("client.logLevel", Consul),
    ("client.aclInit", Consul),
    ("client.livenessProbe", Consul),
    ("client.readinessProbe", Consul),
    ("connectInject.enabled", Special),
    ("connectInject.default", Setting("default")),
    ("connectInject.imageConsul", Setting("imageConsul")),
    ("connectInject.imageEnvoy", Setting("imageEnvoy")),
    ("connectInject.imagePullPolicy", Setting("imagePullPolicy")),
    ("connectInject.k8sAllowNamespaces", Special),
    ("connectInject.k8sDenyNamespaces", Setting("k8sDenyNamespaces")),
    ("connectInject.envoyExtraArgs", Setting("envoyExtraArgs")),
    ("connectInject.centralConfig.enabled", Setting("centralConfig.enabled")),
    ("connectInject.centralConfig.defaultProtocol", Setting("centralConfig.defaultProtocol")),
    (
        "connectInject.centralConfig.proxyDefaults",
        Remedy(
            "write it into Consul once, with `consul config write`, as the config of an entry of kind proxy-defaults named global",
        ),
    ),
    (
        "connectInject.consulNamespaces.consulDestinationNamespace",
        Setting("consulNamespaces.consulDestinationNamespace"),
    ),
    ("connectInject.consulNamespaces.mirroringK8S", Setting("consulNamespaces.mirroringK8S")),
    ("connectInject.consulNamespaces.mirroringK8SPrefix", Setting("consulNamespaces.mirroringK8SPrefix")),
    ("connectInject.crossNamespaceACLPolicy", Setting("crossNamespaceACLPolicy")),
    ("connectInject.healthChecks.enabled", Setting("healthChecks.enabled")),
    ("connectInject.healthChecks.reconcilePeriod", Injector),
    ("connectInject.sidecarProxy.concurrency", Setting("sidecarProxy.concurrency")),
    ("connectInject.sidecarProxy.resources", Setting("sidecarProxy.resources")),
    (
        "connectInject.sidecarProxy.lifecycle",
        OtherMode("nothing to do: Envoy serves for as long as the pod's own containers need to end"),
    ),
    ("connectInject.sidecarProxy.defaultStartupFailureSeconds", OtherMode(PROBES)),
    ("connectInject.sidecarProxy.defaultLivenessFailureSeconds", OtherMode(PROBES)),
    ("connectInject.initContainer.resources", Setting("initContainer.resources")),
    ("connectInject.overrideAuthMethodName", Setting("acls.authMethod")),
    (
        "connectInject.namespaceSelector",
        Remedy(
            "what it says of the policy's pods is spec.namespaceSelector of the ClusterAdmissionPolicy, as an object; what keeps the chart's injector away from them stays in the chart",
        ),
    ),
    (
        "connectInject.aclBindingRuleSelector",
        Remedy(
            "it is the selector of the auth method's binding rule in Consul: the one that exists stays; a new one is made with `consul acl binding-rule create`",
        ),
    ),
    ("connectInject.transparentProxy", OtherMode(UPSTREAMS)),
    ("connectInject.metrics", OtherMode(METRICS)),
    ("connectInject.cni", OtherMode(UPSTREAMS)),
    (
        "connectInject.apiGateway",
        OtherMode(
            "the chart's own injector runs the gateways: to keep them, leave it on, with a namespaceSelector that matches no namespace",
        ),
    ),
    (
        "connectInject.dataplaneAsSidecarInitContainer",
        OtherMode("nothing to do: nativeSidecars is the same thing, and is on"),
    ),
    ("connectInject.replicas", Injector),
    ("connectInject.image", Injector),
    ("connectInject.logLevel", Injector),
    ("connectInject.certs", Injector),
    ("connectInject.caBundle", Injector),
    ("connectInject.cleanupController", Injector),
    (
        "connectInject.overrideAuthMethodHost",
        Remedy("it is the host of the auth method in Consul: `consul acl auth-method update` changes it"),
    ),
    ("connectInject.nodeSelector", Injector),
    ("connectInject.tolerations", Injector),
    ("connectInject.affinity", Injector),
    ("connectInject.priorityClassName", Injector),
    ("connectInject.resources", Injector),
    ("connectInject.disruptionBudget", Injector),
    ("connectInject.consulNode", Injector),
    ("connectInject.extraLabels", Injector),
    ("connectInject.annotations", Injector),
    ("connectInject.serviceAccount", Injector),
    ("connectInject.aclInjectToken", Injector),
    (
        "connectInject.globalConfigACLToken",
        Remedy(
            "it is for entries that the original's controllers write, such as RateLimit: write those with `consul config write`",
        ),
    ),
    (
        "connectInject.failurePolicy",
        Remedy("write it as spec.failurePolicy of the ClusterAdmissionPolicy, whose default is Fail"),
    ),
    ("server", Consul),
    ("externalServers", Special),
    ("dns", Consul),
    ("ui", Consul),
    ("syncCatalog", Consul),
    ("controller", Consul),
    ("meshGateway", Consul),
    ("ingressGateways", Consul),
    ("terminatingGateways", Consul),
    ("apiGateway", Consul),
    ("webhookCertManager", Injector),
    ("prometheus", Consul),
    ("grafana", Consul),
    ("tests", Consul),
    ("test", Consul),
    ("common", Consul),
    ("rbac", Consul),
    ("telemetryCollector", Consul),
    ("fullnameOverride", Special),
    ("nameOverride", Consul),
];

/// A key of the last charts of 0.x alone, about their own upgrade.
const UPGRADE: &str = "connectInject.prepareDataplanesUpgrade";

/// What `helm get values` writes above the values.
const HEADINGS: [&str; 2] = ["USER-SUPPLIED VALUES", "COMPUTED VALUES"];

/// Translates a values file. `ca_cert` is the agents' CA in PEM: a chart's
/// values only name the Secret that has it.
pub fn translate(values: &Value, ca_cert: Option<&str>) -> Result<Translation, HelmError> {
    let mut values = match values {
        Value::Null => &json!({}),
        values => values,
    };
    let mut notes = Vec::new();
    let own = of_dependency(values);
    if let Some(own) = &own {
        values = own;
        notes.push("the values are read from the block `consul`, as those of a dependency".to_owned());
    }
    let top = values.as_object().ok_or(HelmError::NotAnObject)?;
    let mut translator = Translator { values, settings: json!({}), outcomes: Vec::new(), notes };
    for (key, value) in
        top.iter().filter(|(key, value)| !(value.is_null() && HEADINGS.contains(&key.as_str())))
    {
        translator.walk(key, value);
    }
    translator.conclude(ca_cert);
    translator.outcomes.sort_by(|a, b| (a.fate, &a.key).cmp(&(b.fate, &b.key)));
    let Translator { settings, outcomes, notes, .. } = translator;
    Ok(Translation { settings, outcomes, notes })
}

/// The values of a chart that has Consul's as a dependency: those of its block, and
/// of its own `global`, which Helm lays over them, what the chart knows.
fn of_dependency(values: &Value) -> Option<Value> {
    let blocks = ["client", "connectInject", "global", "server"];
    let mut own =
        values.get("consul").filter(|own| blocks.iter().any(|block| own.get(block).is_some()))?.clone();
    if !own["global"].is_object() {
        own["global"] = json!({});
    }
    for (key, value) in values.get("global").and_then(Value::as_object).into_iter().flatten() {
        if children("global").any(|known| known == key) {
            lay_over(&mut own["global"][key], value);
        }
    }
    Some(own)
}

fn lay_over(under: &mut Value, over: &Value) {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) => {
            for (key, value) in over {
                lay_over(under.entry(key).or_insert(Value::Null), value);
            }
        }
        (under, over) => *under = over.clone(),
    }
}

impl Translation {
    /// The keys that the charts do not know, and that are lost therefore.
    pub fn unknown(&self) -> impl Iterator<Item = &str> {
        self.outcomes
            .iter()
            .filter(|outcome| outcome.fate == Fate::Unknown)
            .map(|outcome| outcome.key.as_str())
    }
}

struct Translator<'a> {
    values: &'a Value,
    settings: Value,
    outcomes: Vec<Outcome>,
    notes: Vec<String>,
}

impl Translator<'_> {
    fn walk(&mut self, path: &str, value: &Value) {
        if let Some((_, rule)) = RULES.iter().find(|(key, _)| *key == path) {
            return self.apply(path, rule, value);
        }
        if path == UPGRADE {
            return self.apply(path, &Injector, value);
        }
        if children(path).next().is_none() {
            return self.unknown(path);
        }
        match value {
            Value::Object(block) => {
                for (key, value) in block {
                    self.walk(&format!("{path}.{key}"), value);
                }
            }
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
                let off = empty || self.is_off(value) || switch.is_some_and(|switch| self.is_off(switch));
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
        } else if setting.ends_with("resources.limits.memory")
            && !setting.starts_with("sidecarProxy")
            && advice::bytes(value).is_some_and(|bytes| bytes < advice::CLI_MEMORY)
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
        let own = |key: &str| self.values.pointer(key).filter(|value| !is_empty(value));
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
            "connectInject.enabled" => match self.injector() {
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
                    if self.is_true("/global/acls/manageSystemACLs")
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
            "client.enabled" if self.switch("/client/enabled") == Some(json!(false)) => self.told(
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
            Value::String(text) => crate::documents::parse_one(text).unwrap_or_default(),
            other => other.clone(),
        };
        let mut settings = Vec::new();
        let encrypted = self.is_true("/global/tls/enabled");
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

    /// What follows from several keys, or from one that is missing.
    fn conclude(&mut self, ca_cert: Option<&str>) {
        let written = |pointer: &str| self.values.pointer(pointer).filter(|value| !is_empty(value));
        let injector = self.injector();
        if injector.is_none() {
            self.notes.push(
                "connectInject.enabled is not written: its default is true in the charts from 1.0 on and false in those before; \
                 the policy's own `enabled` is true"
                    .to_owned(),
            );
        }
        if injector != Some(json!(false)) {
            self.notes.push(
                "the chart's own injector and the policy must not both inject: docs/migrate.md has how they share the \
                 namespaces while these change hands; in the end connectInject.enabled is false in the chart or, where its \
                 injector has to stay, for custom resources and gateways, its namespaceSelector matches no namespace"
                    .to_owned(),
            );
        }
        if self.values.pointer("/connectInject/k8sAllowNamespaces") == Some(&json!([])) {
            let pods = if self.is_true("/connectInject/default") {
                "ALL PODS of all namespaces, since `default` is true"
            } else {
                "the pods that ask by annotation, in all namespaces"
            };
            self.notes.push(format!(
                "connectInject.k8sAllowNamespaces is empty, so that the chart's injector injects nowhere: as a setting of the \
                 policy it would do the same, and is left out. The policy then injects {pods}: write k8sAllowNamespaces where \
                 that is too much"
            ));
        }
        if self.is_true("/global/enableConsulNamespaces") {
            if written("/connectInject/consulNamespaces/mirroringK8S").is_none() {
                self.notes.push(
                    "connectInject.consulNamespaces.mirroringK8S is not written: its default is true in the charts from 1.0 on \
                     and false in those before, and the policy's is false; write consulNamespaces.mirroringK8S as your chart has it"
                        .to_owned(),
                );
            }
            if self.acls() && self.settings.get("crossNamespaceACLPolicy").is_none() {
                self.set("crossNamespaceACLPolicy", json!("cross-namespace-policy"));
                self.notes.push(
                    "crossNamespaceACLPolicy is the policy that the chart gives to namespaces with ACLs"
                        .to_owned(),
                );
            }
        }
        let images = ["/imageConsul", "/imageEnvoy"].map(|image| self.settings.pointer(image).is_some());
        if let [consul, envoy] = images
            && consul != envoy
        {
            let (written, other) =
                if consul { ("imageConsul", "imageEnvoy") } else { ("imageEnvoy", "imageConsul") };
            self.notes.push(format!(
                "{written} comes from the values and {other} stays at the policy's default: write an {other} that goes with it, \
                 as Consul's own table of supported Envoy versions says"
            ));
        }
        if written("/client/enabled").is_none() && written("/connectInject/transparentProxy").is_none() {
            self.notes.push(
                "since Consul 1.10 the chart proxies pods transparently unless connectInject.transparentProxy.defaultEnabled is \
                 false; the policy does not: such pods need the annotation connect-service-upstreams"
                    .to_owned(),
            );
        }
        if written("/client/enabled").is_none() {
            self.notes.push(
                "client.enabled is not written: today's chart deploys no client agents then, and the policy needs \
                 one on every node; set it to true"
                    .to_owned(),
            );
        }
        let own = written("/fullnameOverride").or(written("/global/name")).and_then(Value::as_str);
        let chart = written("/nameOverride").and_then(Value::as_str).unwrap_or("consul");
        if self.acls() && self.settings.pointer("/acls/authMethod").is_none() {
            self.notes.push(format!(
                "acls.authMethod is left at consul-k8s-auth-method, the chart's name for it with global.name: consul; without \
                 global.name, and up to chart 0.14 in any case, it is R-{chart}-k8s-auth-method in a release R: \
                 `consul acl auth-method list` shows it"
            ));
        }
        if let Some(pem) = ca_cert {
            self.set("tls.caCert", json!(pem));
        } else if self.is_true("/global/tls/enabled") {
            let name = written("/global/tls/caCert/secretName").and_then(Value::as_str);
            let key = written("/global/tls/caCert/secretKey").and_then(Value::as_str).unwrap_or("tls.crt");
            let mut note =
                "tls.caCert is missing, which the policy needs with TLS; get it and translate again with --ca-cert ca.pem:\n"
                    .to_owned();
            let _ = match name {
                Some(path) if self.is_true("/global/secretsBackend/vault/enabled") => {
                    write!(note, "vault read -field=certificate {path} >ca.pem")
                }
                _ => write!(
                    note,
                    "kubectl get secret -n NAMESPACE {} -o jsonpath='{{.data.{}}}' | base64 -d >ca.pem",
                    name.map_or_else(|| format!("{}-ca-cert", own.unwrap_or("consul")), str::to_owned),
                    key.replace('.', "\\."),
                ),
            };
            if name.or(own).is_none() {
                let _ = write!(
                    note,
                    "\n(without global.name the Secret is called R-{chart}-ca-cert in a release R)"
                );
            }
            self.notes.push(note);
        }
    }

    /// Whether a switch is off; `-` leaves it to the metrics of the whole chart, the
    /// only block where a mode of the injector has it.
    fn is_off(&self, switch: &Value) -> bool {
        *switch == json!(false) || (*switch == json!("-") && !self.is_true("/global/metrics/enabled"))
    }

    fn injector(&self) -> Option<Value> {
        self.switch("/connectInject/enabled")
    }

    /// A switch, where it is written; `-` is what `global.enabled` says.
    fn switch(&self, pointer: &str) -> Option<Value> {
        let enabled = self.values.pointer(pointer).filter(|value| !is_empty(value))?;
        let inherited = *enabled == json!("-");
        Some(if inherited {
            json!(self.values.pointer("/global/enabled") != Some(&json!(false)))
        } else {
            enabled.clone()
        })
    }

    fn is_true(&self, pointer: &str) -> bool {
        self.values.pointer(pointer) == Some(&json!(true))
    }

    fn acls(&self) -> bool {
        self.is_true("/global/bootstrapACLs") || self.is_true("/global/acls/manageSystemACLs")
    }

    fn unknown(&mut self, path: &str) {
        let (block, name) = path.rsplit_once('.').unwrap_or(("", path));
        let nearest = children(block)
            .map(|known| (strsim::damerau_levenshtein(&known.to_lowercase(), &name.to_lowercase()), known))
            .min()
            .filter(|(distance, known)| distance * 3 <= known.len().max(name.len()));
        let text = match nearest {
            Some((_, known)) if block.is_empty() => format!("not a key of the chart; did you mean {known}?"),
            Some((_, known)) => format!("not a key of the chart; did you mean {block}.{known}?"),
            None => "not a key of the chart: remove it".to_owned(),
        };
        self.told(path, Fate::Unknown, &text);
    }

    fn told(&mut self, key: &str, fate: Fate, text: &str) {
        self.outcomes.push(Outcome { key: key.to_owned(), fate, text: text.to_owned() });
    }

    /// Sets a setting by its path. What is set twice is true if it was once: ACLs
    /// have had two names.
    fn set(&mut self, setting: &str, value: Value) {
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

/// The keys of the charts that [`translate`] knows, each with all that is below it.
pub fn keys() -> impl Iterator<Item = &'static str> {
    RULES.iter().map(|(key, _)| *key)
}

/// The keys that the chart knows in a block; the top is the empty path.
fn children(block: &str) -> impl Iterator<Item = &'static str> {
    RULES.iter().filter_map(move |(key, _)| {
        let rest = if block.is_empty() { key } else { key.strip_prefix(block)?.strip_prefix('.')? };
        rest.split('.').next()
    })
}

/// The paths of everything that is written below a key.
fn leaves(path: &str, value: &Value) -> Vec<String> {
    match value.as_object().filter(|block| !block.is_empty()) {
        Some(block) => {
            block.iter().flat_map(|(key, value)| leaves(&format!("{path}.{key}"), value)).collect()
        }
        None => vec![path.to_owned()],
    }
}

/// Whether it says no more than its absence.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => matches!(text.trim(), "" | "{}" | "[]" | "null"),
        Value::Array(items) => items.is_empty(),
        Value::Object(block) => block.values().all(is_empty),
        _ => false,
    }
}
