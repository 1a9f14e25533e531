//! Upstreams: `service[.namespace]:port[:datacenter]`, `prepared_query:name:port`.

use std::borrow::Cow;

use super::namespace::is_namespace_name;
use super::service_name::{ServiceName, ServiceNameError};
use crate::problem::{Findings, Flaw, Problem};
use crate::text::Quoted;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    pub destination: Destination,
    pub name: ServiceName,
    pub port: u16,
    pub datacenter: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// A service, in a Consul namespace of its own if one was written.
    Service {
        namespace: Option<String>,
    },
    PreparedQuery,
}

impl Upstream {
    /// What was written before the port: the variables' names are made of it.
    pub fn written_name(&self) -> Cow<'_, str> {
        let name = self.name.as_str();
        self.namespace().map_or(name.into(), |namespace| [name, ".", namespace].concat().into())
    }

    /// The service's Consul namespace, if one was written.
    pub fn namespace(&self) -> Option<&String> {
        match &self.destination {
            Destination::Service { namespace } => namespace.as_ref(),
            Destination::PreparedQuery => None,
        }
    }
}

/// Every upstream is a listener of Envoy's and two variables in every container.
const LIMIT: usize = 500;

const FORM: &str = "write service:port, service:port:datacenter, service.namespace:port or prepared_query:name:port, separated by commas";

/// Finds a port by its name or its number.
pub type ResolvePort<'r> = dyn Fn(&str) -> Result<u16, Flaw> + 'r;

/// Parses the annotation's value; `subject` names the annotation in problems.
pub fn parse_list(
    subject: &str,
    value: &str,
    resolve_port: &ResolvePort<'_>,
    namespaces: bool,
    findings: &mut Findings,
) -> Vec<Upstream> {
    // An explicitly empty value means no upstreams.
    if value.is_empty() {
        return Vec::new();
    }
    let count = value.split(',').count();
    if count > LIMIT {
        let why = format!("lists {count} upstreams, over the {LIMIT} that a pod can have");
        findings.problem(Problem::new(subject, why, "list the services that the pod calls").value(value));
        return Vec::new();
    }
    let mut upstreams = Vec::with_capacity(count);
    let mut taken: Vec<(u16, &str)> = Vec::with_capacity(count);
    for item in value.split(',').map(str::trim) {
        let mut flaws = Vec::new();
        match Parts::of(item) {
            Err(why) => flaws.push(form(why)),
            Ok(parts) => {
                let port = parts.port(resolve_port, &mut flaws);
                if let Some((_, first)) = taken.iter().find(|(other, _)| Some(*other) == port) {
                    let why = format!("has the same local port as the upstream {}", Quoted(first, 60));
                    flaws.push(Flaw::new(why, "give every upstream a local port of its own"));
                }
                taken.extend(port.map(|port| (port, item)));
                let upstream = parts.upstream(port, namespaces, &mut flaws);
                upstreams.extend(upstream.filter(|_| flaws.is_empty()));
            }
        }
        findings.problems.extend(flaws.into_iter().map(|flaw| flaw.at(subject).value(item)));
    }
    upstreams
}

fn form(why: &str) -> Flaw {
    Flaw::new(why, FORM)
}

/// The parts of one upstream, as they are written.
struct Parts<'i> {
    query: bool,
    name: &'i str,
    port: &'i str,
    datacenter: Option<&'i str>,
}

impl<'i> Parts<'i> {
    fn of(item: &'i str) -> Result<Self, &'static str> {
        let parts: Vec<&str> = item.split(':').map(str::trim).collect();
        let (query, name, port, datacenter) = match *parts.as_slice() {
            [""] => return Err("is an empty part of the list"),
            ["prepared_query", _] | [_] => return Err("has no port"),
            ["prepared_query", name, port] => (true, name, port, None),
            ["prepared_query", ..] => return Err("has too many parts"),
            [name, port] => (false, name, port, None),
            [name, port, datacenter] => (false, name, port, Some(datacenter)),
            _ => return Err("has too many parts"),
        };
        Ok(Parts { query, name, port, datacenter })
    }

    fn port(&self, resolve_port: &ResolvePort<'_>, flaws: &mut Vec<Flaw>) -> Option<u16> {
        let flaw = |error: Flaw| match self.port {
            "" => form("has no port"),
            port => Flaw::new(format!("has a port, {}, that {}", Quoted(port, 60), error.why), error.remedy),
        };
        resolve_port(self.port).map_err(|error| flaws.push(flaw(error))).ok()
    }

    /// The upstream at this local port, unless there is one more flaw.
    fn upstream(&self, port: Option<u16>, namespaces: bool, flaws: &mut Vec<Flaw>) -> Option<Upstream> {
        let (name, namespace) = match self.name.split_once('.') {
            Some((name, namespace)) if namespaces && !self.query => (name, Some(namespace)),
            _ => (self.name, None),
        };
        let flaw = |error: ServiceNameError| match error {
            ServiceNameError::Empty => form("has no name"),
            _ => Flaw::new(format!("names a service that {error}"), error.remedy()),
        };
        let name = ServiceName::parse(name).map_err(|error| flaws.push(flaw(error))).ok();
        match namespace {
            Some("") => flaws.push(form("has a dot and no namespace after it")),
            Some(namespace) if !is_namespace_name(namespace) => {
                let why =
                    format!("names {}, which is not the name of a Consul namespace", Quoted(namespace, 80));
                flaws.push(Flaw::new(why, "write service.namespace:port"));
            }
            _ => (),
        }
        match self.datacenter {
            Some("") => flaws.push(Flaw::new(
                "has a second colon and no datacenter after it",
                "leave out the colon, or write the datacenter's name",
            )),
            Some(datacenter) if !is_datacenter(datacenter) => {
                let why = format!("names {}, which is not the name of a datacenter", Quoted(datacenter, 80));
                let remedy = "write letters, digits, '-' and '_' after the second colon, or nothing";
                flaws.push(Flaw::new(why, remedy));
            }
            _ => (),
        }
        let destination = match self.query {
            true => Destination::PreparedQuery,
            false => Destination::Service { namespace: namespace.map(str::to_owned) },
        };
        let datacenter = self.datacenter.map(str::to_owned);
        Some(Upstream { destination, name: name?, port: port?, datacenter })
    }
}

fn is_datacenter(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=64).contains(&name.len()) && name.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve_port(text: &str) -> Result<u16, Flaw> {
        let error = || Flaw::new("is not a port", "write a number");
        match text {
            "http" => Ok(8080),
            number => number.parse().ok().filter(|number| *number > 0).ok_or_else(error),
        }
    }

    fn parsed(value: &str, namespaces: bool) -> (Vec<Upstream>, Vec<String>) {
        let mut findings = Findings::default();
        let upstreams = parse_list("upstreams", value, &resolve_port, namespaces, &mut findings);
        (upstreams, findings.problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn every_documented_form() {
        let (upstreams, problems) = parsed(" db : 1234 , cache:http:dc2,prepared_query:geo.x:7,a.b:9", false);
        assert!(problems.is_empty(), "{problems:?}");
        let shown: Vec<_> = upstreams
            .iter()
            .map(|u| (u.written_name().into_owned(), u.port, u.datacenter.as_deref()))
            .collect();
        assert_eq!(
            shown,
            [
                ("db".to_owned(), 1234, None),
                ("cache".to_owned(), 8080, Some("dc2")),
                ("geo.x".to_owned(), 7, None),
                ("a.b".to_owned(), 9, None)
            ]
        );
        let (upstreams, _) = parsed("db.far:1,prepared_query:geo.x:2", true);
        assert_eq!(upstreams[0].destination, Destination::Service { namespace: Some("far".into()) });
        assert_eq!(upstreams[0].name.as_str(), "db");
        assert_eq!(upstreams[1].destination, Destination::PreparedQuery);
        assert!(parsed("", false).1.is_empty());
    }

    #[test]
    fn every_mistake_is_named() {
        for (value, why) in [
            (" ", "is an empty part"),
            ("db:1,", "is an empty part"),
            ("db", "has no port"),
            ("db:", "has no port"),
            (":1", "has no name"),
            ("prepared_query:geo", "has no port"),
            ("prepared_query:geo:1:dc", "too many parts"),
            ("a:1:b:c", "too many parts"),
            ("db:0", "has a port, "),
            ("db:-5", "has a port, "),
            ("db:65536", "has a port, "),
            ("db:nope", "has a port, "),
            ("db:1:", "no datacenter after it"),
            ("db:1:d c", "not the name of a datacenter"),
            ("d b:1", "characters"),
            ("a:1,b:1", "same local port as the upstream \"a:1\""),
        ] {
            let (_, problems) = parsed(value, false);
            assert!(problems.len() == 1 && problems[0].contains(why), "{value:?}: {problems:?}");
        }
        assert!(parsed("db.:1", true).1[0].contains("no namespace after it"));
        // One mistake of an upstream hides none of another.
        let (_, all) = parsed("d_b_:1234,cache:1234,:1234:d c", false);
        assert_eq!(all.len(), 5, "{all:#?}");
        let same = all.iter().filter(|problem| problem.contains("upstream \"d_b_:1234\""));
        assert_eq!(same.count(), 2, "{all:#?}");
        let (_, all) = parsed("d b.x_y:0:d c", true);
        for (problem, why) in
            all.iter().zip(["a port", "a service that", "a Consul namespace", "a datacenter"])
        {
            assert!(problem.contains(why), "{all:#?}");
        }
        assert_eq!(all.len(), 4, "{all:#?}");
        assert!(parsed("db.a.b:1", true).1[0].contains("not the name of a Consul namespace"));
    }
}
