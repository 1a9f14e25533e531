//! Upstreams: `service[.namespace]:port[:datacenter]`, `prepared_query:name:port`.

use std::borrow::Cow;

use crate::consul::service_name::{ServiceName, ServiceNameError};
use crate::pod::{PortError, Ports};
use crate::problem::{Problem, Quoted};

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
        match &self.destination {
            Destination::Service { namespace: Some(namespace) } => [name, ".", namespace].concat().into(),
            _ => name.into(),
        }
    }
}

/// Every upstream is a listener of Envoy's and two variables in every container.
const LIMIT: usize = 500;

const FORM: &str = "write service:port, service:port:datacenter, service.namespace:port or prepared_query:name:port, separated by commas";

/// Parses the annotation's value; `subject` names the annotation in problems.
pub fn parse_list(
    subject: fn() -> String,
    value: &str,
    ports: &Ports<'_>,
    namespaces: bool,
    problems: &mut Vec<Problem>,
) -> Vec<Upstream> {
    let mut upstreams: Vec<Upstream> = Vec::new();
    // An explicitly empty value means no upstreams.
    if value.is_empty() {
        return upstreams;
    }
    let count = value.split(',').count();
    if count > LIMIT {
        let why = format!("lists {count} upstreams, over the {LIMIT} that a pod can have");
        problems.push(Problem::new(subject(), why, "list the services that the pod calls").value(value));
        return upstreams;
    }
    for item in value.split(',').map(str::trim) {
        let mut flaws = Vec::new();
        let upstream = parse(item, ports, namespaces, &mut flaws);
        for (why, remedy) in flaws {
            problems.push(Problem::new(subject(), why, remedy).value(item));
        }
        let Some(upstream) = upstream else { continue };
        if let Some(first) = upstreams.iter().find(|other| other.port == upstream.port) {
            let why = format!("has the same local port as the upstream {}", first.written_name());
            let remedy = "give every upstream a local port of its own";
            problems.push(Problem::new(subject(), why, remedy).value(item));
        } else {
            upstreams.push(upstream);
        }
    }
    upstreams
}

/// Why something cannot be, and what to write instead.
type Flaw = (String, String);

fn form(why: &str) -> Flaw {
    (why.to_owned(), FORM.to_owned())
}

/// One upstream, or all that is wrong with it.
fn parse(item: &str, ports: &Ports<'_>, namespaces: bool, flaws: &mut Vec<Flaw>) -> Option<Upstream> {
    let parts: Vec<&str> = item.split(':').map(str::trim).collect();
    let (query, name, port, datacenter) = match parts.as_slice() {
        [""] => return refused(flaws, "is an empty part of the list"),
        ["prepared_query", name, port] => (true, *name, *port, None),
        ["prepared_query", _] => return refused(flaws, "has no port"),
        ["prepared_query", ..] => return refused(flaws, "has too many parts"),
        [_] => return refused(flaws, "has no port"),
        [name, port] => (false, *name, *port, None),
        [name, port, datacenter] => (false, *name, *port, Some(*datacenter)),
        _ => return refused(flaws, "has too many parts"),
    };
    let (name, namespace) = match name.split_once('.') {
        Some((name, namespace)) if namespaces && !query => (name, Some(namespace)),
        _ => (name, None),
    };
    let name = match ServiceName::parse(name) {
        Ok(name) => Some(name),
        Err(ServiceNameError::Empty) => refused(flaws, "has no name"),
        Err(error) => {
            flaws.push((format!("names a service that {error}"), error.remedy().to_owned()));
            None
        }
    };
    match namespace {
        Some("") => flaws.push(form("has a dot and no namespace after it")),
        Some(namespace) if !crate::settings::is_consul_namespace(namespace) => {
            let why = format!("names {}, which is not the name of a Consul namespace", Quoted(namespace, 80));
            flaws.push((why, "write service.namespace:port".to_owned()));
        }
        _ => (),
    }
    let port = match port {
        "" => refused(flaws, "has no port"),
        port => {
            let flaw = |error: PortError| {
                flaws.push((format!("has a port, {}, that {}", Quoted(port, 60), error.why), error.remedy));
            };
            ports.resolve(port).map_err(flaw).ok()
        }
    };
    match datacenter {
        Some("") => flaws.push((
            "has a second colon and no datacenter after it".to_owned(),
            "leave out the colon, or write the datacenter's name".to_owned(),
        )),
        Some(datacenter) if !is_datacenter(datacenter) => {
            let why = format!("names {}, which is not the name of a datacenter", Quoted(datacenter, 80));
            let remedy = "write letters, digits, '-' and '_' after the second colon, or nothing";
            flaws.push((why, remedy.to_owned()));
        }
        _ => (),
    }
    let destination = match query {
        true => Destination::PreparedQuery,
        false => Destination::Service { namespace: namespace.map(str::to_owned) },
    };
    let (name, port) = (name?, port?);
    let upstream = Upstream { destination, name, port, datacenter: datacenter.map(str::to_owned) };
    flaws.is_empty().then_some(upstream)
}

fn refused<T>(flaws: &mut Vec<Flaw>, why: &str) -> Option<T> {
    flaws.push(form(why));
    None
}

fn is_datacenter(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=64).contains(&name.len()) && name.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pod::Port;

    fn parsed(value: &str, namespaces: bool) -> (Vec<Upstream>, Vec<String>) {
        let ports = Ports::new(vec![Port::tcp("http", 8080)]);
        let mut problems = Vec::new();
        let upstreams = parse_list(|| "upstreams".to_owned(), value, &ports, namespaces, &mut problems);
        (upstreams, problems.iter().map(ToString::to_string).collect())
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
            ("a:1,b:1", "same local port as the upstream a"),
        ] {
            let (_, problems) = parsed(value, false);
            assert!(problems.len() == 1 && problems[0].contains(why), "{value:?}: {problems:?}");
        }
        assert!(parsed("db.:1", true).1[0].contains("no namespace after it"));
        let (_, all) = parsed("d b.x_y:0:d c", true);
        for (problem, why) in
            all.iter().zip(["a service that", "a Consul namespace", "a port", "a datacenter"])
        {
            assert!(problem.contains(why), "{all:#?}");
        }
        assert_eq!(all.len(), 4, "{all:#?}");
        assert!(parsed("db.a.b:1", true).1[0].contains("not the name of a Consul namespace"));
    }
}
