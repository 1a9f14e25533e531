//! Translates values to agent mode.

use serde_json::{Value, json};

use super::{Fate, shared, translate::Translator, values::is_empty};
use crate::documents;

/// The keys that need code of their own.
pub fn special(translator: &mut Translator<'_>, path: &str, value: &Value) {
    let values = translator.values;
    let own = |pointer: &str| values.written(pointer);
    match path {
        "global.image" | "global.imageEnvoy" | "global.imagePullPolicy" => {
            let setting = match path {
                "global.image" => "imageConsul",
                "global.imageEnvoy" => "imageEnvoy",
                _ => "imagePullPolicy",
            };
            if own(&format!("/connectInject/{setting}")).is_some() {
                let text = format!("connectInject.{setting} overrides it");
                translator.report(path, Fate::Translated, &text);
            } else {
                translator.setting(path, setting, value);
            }
        }
        "connectInject.enabled" => match values.injector() {
            Some(Value::Bool(false)) => translator.report(
                path,
                Fate::Deployment,
                "the chart's own injector is disabled, as the policy requires; the policy's `enabled` stays true",
            ),
            enabled => translator.setting(path, "enabled", &enabled.unwrap_or_default()),
        },
        "global.name" | "fullnameOverride" => match value.as_str().filter(|name| !name.is_empty()) {
            Some(name)
                if values.is_true("/global/acls/manageSystemACLs")
                    && own("/connectInject/overrideAuthMethodName").is_none()
                    && (path == "fullnameOverride" || own("/fullnameOverride").is_none()) =>
            {
                translator.set("acls.authMethod", json!(format!("{name}-k8s-auth-method")));
                translator.report(path, Fate::Translated, "acls.authMethod, whose name in the chart begins with it");
            }
            _ => translator.stays(path, value),
        },
        "global.tls.enableAutoEncrypt" if *value == json!(true) => translator.report(
            path,
            Fate::Elsewhere,
            "the agents' certificates are issued by Connect's CA: add its root certificate to tls.caCert; an agent returns it at /v1/connect/ca/roots",
        ),
        "externalServers" if value.get("enabled") == Some(&json!(true)) => {
            let text = "pods connect to the client agent on their node, not to servers: set client.join, so that the agents join these servers";
            translator.report_all(path, value, Fate::Elsewhere, text);
        }
        "client.enabled" if values.switch("/client/enabled") == Some(json!(false)) => translator.report(
            path,
            Fate::Elsewhere,
            "the policy requires a Consul client agent on every node: set it to true",
        ),
        "client.grpc" if *value == json!(false) => translator.report(
            path,
            Fate::Elsewhere,
            "Envoy gets its configuration from the agent's gRPC port: set it to true",
        ),
        "client.grpc" => {
            translator.report(path, Fate::Translated, "agent.grpcPort, whose default is the chart's 8502");
        }
        "client.extraConfig" => agent_ports(translator, path, value),
        _ => shared::special(translator, path, value),
    }
}

/// Reads the ports from the agents' own configuration.
fn agent_ports(translator: &mut Translator<'_>, path: &str, value: &Value) {
    let config = match value {
        Value::String(text) => documents::parse_one(text).unwrap_or_default(),
        other => other.clone(),
    };
    let mut settings = Vec::new();
    let encrypted = translator.values.is_true("/global/tls/enabled");
    let grpc = if encrypted && config.pointer("/ports/grpc_tls").is_some() { "grpc_tls" } else { "grpc" };
    for (port, setting) in [("http", "httpPort"), ("https", "httpsPort"), (grpc, "grpcPort")] {
        let written = config.pointer(&format!("/ports/{port}"));
        let number = |value: &Value| value.as_i64().or_else(|| value.as_str()?.parse().ok());
        // -1 closes a port.
        if let Some(number) = written.and_then(number).filter(|number| *number > 0) {
            let setting = format!("agent.{setting}");
            translator.set(&setting, json!(number));
            settings.push(setting);
        }
    }
    if !config.is_object() && !is_empty(value) {
        let text =
            "it cannot be parsed: if it changes ports, set agent.httpPort, agent.httpsPort or agent.grpcPort";
        translator.report(path, Fate::Elsewhere, text);
    } else if settings.is_empty() {
        translator.stays(path, value);
    } else {
        let text = format!("{}; the rest stays with the chart", settings.join(", "));
        translator.report(path, Fate::Translated, &text);
    }
}

/// Settings and notes that depend on several values, or on a missing one.
pub fn conclude(translator: &mut Translator<'_>, ca_cert: Option<&str>) -> Vec<String> {
    let mut notes = Vec::new();
    two_injectors(translator, &mut notes);
    notes.extend(shared::no_namespaces(translator));
    consul_namespaces(translator, &mut notes);
    notes.extend(one_image(translator));
    topology(translator, &mut notes);
    notes.extend(auth_method(translator));
    notes.extend(shared::certificate(translator, ca_cert));
    notes
}

fn two_injectors(translator: &Translator<'_>, notes: &mut Vec<String>) {
    let injector = translator.values.injector();
    if injector.is_none() {
        notes.push(
            "connectInject.enabled is not set: the chart's default is true from chart 1.0 on and false before; the \
             policy's own `enabled` is true"
                .to_owned(),
        );
    }
    if injector != Some(json!(false)) {
        notes.push(
            "the chart's own injector and the policy must not inject the same pods: docs/migrate.md describes how to move \
             namespaces one by one; in the end, set connectInject.enabled to false in the chart or, if custom resources \
             and gateways need the injector, give it a namespaceSelector that matches no namespace"
                .to_owned(),
        );
    }
}

fn consul_namespaces(translator: &mut Translator<'_>, notes: &mut Vec<String>) {
    if !translator.values.is_true("/global/enableConsulNamespaces") {
        return;
    }
    if translator.values.written("/connectInject/consulNamespaces/mirroringK8S").is_none() {
        notes.push(
            "connectInject.consulNamespaces.mirroringK8S is not set: the chart's default is true from chart 1.0 on and \
             false before, and the policy's is false; set consulNamespaces.mirroringK8S to your chart's default"
                .to_owned(),
        );
    }
    notes.extend(shared::cross_namespace_policy(translator));
}

fn one_image(translator: &Translator<'_>) -> Option<String> {
    let has = |image: &str| translator.settings.get(image).is_some();
    let (written, other) = match (has("imageConsul"), has("imageEnvoy")) {
        (true, false) => ("imageConsul", "imageEnvoy"),
        (false, true) => ("imageEnvoy", "imageConsul"),
        _ => return None,
    };
    Some(format!(
        "{written} is set in the values, and {other} has the policy's default: set an {other} that it supports; see \
         Consul's table of supported Envoy versions"
    ))
}

fn topology(translator: &Translator<'_>, notes: &mut Vec<String>) {
    let values = translator.values;
    if values.written("/client/enabled").is_some() {
        return;
    }
    if values.written("/connectInject/transparentProxy").is_none() {
        notes.push(
            "since Consul 1.10 the chart enables transparent proxy unless connectInject.transparentProxy.defaultEnabled is \
             false; agent mode does not support it: such pods need the annotation connect-service-upstreams"
                .to_owned(),
        );
    }
    notes.push(
        "client.enabled is not set: current charts then deploy no client agents, and the policy requires \
         one on every node; set it to true"
            .to_owned(),
    );
}

fn auth_method(translator: &mut Translator<'_>) -> Option<String> {
    if !translator.values.acls() || translator.settings.pointer("/acls/authMethod").is_some() {
        return None;
    }
    if translator.release.is_known && translator.values.is_true("/global/acls/manageSystemACLs") {
        let fullname = translator.release.fullname(translator.values);
        translator.set("acls.authMethod", json!(format!("{fullname}-k8s-auth-method")));
        return None;
    }
    let chart = translator.values.text("/nameOverride").unwrap_or("consul");
    Some(format!(
        "acls.authMethod has its default, consul-k8s-auth-method, which is the chart's name with global.name: consul; \
         without global.name, and always up to chart 0.14, it is R-{chart}-k8s-auth-method in a release R: \
         `consul acl auth-method list` lists it"
    ))
}
