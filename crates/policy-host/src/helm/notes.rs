//! What follows from several values, or from one that is missing.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::translate::Translator;

/// The notes on a translation, which may also complete its settings.
pub fn conclude(translator: &mut Translator<'_>, ca_cert: Option<&str>) -> Vec<String> {
    let mut notes = Vec::new();
    two_injectors(translator, &mut notes);
    notes.extend(no_namespaces(translator));
    consul_namespaces(translator, &mut notes);
    notes.extend(one_image(translator));
    topology(translator, &mut notes);
    notes.extend(auth_method(translator));
    notes.extend(certificate(translator, ca_cert));
    notes
}

fn two_injectors(translator: &Translator<'_>, notes: &mut Vec<String>) {
    let injector = translator.values.injector();
    if injector.is_none() {
        notes.push(
            "connectInject.enabled is not written: its default is true in the charts from 1.0 on and false in those before; \
             the policy's own `enabled` is true"
                .to_owned(),
        );
    }
    if injector != Some(json!(false)) {
        notes.push(
            "the chart's own injector and the policy must not both inject: docs/migrate.md has how they share the \
             namespaces while these change hands; in the end connectInject.enabled is false in the chart or, where its \
             injector has to stay, for custom resources and gateways, its namespaceSelector matches no namespace"
                .to_owned(),
        );
    }
}

fn no_namespaces(translator: &Translator<'_>) -> Option<String> {
    let allowed = translator.values.0.pointer("/connectInject/k8sAllowNamespaces")?;
    if *allowed != json!([]) {
        return None;
    }
    let pods = if translator.values.is_true("/connectInject/default") {
        "ALL PODS of all namespaces, since `default` is true"
    } else {
        "the pods that ask by annotation, in all namespaces"
    };
    Some(format!(
        "connectInject.k8sAllowNamespaces is empty, so that the chart's injector injects nowhere: as a setting of the \
         policy it would do the same, and is left out. The policy then injects {pods}: write k8sAllowNamespaces where \
         that is too much"
    ))
}

fn consul_namespaces(translator: &mut Translator<'_>, notes: &mut Vec<String>) {
    if !translator.values.is_true("/global/enableConsulNamespaces") {
        return;
    }
    if translator.values.written("/connectInject/consulNamespaces/mirroringK8S").is_none() {
        notes.push(
            "connectInject.consulNamespaces.mirroringK8S is not written: its default is true in the charts from 1.0 on \
             and false in those before, and the policy's is false; write consulNamespaces.mirroringK8S as your chart has it"
                .to_owned(),
        );
    }
    if translator.values.acls() && translator.settings.get("crossNamespaceACLPolicy").is_none() {
        translator.set("crossNamespaceACLPolicy", json!("cross-namespace-policy"));
        notes.push(
            "crossNamespaceACLPolicy is the policy that the chart gives to namespaces with ACLs".to_owned(),
        );
    }
}

fn one_image(translator: &Translator<'_>) -> Option<String> {
    let has = |image: &str| translator.settings.get(image).is_some();
    let (written, other) = match (has("imageConsul"), has("imageEnvoy")) {
        (true, false) => ("imageConsul", "imageEnvoy"),
        (false, true) => ("imageEnvoy", "imageConsul"),
        _ => return None,
    };
    Some(format!(
        "{written} comes from the values and {other} stays at the policy's default: write an {other} that goes with it, \
         as Consul's own table of supported Envoy versions says"
    ))
}

fn topology(translator: &Translator<'_>, notes: &mut Vec<String>) {
    let values = translator.values;
    if values.written("/client/enabled").is_some() {
        return;
    }
    if values.written("/connectInject/transparentProxy").is_none() {
        notes.push(
            "since Consul 1.10 the chart proxies pods transparently unless connectInject.transparentProxy.defaultEnabled is \
             false; the policy does not: such pods need the annotation connect-service-upstreams"
                .to_owned(),
        );
    }
    notes.push(
        "client.enabled is not written: today's chart deploys no client agents then, and the policy needs \
         one on every node; set it to true"
            .to_owned(),
    );
}

fn auth_method(translator: &Translator<'_>) -> Option<String> {
    if !translator.values.acls() || translator.settings.pointer("/acls/authMethod").is_some() {
        return None;
    }
    let chart = translator.values.text("/nameOverride").unwrap_or("consul");
    Some(format!(
        "acls.authMethod is left at consul-k8s-auth-method, the chart's name for it with global.name: consul; without \
         global.name, and up to chart 0.14 in any case, it is R-{chart}-k8s-auth-method in a release R: \
         `consul acl auth-method list` shows it"
    ))
}

fn certificate(translator: &mut Translator<'_>, ca_cert: Option<&str>) -> Option<String> {
    if let Some(pem) = ca_cert {
        translator.set("tls.caCert", Value::from(pem));
        return None;
    }
    let values = translator.values;
    if !values.is_true("/global/tls/enabled") {
        return None;
    }
    let name = values.text("/global/tls/caCert/secretName");
    let key = values.text("/global/tls/caCert/secretKey").unwrap_or("tls.crt");
    let mut note =
        "tls.caCert is missing, which the policy needs with TLS; get it and translate again with --ca-cert ca.pem:\n"
            .to_owned();
    let _ = match name {
        Some(path) if values.is_true("/global/secretsBackend/vault/enabled") => {
            write!(note, "vault read -field=certificate {path} >ca.pem")
        }
        _ => write!(
            note,
            "kubectl get secret -n NAMESPACE {} -o jsonpath='{{.data.{}}}' | base64 -d >ca.pem",
            name.map_or_else(|| format!("{}-ca-cert", values.name().unwrap_or("consul")), str::to_owned),
            key.replace('.', "\\."),
        ),
    };
    if name.or(values.name()).is_none() {
        let chart = values.text("/nameOverride").unwrap_or("consul");
        let _ = write!(note, "\n(without global.name the Secret is called R-{chart}-ca-cert in a release R)");
    }
    Some(note)
}
