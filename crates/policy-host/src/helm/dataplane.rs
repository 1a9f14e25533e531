//! What the values mean in dataplane mode: as the chart makes flags for its webhook of them.

use serde_json::{Value, json};

use super::{Fate, shared, translate::Translator, values::is_empty};

/// The keys of which a table cannot say enough.
pub fn special(translator: &mut Translator<'_>, path: &str, value: &Value) {
    let values = translator.values;
    match path {
        "global.imageK8S" | "global.imageK8s" => {
            unless_written(translator, path, value, "connectInject.image", "imageK8S");
        }
        "global.logLevel" => unless_written(translator, path, value, "connectInject.logLevel", "logLevel"),
        "connectInject.enabled" if values.injector() == Some(json!(false)) => translator.told(
            path,
            Fate::Elsewhere,
            "this mode needs the chart's controllers, which register the pods: set it to true, and let namespaceSelector \
             leave out the policy's namespaces",
        ),
        "connectInject.enabled" => translator.told(
            path,
            Fate::Deployment,
            "stays true in the chart, whose controllers register the pods; the policy's `enabled` stays true",
        ),
        "connectInject.dataplaneAsSidecarInitContainer.defaultEnabled" if *value == json!(true) => {
            translator.setting(path, "nativeSidecars", value);
        }
        "connectInject.dataplaneAsSidecarInitContainer.defaultEnabled" => translator.told(
            path,
            Fate::Translated,
            "left out: nativeSidecars is true by default; write false for Kubernetes up to 1.28",
        ),
        "dns.enabled" | "dns.enableRedirection" if *value == json!("-") => {
            translator.told(path, Fate::Translated, "as connectInject.transparentProxy.defaultEnabled");
        }
        "dns.enabled" | "dns.enableRedirection" => translator.setting(path, path, value),
        "global.name" | "fullnameOverride" | "nameOverride" if !is_empty(value) => {
            let text = "the beginning of names, such as that in servers.address";
            translator.told(path, Fate::Translated, text);
        }
        "externalServers" if value.get("enabled") == Some(&json!(true)) => external(translator, value),
        _ => shared::special(translator, path, value),
    }
}

/// A value that another one stands over where that is written.
fn unless_written(translator: &mut Translator<'_>, path: &str, value: &Value, other: &str, setting: &str) {
    if translator.values.written(&format!("/{}", other.replace('.', "/"))).is_some() {
        translator.told(path, Fate::Translated, &format!("{other} stands over it"));
    } else {
        translator.setting(path, setting, value);
    }
}

/// Servers outside of the cluster.
fn external(translator: &mut Translator<'_>, block: &Value) {
    for (key, value) in block.as_object().into_iter().flatten() {
        let path = format!("externalServers.{key}");
        match key.as_str() {
            "enabled" => translator.told(&path, Fate::Translated, "servers"),
            "hosts" => hosts(translator, &path, value),
            "grpcPort" => translator.setting(&path, "servers.grpcPort", value),
            "httpsPort" => translator.setting(&path, "servers.httpsPort", value),
            "tlsServerName" => translator.setting(&path, "tls.serverName", value),
            "skipServerWatch" => translator.setting(&path, "servers.skipServerWatch", value),
            "useSystemRoots" if *value == json!(true) => {
                translator.told(
                    &path,
                    Fate::Translated,
                    "tls.caCert stays empty, which trusts the images' authorities",
                );
            }
            "useSystemRoots" | "k8sAuthMethodHost" => translator.stays(&path, value),
            _ => translator.unknown(&path),
        }
    }
    // The chart has the one port also where TLS is off.
    if !translator.values.is_true("/global/tls/enabled") {
        let port = translator.settings.pointer("/servers/httpsPort").cloned().unwrap_or(json!(8501));
        translator.set("servers.httpPort", port);
    }
}

fn hosts(translator: &mut Translator<'_>, path: &str, value: &Value) {
    let list = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
    let hosts: Vec<&str> = list.iter().filter_map(Value::as_str).filter(|host| !host.is_empty()).collect();
    match hosts.as_slice() {
        [] => translator.told(path, Fate::Elsewhere, "empty: write servers.address"),
        [first, ..] if first.starts_with("exec=") => translator.told(
            path,
            Fate::Elsewhere,
            "a command, which every pod would run and which its containers do not have: write servers.address, a DNS \
             name with the servers' addresses or a load balancer's address",
        ),
        [first, others @ ..] => {
            translator.set("servers.address", json!(first));
            let text = match others.len() {
                0 => "servers.address".to_owned(),
                _ => "servers.address, from the first of them, as in the chart".to_owned(),
            };
            translator.told(path, Fate::Translated, &text);
        }
    }
}

/// What follows from several values, or from one that is missing.
pub fn conclude(translator: &mut Translator<'_>, ca_cert: Option<&str>) -> Vec<String> {
    translator.set("mode", json!("dataplane"));
    let mut notes = vec![
        "the chart's webhook and the policy must not both inject: connectInject.enabled stays true, for the chart's \
         controllers, and connectInject.namespaceSelector leaves out the namespaces of the policy, as docs/migrate.md has it"
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
        "what the chart's webhook reads elsewhere is not in the values: labels of namespaces (`kubectl get namespaces -L \
         consul.hashicorp.com/transparent-proxy -L consul.hashicorp.com/consul-dns`), for which a pod has annotations of the \
         same names; and the file for access logs (`consul config read -kind proxy-defaults -name global`), which is \
         accessLogs.path"
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
            "servers.address is {address}, for a release {} in the namespace {}: `helm list -A` shows yours, for --release \
             and --release-namespace",
            release.name, release.namespace
        )
    })
}

/// The chart names it after the release. A method of another name turns ACLs on by itself.
fn auth_method(translator: &mut Translator<'_>) {
    let values = translator.values;
    if translator.settings.pointer("/acls/authMethod").is_some() {
        translator.set("acls.enabled", json!(true));
    } else if values.acls() {
        let fullname = translator.release.fullname(values);
        translator.set("acls.authMethod", json!(format!("{fullname}-k8s-auth-method")));
    }
}

/// Pods resolve names by Consul where they are proxied transparently, unless `dns` says otherwise.
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
            // Not even for pods that are proxied by annotation.
            _ => {
                translator.set(&format!("dns.{key}"), json!(false));
                return None;
            }
        }
    }
    let release = translator.release;
    let (namespace, fullname) = (&release.namespace, release.fullname(values));
    Some(format!(
        "dns.nameservers is missing, without which the pods' DNS is not redirected to Consul; the chart's webhook takes \
         nameservers, searches and options from its own pod:\nkubectl exec -n {namespace} deploy/{fullname}-connect-injector \
         -c sidecar-injector -- cat /etc/resolv.conf"
    ))
}
