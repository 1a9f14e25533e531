//! Environment variables with the addresses of the upstreams, for the user's containers.

use std::collections::BTreeSet;

use anyhow::Result;

use super::env::literal;
use crate::k8s::edit::{EditedObject, list, new_values};
use crate::k8s::kubelet;
use crate::k8s::pod::{PodSpec, Variable};
use crate::problem::{Findings, Problem};
use crate::text::Quoted;

/// The default address of an upstream's listener.
pub const LOOPBACK: &str = "127.0.0.1";

const HOST: &str = "_CONNECT_SERVICE_HOST";
const PORT: &str = "_CONNECT_SERVICE_PORT";

/// More variables would make the pod too large for the policy server's timeout.
const VARIABLES_LIMIT: usize = 50_000;

/// Reports a pod that is too large because of its variables.
pub fn check_size(upstreams: usize, spec: &PodSpec, findings: &mut Findings) {
    let containers = spec.all_containers().count();
    let variables = upstreams.saturating_mul(2).saturating_mul(containers);
    if variables > VARIABLES_LIMIT {
        let rule = format!(
            "must need at most {VARIABLES_LIMIT} environment variables, found {variables} in {containers} containers"
        );
        findings.problem(Problem::new("the pod's upstreams", rule));
    }
}

/// An upstream as the app reaches it.
#[derive(Debug)]
pub struct Listener {
    pub service: String,
    /// The text before the port, from which the variables' names are made.
    pub written_name: String,
    pub datacenter: Option<String>,
    pub address: String,
    pub port: u16,
}

/// `<NAME>_CONNECT_SERVICE_HOST` and `_PORT` for every upstream.
#[derive(Debug, Default)]
pub struct UpstreamEnv {
    /// Names and values in the order of the upstreams.
    variables: Vec<(String, String)>,
    names: BTreeSet<String>,
}

impl UpstreamEnv {
    /// If two upstreams have the same name, the first one's variables have it. Those of a later
    /// one in another datacenter have a name with the datacenter.
    pub fn new(upstreams: &[Listener], findings: &mut Findings) -> Self {
        let mut taken = BTreeSet::new();
        let mut variables = Vec::new();
        for upstream in upstreams {
            let plain = variable_name(&upstream.written_name);
            let name = match &upstream.datacenter {
                Some(datacenter) if taken.contains(&plain) => format!("{plain}_{}", letters(datacenter)),
                _ => plain,
            };
            if !taken.insert(name.clone()) {
                findings.warn(format!(
                    "upstream {}: the variables {name:.60}{HOST} and _PORT are already set for an earlier upstream; for this one, use the address {}:{}",
                    Quoted(&upstream.service, 50),
                    upstream.address,
                    upstream.port
                ));
                continue;
            }
            variables.push((format!("{name}{HOST}"), upstream.address.clone()));
            variables.push((format!("{name}{PORT}"), upstream.port.to_string()));
        }
        UpstreamEnv::of(variables)
    }

    fn of(variables: Vec<(String, String)>) -> Self {
        let names = variables.iter().map(|(name, _)| name.clone()).collect();
        UpstreamEnv { variables, names }
    }

    /// Those of the variables that a container has itself.
    fn kept<'c>(&self, own: &'c [Variable]) -> BTreeSet<&'c str> {
        own.iter().map(|variable| variable.name.as_str()).filter(|name| self.names.contains(*name)).collect()
    }

    /// Warns of variables that a container sets itself: they are kept.
    pub fn warn_of_kept(&self, spec: &PodSpec, findings: &mut Findings) {
        for container in spec.containers.iter().chain(&spec.init_containers) {
            for name in self.kept(&container.env) {
                findings.warn(format!(
                    "container {}: its own variable {} overrides the one with the upstream's address; to get the address, remove the variable",
                    Quoted(&container.name, 40),
                    Quoted(name, 60)
                ));
            }
        }
    }

    /// Adds the variables to a container; `own` are its variables as read. The kubelet expands references only
    /// to earlier variables, so they come first if one of the container's own refers to them.
    /// Otherwise they come last, because the policy server compares lists by position: after an
    /// insertion at the front, its patch replaces every variable.
    pub fn add_to(&self, container: &mut EditedObject<'_>, own: &[Variable]) -> Result<()> {
        if self.variables.is_empty() {
            return Ok(());
        }
        let kept = self.kept(own);
        let missing = self.variables.iter().filter(|(name, _)| !kept.contains(name.as_str()));
        let added = missing.map(|(name, value)| literal(name, value));
        let refers = |own: &Variable| kubelet::refers_to(&own.value, self.names.iter().map(String::as_str));
        let is_referred_to = own.iter().any(refers);
        let env = list(container, "env")?;
        let position = if is_referred_to { 0 } else { env.len() };
        env.splice(position..position, new_values(added)?);
        Ok(())
    }
}

fn variable_name(written: &str) -> String {
    let name = letters(written);
    if name.starts_with(|first: char| first.is_ascii_digit()) { format!("_{name}") } else { name }
}

fn letters(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::k8s::edit::editable;
    use serde_json::{Value, json};

    fn names(upstreams: &str) -> (Vec<String>, usize) {
        let mut findings = Findings::default();
        let listener = |upstream: &str| {
            let parts: Vec<&str> = upstream.split(':').collect();
            Listener {
                service: parts[0].to_owned(),
                written_name: parts[0].to_owned(),
                datacenter: parts.get(2).map(|datacenter| (*datacenter).to_owned()),
                address: LOOPBACK.to_owned(),
                port: parts[1].parse().unwrap(),
            }
        };
        let upstreams: Vec<Listener> = upstreams.split(',').map(listener).collect();
        let UpstreamEnv { variables, .. } = UpstreamEnv::new(&upstreams, &mut findings);
        let ports =
            variables.iter().filter_map(|(name, port)| Some(format!("{}={port}", name.strip_suffix(PORT)?)));
        (ports.collect(), findings.warnings.len())
    }

    #[test]
    fn names_are_what_a_shell_can_read() {
        assert_eq!(names("my-svc.far:1,geo:2,0day:3").0, ["MY_SVC_FAR=1", "GEO=2", "_0DAY=3"]);
    }

    #[test]
    fn one_service_in_two_datacenters() {
        assert_eq!(names("db:1,db:2:dc-2"), (vec!["DB=1".into(), "DB_DC_2=2".into()], 0));
        assert_eq!(names("db:1:dc1,db:2"), (vec!["DB=1".into()], 1));
        assert_eq!(names("a-b:1,a.b:2"), (vec!["A_B=1".into()], 1));
    }

    #[test]
    fn variables_come_first_only_if_the_containers_own_refer_to_them() {
        let variables =
            UpstreamEnv::of(vec![("DB_HOST".into(), "127.0.0.1".into()), ("DB_PORT".into(), "1".into())]);
        let names = |container: Value| {
            let own: Vec<Variable> = serde_json::from_value(container["env"].clone()).unwrap_or_default();
            let container = container.to_string();
            let mut container = editable(serde_json::from_str(&container).unwrap());
            variables.add_to(&mut container, &own).unwrap();
            let container = serde_json::to_value(&container).unwrap();
            let env = container["env"].as_array().unwrap().iter();
            env.map(|variable| variable["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(names(json!({})), ["DB_HOST", "DB_PORT"]);
        assert_eq!(names(json!({ "env": null })), ["DB_HOST", "DB_PORT"]);
        assert_eq!(names(json!({ "env": [{ "name": "A", "value": "$(B)" }] })), ["A", "DB_HOST", "DB_PORT"]);
        let refers =
            json!({ "env": [{ "name": "A", "value": "x$(DB_PORT)" }, { "name": "DB_HOST", "value": "y" }] });
        assert_eq!(names(refers), ["DB_PORT", "A", "DB_HOST"]);
    }
}
