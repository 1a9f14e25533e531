//! The webhook's pod, which tells what a difference alone does not.

use serde_json::Value;

pub struct WebhooksPod<'a>(pub &'a Value);

/// Whether a container of this name is an injector's.
pub fn is_injected(name: &str) -> bool {
    name.starts_with("consul-connect-inject-init") || name.starts_with("consul-dataplane")
}

fn list<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    value[name].as_array().into_iter().flatten()
}

impl<'a> WebhooksPod<'a> {
    /// An annotation of the user.
    pub fn annotation(&self, name: &str) -> &'a str {
        self.0["metadata"]["annotations"][format!("consul.hashicorp.com/{name}")].as_str().unwrap_or_default()
    }

    /// The upstreams of the pod, split into their parts.
    pub fn upstreams(&self) -> Vec<Vec<&'a str>> {
        let upstreams = self.annotation("connect-service-upstreams").split(',');
        upstreams.map(|upstream| upstream.split(':').map(str::trim).collect()).collect()
    }

    pub fn is_job(&self) -> bool {
        list(&self.0["metadata"], "ownerReferences").any(|owner| owner["kind"] == "Job")
    }

    pub fn apps_containers(&self) -> impl Iterator<Item = &'a Value> {
        list(&self.0["spec"], "containers")
            .filter(|container| !container["name"].as_str().is_some_and(is_injected))
    }

    /// The number of a named port; other text as it is.
    pub fn port_number(&self, written: &str) -> String {
        let mut ports = self.apps_containers().flat_map(|container| list(container, "ports"));
        let named = ports.find(|port| port["name"] == written);
        named.map_or_else(|| written.to_owned(), |port| port["containerPort"].to_string())
    }

    /// Whether one of the app's containers sets a variable that the webhook then adds again.
    pub fn has_own_variable(&self, name: &str) -> bool {
        self.apps_containers()
            .any(|container| list(container, "env").filter(|variable| variable["name"] == name).count() > 1)
    }

    pub fn has_volume(&self, name: &str) -> bool {
        list(&self.0["spec"], "volumes").any(|volume| volume["name"] == name)
    }
}
