//! Translates the values that have the same meaning in both modes.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{Fate, translate::Translator, values::is_empty};

/// The keys that need code of their own in both modes.
pub fn special(translator: &mut Translator<'_>, path: &str, value: &Value) {
    match path {
        "connectInject.k8sAllowNamespaces" if *value == json!([]) => {
            translator.report(
                path,
                Fate::Elsewhere,
                "omitted, because the policy would inject no pod: see the notes",
            );
        }
        "connectInject.k8sAllowNamespaces" => translator.setting(path, "k8sAllowNamespaces", value),
        "connectInject.metrics.defaultEnabled" if *value == json!("-") => {
            translator.report(path, Fate::Translated, "as global.metrics.enabled");
        }
        "connectInject.metrics.defaultEnabled" => translator.setting(path, "metrics.defaultEnabled", value),
        "global.metrics.enabled" => {
            match translator.values.written("/connectInject/metrics/defaultEnabled") {
                Some(own) if *own != json!("-") => {
                    translator.report(
                        path,
                        Fate::Translated,
                        "connectInject.metrics.defaultEnabled overrides it",
                    );
                }
                _ => translator.setting(path, "metrics.defaultEnabled", value),
            }
        }
        "global.tls.caCert" if is_empty(value) => {
            translator.report_all(path, value, Fate::Deployment, "empty: nothing to do");
        }
        "global.tls.caCert" => {
            let text = "tls.caCert must be the certificate itself, not its Secret: see the notes";
            translator.report_all(path, value, Fate::Elsewhere, text);
        }
        _ => translator.stays(path, value),
    }
}

pub fn no_namespaces(translator: &Translator<'_>) -> Option<String> {
    let allowed = translator.values.0.pointer("/connectInject/k8sAllowNamespaces")?;
    if *allowed != json!([]) {
        return None;
    }
    let pods = if translator.values.is_true("/connectInject/default") {
        "ALL PODS of all namespaces, because `default` is true"
    } else {
        "pods with the annotation connect-inject, in all namespaces"
    };
    Some(format!(
        "connectInject.k8sAllowNamespaces is empty, which disables the chart's injector. It is omitted, because it would \
         also disable the policy. The policy now injects {pods}: set k8sAllowNamespaces to inject fewer"
    ))
}

/// With ACLs, the chart creates namespaces with this policy.
pub fn cross_namespace_policy(translator: &mut Translator<'_>) -> Option<String> {
    if !translator.values.acls() || translator.settings.get("crossNamespaceACLPolicy").is_some() {
        return None;
    }
    translator.set("crossNamespaceACLPolicy", json!("cross-namespace-policy"));
    Some("crossNamespaceACLPolicy is the policy that the chart creates for namespaces with ACLs".to_owned())
}

/// Sets the CA, or adds a note about how to get it.
pub fn certificate(translator: &mut Translator<'_>, ca_cert: Option<&str>) -> Option<String> {
    if let Some(pem) = ca_cert {
        translator.set("tls.caCert", Value::from(pem));
        return None;
    }
    let values = translator.values;
    if !values.is_true("/global/tls/enabled") {
        return None;
    }
    let release = translator.release;
    let secret = values.text("/global/tls/caCert/secretName");
    let key = values.text("/global/tls/caCert/secretKey").unwrap_or("tls.crt");
    let mut note =
        "tls.caCert is missing, which TLS requires; get it, and translate again with --ca-cert ca.pem:\n"
            .to_owned();
    if let Some(path) = secret.filter(|_| values.is_true("/global/secretsBackend/vault/enabled")) {
        let _ = write!(note, "vault read -field=certificate {path} >ca.pem");
        return Some(note);
    }
    let named = release.is_known || values.name().is_some();
    let secret_name = match secret {
        Some(secret) => secret.to_owned(),
        None if named => format!("{}-ca-cert", release.fullname(values)),
        None => "consul-ca-cert".to_owned(),
    };
    let namespace = if release.is_known { release.namespace.as_str() } else { "NAMESPACE" };
    let _ = write!(
        note,
        "kubectl get secret -n {namespace} {secret_name} -o jsonpath='{{.data.{}}}' | base64 -d >ca.pem",
        key.replace('.', "\\.")
    );
    if secret.is_none() && !named {
        let chart = values.text("/nameOverride").unwrap_or("consul");
        let _ = write!(
            note,
            "\n(without global.name, the name of the Secret is R-{chart}-ca-cert in a release R)"
        );
    }
    Some(note)
}
