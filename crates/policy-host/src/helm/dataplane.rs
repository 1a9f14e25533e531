//! Translates values to dataplane mode, as the chart translates them to flags of its webhook.

use serde_json::{Value, json};

use super::{Fate, shared, translate::Translator, values::is_empty};

/// The keys that need code of their own.
pub fn special(translator: &mut Translator<'_>, path: &str, value: &Value) {
    let values = translator.values;
    match path {
        "global.imageK8S" | "global.imageK8s" => {
            unless_written(translator, path, value, "connectInject.image", "imageK8S");
        }
        "global.logLevel" => unless_written(translator, path, value, "connectInject.logLevel", "logLevel"),
        "connectInject.enabled" if values.injector() == Some(json!(false)) => translator.report(
            path,
            Fate::Elsewhere,
            "the chart's controllers, which register the pods, require it: set it to true, and exclude the policy's \
             namespaces with namespaceSelector",
        ),
        "connectInject.enabled" => translator.report(
            path,
            Fate::Deployment,
            "stays true in the chart, whose controllers register the pods; the policy's `enabled` stays true",
        ),
        "connectInject.dataplaneAsSidecarInitContainer.defaultEnabled" if *value == json!(true) => {
            translator.setting(path, "nativeSidecars", value);
        }
        "connectInject.dataplaneAsSidecarInitContainer.defaultEnabled" => translator.report(
            path,
            Fate::Translated,
            "omitted: nativeSidecars is true by default; set it to false for Kubernetes up to 1.28",
        ),
        "dns.enabled" | "dns.enableRedirection" if *value == json!("-") => {
            translator.report(path, Fate::Translated, "as connectInject.transparentProxy.defaultEnabled");
        }
        "dns.enabled" | "dns.enableRedirection" => translator.setting(path, path, value),
        "global.name" | "fullnameOverride" | "nameOverride" if !is_empty(value) => {
            let text = "part of names, such as servers.address";
            translator.report(path, Fate::Translated, text);
        }
        "externalServers" if value.get("enabled") == Some(&json!(true)) => external(translator, value),
        _ => shared::special(translator, path, value),
    }
}

/// A value that another one overrides, if that is set.
fn unless_written(translator: &mut Translator<'_>, path: &str, value: &Value, other: &str, setting: &str) {
    if translator.values.written(&format!("/{}", other.replace('.', "/"))).is_some() {
        translator.report(path, Fate::Translated, &format!("{other} overrides it"));
    } else {
        translator.setting(path, setting, value);
    }
}

/// Servers outside of the cluster.
fn external(translator: &mut Translator<'_>, block: &Value) {
    for (key, value) in block.as_object().into_iter().flatten() {
        let path = format!("externalServers.{key}");
        match key.as_str() {
            "enabled" => translator.report(&path, Fate::Translated, "servers"),
            "hosts" => hosts(translator, &path, value),
            "grpcPort" => translator.setting(&path, "servers.grpcPort", value),
            "httpsPort" => translator.setting(&path, "servers.httpsPort", value),
            "tlsServerName" => translator.setting(&path, "tls.serverName", value),
            "skipServerWatch" => translator.setting(&path, "servers.skipServerWatch", value),
            "useSystemRoots" if *value == json!(true) => {
                translator.report(
                    &path,
                    Fate::Translated,
                    "tls.caCert stays empty: the CAs of the images are trusted",
                );
            }
            "useSystemRoots" | "k8sAuthMethodHost" => translator.stays(&path, value),
            _ => translator.unknown(&path),
        }
    }
    // The chart uses the same port without TLS.
    if !translator.values.is_true("/global/tls/enabled") {
        let port = translator.settings.pointer("/servers/httpsPort").cloned().unwrap_or(json!(8501));
        translator.set("servers.httpPort", port);
    }
}

fn hosts(translator: &mut Translator<'_>, path: &str, value: &Value) {
    let list = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
    let hosts: Vec<&str> = list.iter().filter_map(Value::as_str).filter(|host| !host.is_empty()).collect();
    match hosts.as_slice() {
        [] => translator.report(path, Fate::Elsewhere, "empty: set servers.address"),
        [first, ..] if first.starts_with("exec=") => translator.report(
            path,
            Fate::Elsewhere,
            "a command, which would run in every pod, whose containers do not have its program: set servers.address to \
             a DNS name of the servers, or to the address of a load balancer",
        ),
        [first, others @ ..] => {
            translator.set("servers.address", json!(first));
            let text = match others.len() {
                0 => "servers.address".to_owned(),
                _ => "servers.address: the first host, as in the chart".to_owned(),
            };
            translator.report(path, Fate::Translated, &text);
        }
    }
}

/// Settings and notes that depend on several values, or on a missing one.
pub fn conclude(translator: &mut Translator<'_>, ca_cert: Option<&str>) -> Vec<String> {
    translator.set("mode", json!("dataplane"));
    let mut notes = vec![
        "the chart's webhook and the policy must not inject the same pods: keep connectInject.enabled true for the chart's \
         controllers, and exclude the policy's namespaces with connectInject.namespaceSelector; see docs/migrate.md"
            .to_owned(),
    ];
    notes.extend(shared::no_namespaces(translator));
    notes.extend(servers(translator));
    auth_method(translator);
    if translator.values.is_true("/global/enableConsulNamespaces") {
        notes.extend(shared::cross_namespace_policy(translator));
    }
    let system_roots = translator.values.is_true("/externalServers/enabled")
        && translator.values.is_true("/externalServers/useSystemRoots");
    if ca_cert.is_some() || !system_roots {
        notes.extend(shared::certificate(translator, ca_cert));
    }
    notes.extend(name_servers(translator));
    notes.push(
        "the chart's webhook also reads what is not in the values: labels of namespaces (`kubectl get namespaces -L \
         consul.hashicorp.com/transparent-proxy -L consul.hashicorp.com/consul-dns`); use the annotations of the same \
         names instead. And the file of access logs (`consul config read -kind proxy-defaults -name global`); set \
         accessLogs.path instead"
            .to_owned(),
    );
    notes
}

/// The address of the chart's own servers.
fn servers(translator: &mut Translator<'_>) -> Option<String> {
    let values = translator.values;
    if values.is_true("/externalServers/enabled") {
        return None;
    }
    let release = translator.release;
    let address = format!("{}-server.{}.svc", release.fullname(values), release.namespace);
    translator.set("servers.address", json!(address));
    (!release.is_known).then(|| {
        format!(
            "servers.address is {address}, for a release {} in the namespace {}: if yours is another one (`helm list -A`), \
             set --release and --release-namespace",
            release.name, release.namespace
        )
    })
}

/// Its name begins with the release's. Setting another name enables ACLs.
fn auth_method(translator: &mut Translator<'_>) {
    let values = translator.values;
    if translator.settings.pointer("/acls/authMethod").is_some() {
        translator.set("acls.enabled", json!(true));
    } else if values.acls() {
        let fullname = translator.release.fullname(values);
        translator.set("acls.authMethod", json!(format!("{fullname}-k8s-auth-method")));
    }
}

/// Pods with transparent proxy use Consul DNS, unless `dns` disables it.
fn name_servers(translator: &mut Translator<'_>) -> Option<String> {
    let values = translator.values;
    let proxied = values.0.pointer("/connectInject/transparentProxy/defaultEnabled") != Some(&json!(false));
    for key in ["enabled", "enableRedirection"] {
        match values.written(&format!("/dns/{key}")) {
            Some(written) if *written != json!("-") => {
                if *written != json!(true) {
                    return None;
                }
            }
            _ if proxied => (),
            // Also for pods that enable transparent proxy by annotation.
            _ => {
                translator.set(&format!("dns.{key}"), json!(false));
                return None;
            }
        }
    }
    let release = translator.release;
    let (namespace, fullname) = (&release.namespace, release.fullname(values));
    Some(format!(
        "dns.nameservers is not set, so pods do not use Consul DNS; the chart's webhook copies name servers, searches and \
         options from its own pod:\nkubectl exec -n {namespace} deploy/{fullname}-connect-injector \
         -c sidecar-injector -- cat /etc/resolv.conf"
    ))
}
