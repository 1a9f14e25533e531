//! The variables by which the user's containers find their upstreams.

use std::borrow::Cow;

use json_text::{Unreadable, object};

use crate::consul::registration::LOOPBACK;
use crate::consul::upstream::Upstream;
use crate::pod::{Container, Spec};
use crate::problem::{Quoted, Warning};

/// The variables that the containers get, as JSON without the brackets.
#[derive(Debug, Default)]
pub struct Environment {
    all: String,
    /// What a container gets that has some already: first of the ordinary containers,
    /// then of the init containers.
    others: Vec<Option<String>>,
}

impl Environment {
    /// A variable that a container has already is its own, and a warning.
    pub fn of(upstreams: &[Upstream], spec: &Spec<'_>) -> Result<(Self, Vec<Warning>), Unreadable> {
        let (variables, mut warnings) = upstream_variables(upstreams);
        if variables.is_empty() {
            return Ok((Environment::default(), warnings));
        }
        let mut others = Vec::new();
        for container in spec.containers.iter().chain(&spec.init_containers) {
            let wanted = |own: &Cow<'_, str>| variables.iter().any(|(name, _)| name == own);
            let own: Vec<Cow<'_, str>> = container.env_names()?.filter(wanted).collect();
            let kept = variables.iter().filter(|(name, _)| own.iter().any(|own| own == name));
            warnings.extend(kept.map(|(name, _)| kept_variable(container, name)));
            others.push((!own.is_empty()).then(|| elements(&variables, &own)));
        }
        Ok((Environment { all: elements(&variables, &[]), others }, warnings))
    }

    /// The additions to the containers that get any.
    pub fn additions<'s>(&'s self, spec: &'s Spec<'s>) -> impl Iterator<Item = (&'s Container<'s>, &'s str)> {
        let containers = spec.containers.iter().chain(&spec.init_containers);
        let variables = self.others.iter().map(|other| other.as_deref().unwrap_or(&self.all));
        containers.zip(variables).filter(|(_, variables)| !variables.is_empty())
    }
}

fn kept_variable(container: &Container<'_>, name: &str) -> Warning {
    Warning::new(&format!(
        "container {}: its own variable {} is kept, so it does not hold the upstream's address; remove it from the container to have it set",
        Quoted(&container.name, 40),
        Quoted(name, 60)
    ))
}

/// The variables that are not the container's `own`, as the elements of a list.
fn elements(variables: &[(String, String)], own: &[Cow<'_, str>]) -> String {
    let mut json = String::new();
    for (name, value) in variables.iter().filter(|(name, _)| !own.iter().any(|own| own == name)) {
        if !json.is_empty() {
            json.push(',');
        }
        object(&mut json, |variable| {
            variable.string("name", name);
            variable.string("value", value);
        });
    }
    json
}

/// `<NAME>_CONNECT_SERVICE_HOST` and `_PORT` for every upstream.
fn upstream_variables(upstreams: &[Upstream]) -> (Vec<(String, String)>, Vec<Warning>) {
    let mut variables: Vec<(String, String)> = Vec::new();
    let mut warnings = Vec::new();
    for upstream in upstreams {
        let plain = variable_name(&upstream.written_name());
        let taken = |name: &str| variables.iter().any(|(known, _)| *known == host(name));
        let name = match &upstream.datacenter {
            Some(datacenter) if taken(&plain) => format!("{plain}_{}", letters(datacenter)),
            _ => plain,
        };
        if taken(&name) {
            warnings.push(Warning::new(&format!(
                "upstream {}: the variables {}_CONNECT_SERVICE_HOST and _PORT are an earlier upstream's; use the address {LOOPBACK}:{} for this one",
                Quoted(upstream.name.as_str(), 50),
                name.get(..60).unwrap_or(&name),
                upstream.port
            )));
            continue;
        }
        variables.push((host(&name), LOOPBACK.to_owned()));
        variables.push((format!("{name}_CONNECT_SERVICE_PORT"), upstream.port.to_string()));
    }
    (variables, warnings)
}

fn host(name: &str) -> String {
    format!("{name}_CONNECT_SERVICE_HOST")
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
    use crate::consul::upstream::parse_list;
    use crate::pod::Ports;

    fn names(upstreams: &str) -> (Vec<String>, usize) {
        let mut problems = Vec::new();
        let upstreams = parse_list("u", upstreams, &Ports::default(), false, &mut problems);
        assert!(problems.is_empty(), "{problems:?}");
        let (variables, warnings) = upstream_variables(&upstreams);
        let ports = variables.iter().filter_map(|(name, value)| {
            Some(format!("{}={value}", name.strip_suffix("_CONNECT_SERVICE_PORT")?))
        });
        (ports.collect(), warnings.len())
    }

    #[test]
    fn names_are_what_a_shell_can_read() {
        assert_eq!(names("my-svc.far:1,prepared_query:geo:2,0day:3").0, ["MY_SVC_FAR=1", "GEO=2", "_0DAY=3"]);
    }

    #[test]
    fn one_service_in_two_datacenters() {
        assert_eq!(names("db:1,db:2:dc-2"), (vec!["DB=1".into(), "DB_DC_2=2".into()], 0));
        assert_eq!(names("db:1:dc1,db:2"), (vec!["DB=1".into()], 1));
        assert_eq!(names("a-b:1,a.b:2"), (vec!["A_B=1".into()], 1));
    }
}
