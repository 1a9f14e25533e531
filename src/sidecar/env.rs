//! The variables by which the user's containers find their upstreams.

use std::borrow::Cow;

use json_text::{List, Text, Unreadable};

use crate::consul::registration::LOOPBACK;
use crate::consul::upstream::Upstream;
use crate::pod::{Container, Spec};
use crate::problem::{Quoted, Warning};

/// The variables that the containers get, as JSON without the brackets.
#[derive(Debug, Default)]
pub struct Environment {
    all: Text,
    /// What a container gets that has some already: first of the ordinary containers,
    /// then of the init containers.
    others: Vec<Option<Text>>,
}

impl Environment {
    /// A variable that a container has already is its own, and a warning.
    pub fn of(upstreams: &[Upstream], spec: &Spec<'_>) -> Result<(Self, Vec<Warning>), Unreadable> {
        let (pairs, mut warnings) = upstream_variables(upstreams);
        if pairs.is_empty() {
            return Ok((Environment::default(), warnings));
        }
        let mut others = Vec::with_capacity(spec.containers.len().saturating_add(spec.init_containers.len()));
        for container in spec.containers.iter().chain(&spec.init_containers) {
            let ours = |own: &Cow<'_, str>| {
                ends(own).is_some_and(|(name, _)| pairs.iter().any(|pair| pair.name == name))
            };
            let own: Vec<Cow<'_, str>> = container.env_names()?.filter(ours).collect();
            others.push((!own.is_empty()).then(|| {
                for (pair, end) in pairs.iter().flat_map(|pair| [(pair, HOST), (pair, PORT)]) {
                    let kept = own.iter().find(|own| pair.is(end, own));
                    warnings.extend(kept.map(|name| kept_variable(container, name)));
                }
                elements(&pairs, &own)
            }));
        }
        Ok((Environment { all: elements(&pairs, &[]), others }, warnings))
    }

    /// The additions to the containers that get any.
    pub fn additions<'s>(
        &'s self,
        spec: &'s Spec<'s>,
    ) -> impl Iterator<Item = (&'s Container<'s>, &'s Text)> {
        let containers = spec.containers.iter().chain(&spec.init_containers);
        let variables = self.others.iter().map(|other| other.as_ref().unwrap_or(&self.all));
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

/// The two variables of an upstream, by what their names begin with.
struct Pair {
    name: String,
    port: u16,
}

const HOST: &str = "_CONNECT_SERVICE_HOST";
const PORT: &str = "_CONNECT_SERVICE_PORT";

/// What the name of an upstream's variable begins with, and its end.
fn ends(variable: &str) -> Option<(&str, &'static str)> {
    let before = |end| Some((variable.strip_suffix(end)?, end));
    before(HOST).or_else(|| before(PORT))
}

impl Pair {
    /// Whether `variable` is the one of the two that ends so.
    fn is(&self, end: &str, variable: &str) -> bool {
        ends(variable) == Some((&self.name, end))
    }
}

/// The variables that are not the container's `own`, as the elements of a list.
fn elements(pairs: &[Pair], own: &[Cow<'_, str>]) -> Text {
    let mut json = Text::with_capacity(pairs.len().saturating_mul(144));
    let mut variables = List::elements(&mut json);
    let is_own = |pair: &Pair, end: &str| own.iter().any(|own| pair.is(end, own));
    for pair in pairs {
        if !is_own(pair, HOST) {
            variables.object(|variable| {
                variable.joined("name", &[&pair.name, HOST]);
                variable.constant("value", LOOPBACK);
            });
        }
        if !is_own(pair, PORT) {
            variables.object(|variable| {
                variable.joined("name", &[&pair.name, PORT]);
                variable.digits("value", pair.port.into());
            });
        }
    }
    json
}

/// `<NAME>_CONNECT_SERVICE_HOST` and `_PORT` for every upstream.
fn upstream_variables(upstreams: &[Upstream]) -> (Vec<Pair>, Vec<Warning>) {
    let mut pairs: Vec<Pair> = Vec::with_capacity(upstreams.len());
    let mut warnings = Vec::new();
    for upstream in upstreams {
        let taken = |name: &str| pairs.iter().any(|pair| pair.name == name);
        let plain = variable_name(&upstream.written_name());
        let name = match &upstream.datacenter {
            Some(datacenter) if taken(&plain) => [&plain, "_", &letters(datacenter)].concat(),
            _ => plain,
        };
        if taken(&name) {
            warnings.push(Warning::new(&format!(
                "upstream {}: the variables {}{HOST} and _PORT are an earlier upstream's; use the address {LOOPBACK}:{} for this one",
                Quoted(upstream.name.as_str(), 50),
                name.get(..60).unwrap_or(&name),
                upstream.port
            )));
            continue;
        }
        pairs.push(Pair { name, port: upstream.port });
    }
    (pairs, warnings)
}

fn variable_name(written: &str) -> String {
    let name = letters(written);
    if name.starts_with(|first: char| first.is_ascii_digit()) { ["_", &name].concat() } else { name }
}

fn letters(text: &str) -> String {
    let mut name = String::with_capacity(text.len());
    name.extend(text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }));
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consul::upstream::parse_list;
    use crate::pod::Ports;

    fn names(upstreams: &str) -> (Vec<String>, usize) {
        let mut problems = Vec::new();
        let upstreams = parse_list(|| "u".to_owned(), upstreams, &Ports::default(), false, &mut problems);
        assert!(problems.is_empty(), "{problems:?}");
        let (pairs, warnings) = upstream_variables(&upstreams);
        (pairs.iter().map(|pair| format!("{}={}", pair.name, pair.port)).collect(), warnings.len())
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
