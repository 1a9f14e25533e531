//! Upstreams: `service[.namespace]:port[:datacenter]`, `prepared_query:name:port`, and
//! `service.svc[.NAMESPACE.ns][.DATACENTER.dc]:port`.

use std::borrow::Cow;

use super::namespace::{NAME_RULE, is_namespace_name};
use super::service_name::{ServiceName, ServiceNameError};
use super::upstream_list::{self, ResolvePort, SEPARATOR_RULE, has_other_separator};
use crate::problem::{Findings, Flaw};
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
    /// A service, in another Consul namespace if one was written.
    Service {
        namespace: Option<String>,
    },
    PreparedQuery,
}

impl Upstream {
    /// The text before the port, from which the variables' names are made.
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

const FORM: &str = "write service:port, service:port:datacenter, service.namespace:port or prepared_query:name:port, separated by commas";

/// Parses the annotation's value. `subject` is the annotation's name in problems.
pub fn parse_list(
    subject: &str,
    value: &str,
    resolve_port: &ResolvePort<'_>,
    namespaces: bool,
    findings: &mut Findings,
) -> Vec<Upstream> {
    let mut upstreams = Vec::new();
    let mut taken: Vec<(u16, &str)> = Vec::new();
    for item in upstream_list::items(subject, value, findings) {
        let mut flaws = Vec::new();
        match Parts::of(item, namespaces) {
            Err(flaw) => flaws.push(flaw),
            Ok(parts) => {
                let port = parts.port(resolve_port, &mut flaws);
                if let Some((_, first)) = taken.iter().find(|(other, _)| Some(*other) == port) {
                    flaws.push(upstream_list::port_is_taken(first));
                }
                taken.extend(port.map(|port| (port, item)));
                let upstream = parts.upstream(port, &mut flaws);
                upstreams.extend(upstream.filter(|_| flaws.is_empty()));
            }
        }
        findings.problems.extend(flaws.into_iter().map(|flaw| flaw.at(subject).value(item)));
    }
    upstreams
}

const LABELLED_FORM: &str =
    "write service.svc:port, service.svc.NAMESPACE.ns:port, service.svc.DATACENTER.dc:port or both labels";

fn form(why: &str) -> Flaw {
    Flaw::new(why, FORM)
}

/// The parts of one upstream, not yet validated.
struct Parts<'i> {
    query: bool,
    name: &'i str,
    namespace: Option<&'i str>,
    port: &'i str,
    datacenter: Option<&'i str>,
}

impl<'i> Parts<'i> {
    fn of(item: &'i str, namespaces: bool) -> Result<Self, Flaw> {
        if has_other_separator(item) {
            return Err(SEPARATOR_RULE.into());
        }
        let parts: Vec<&str> = item.split(':').map(str::trim).collect();
        let (name, port, third) = match *parts.as_slice() {
            [""] => return Err(Flaw::new("must not be empty", "remove extra commas")),
            ["prepared_query", _] | [_] => return Err(form("a local port is required")),
            ["prepared_query", name, port] => {
                return Ok(Parts { query: true, name, namespace: None, port, datacenter: None });
            }
            [name, port] if name != "prepared_query" => (name, port, None),
            [name, port, third] => (name, port, Some(third)),
            _ => return Err(form("has too many parts separated by ':'")),
        };
        let mut rest = [Some(port), third].into_iter().flatten();
        if let Some(options) = rest.find(|part| part.contains(['?', '='])) {
            let why = format!("options {} are not supported in mode agent", Quoted(options, 80));
            return Err(Flaw::new(why, "write service:port or service:port:datacenter"));
        }
        if let Some((service, labels)) =
            name.split_once(".svc").filter(|(_, rest)| matches!(rest.chars().next(), None | Some('.')))
        {
            return Self::labelled(service, labels, port, third, namespaces);
        }
        let (name, namespace) = match name.split_once('.').filter(|_| namespaces) {
            Some((name, namespace)) => (name, Some(namespace)),
            None => (name, None),
        };
        Ok(Parts { query: false, name, namespace, port, datacenter: third })
    }

    /// `service.svc[.NAMESPACE.ns][.DATACENTER.dc]:port`, the form of later injectors.
    fn labelled(
        name: &'i str,
        labels: &'i str,
        port: &'i str,
        third: Option<&str>,
        namespaces: bool,
    ) -> Result<Self, Flaw> {
        let mut parts = Parts { query: false, name, namespace: None, port, datacenter: None };
        let mut labels = labels.split('.').skip(1);
        while let Some(value) = labels.next() {
            let place = match labels.next() {
                Some("ns") if !namespaces => {
                    let why = format!(
                        "Consul namespace {} is not supported, because Consul namespaces are disabled",
                        Quoted(value, 80)
                    );
                    return Err(Flaw::new(why, format!("write {name}.svc:port")));
                }
                Some("ns") => &mut parts.namespace,
                Some("dc") => &mut parts.datacenter,
                Some(label @ ("peer" | "ap")) => {
                    let what = if label == "peer" { "cluster peer" } else { "admin partition" };
                    let why = format!("{what} {} is not supported in mode agent", Quoted(value, 80));
                    return Err(Flaw::new(why, LABELLED_FORM));
                }
                _ => {
                    let why = "labels other than .svc, .ns and .dc are not supported in mode agent";
                    return Err(Flaw::new(why, LABELLED_FORM));
                }
            };
            if place.replace(value).is_some() {
                return Err(Flaw::new("must not repeat a label", LABELLED_FORM));
            }
        }
        if third.is_some() {
            return Err(Flaw::new("must not have both labels and a third part", LABELLED_FORM));
        }
        Ok(parts)
    }

    fn port(&self, resolve_port: &ResolvePort<'_>, flaws: &mut Vec<Flaw>) -> Option<u16> {
        let flaw = |error: Flaw| match self.port {
            "" => form("a local port is required"),
            port => error.of(&format!("local port {}", Quoted(port, 60))),
        };
        resolve_port(self.port).map_err(|error| flaws.push(flaw(error))).ok()
    }

    /// The upstream with this local port; `None` if it has more flaws.
    fn upstream(&self, port: Option<u16>, flaws: &mut Vec<Flaw>) -> Option<Upstream> {
        let flaw = |error: ServiceNameError| match error {
            ServiceNameError::Empty => form("a service name is required"),
            _ => error.flaw().of(&format!("service name {}", Quoted(self.name, 60))),
        };
        let name = ServiceName::parse(self.name).map_err(|error| flaws.push(flaw(error))).ok();
        match self.namespace {
            Some("") => flaws.push(form("a Consul namespace is required after the dot")),
            Some(namespace) if !is_namespace_name(namespace) => {
                flaws.push(format!("Consul namespace {} {NAME_RULE}", Quoted(namespace, 80)).into());
            }
            _ => (),
        }
        match self.datacenter {
            Some("") => flaws.push(Flaw::new(
                "a datacenter is required after the second colon",
                "write its name, or remove the colon",
            )),
            Some(datacenter) if !is_datacenter(datacenter) => {
                flaws.push(format!("datacenter {} {DATACENTER_RULE}", Quoted(datacenter, 80)).into());
            }
            _ => (),
        }
        let destination = match self.query {
            true => Destination::PreparedQuery,
            false => Destination::Service { namespace: self.namespace.map(str::to_owned) },
        };
        let datacenter = self.datacenter.map(str::to_owned);
        Some(Upstream { destination, name: name?, port: port?, datacenter })
    }
}

pub(super) const DATACENTER_RULE: &str =
    "must consist of letters, digits, '-' and '_', and must be no more than 64 characters";

pub(super) fn is_datacenter(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=64).contains(&name.len()) && name.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve_port(text: &str) -> Result<u16, Flaw> {
        let error = || Flaw::from("must be a port");
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
    fn the_labelled_form_of_later_injectors() {
        for (value, namespaces, name, datacenter) in [
            ("billing.svc:1234", false, "billing", None),
            ("billing.svc:1234", true, "billing", None),
            ("rates.svc.dc2.dc:http", false, "rates", Some("dc2")),
            ("ledger.svc.team.ns:1235", true, "ledger.team", None),
            ("ledger.svc.team.ns.dc2.dc:1235", true, "ledger.team", Some("dc2")),
            ("ledger.svc.dc2.dc.team.ns:1235", true, "ledger.team", Some("dc2")),
            ("a.svcs:1", false, "a.svcs", None),
        ] {
            let (upstreams, problems) = parsed(value, namespaces);
            assert!(problems.is_empty(), "{value}: {problems:?}");
            let upstream = &upstreams[0];
            assert_eq!(
                (&*upstream.written_name(), upstream.datacenter.as_deref()),
                (name, datacenter),
                "{value}"
            );
        }
        for (value, namespaces, why) in [
            ("quotes.svc.east.peer:1237", false, "cluster peer \"east\" is not supported"),
            ("quotes.svc.part.ap:1237", true, "admin partition \"part\" is not supported"),
            ("ledger.svc.team.ns:1235", false, "Consul namespaces are disabled"),
            ("a.svc.dc1.dc.dc2.dc:1", false, "repeat a label"),
            ("a.svc.dc1:1", false, "labels other than"),
            ("a.svc.:1", false, "labels other than"),
            ("a.svc..dc:1", false, "a datacenter is required"),
            ("a.svc:1:dc2", false, "both labels and a third part"),
            ("a:1:?destination_port=8080", false, "options \"?destination_port=8080\" are not supported"),
            ("a.svc:1:destination_port=8080", false, "options"),
            ("a.svc:1?destination_port=8080", false, "options \"1?destination_port=8080\" are not supported"),
            (".svc:1", false, "a service name is required"),
        ] {
            let (_, problems) = parsed(value, namespaces);
            assert!(problems.len() == 1 && problems[0].contains(why), "{value}: {problems:?}");
        }
    }

    #[test]
    fn every_mistake_is_named() {
        for (value, why) in [
            (" ", "must not be empty"),
            ("db:1,", "must not be empty"),
            ("db", "a local port is required"),
            ("db:", "a local port is required"),
            (":1", "a service name is required"),
            ("prepared_query:geo", "a local port is required"),
            ("prepared_query:geo:1:dc", "too many parts"),
            ("a:1:b:c", "too many parts"),
            ("db:0", "local port \"0\" must be a port"),
            ("db:-5", "local port \"-5\""),
            ("db:65536", "local port \"65536\""),
            ("db:nope", "local port \"nope\""),
            ("db:1:", "a datacenter is required"),
            ("db:1:d c", "datacenter \"d c\" must"),
            ("d b:1", "service name \"d b\" must"),
            ("db:1 cache:2", "separated by commas"),
            ("db:1;cache:2:dc2", "separated by commas"),
            ("- db:1\n- cache:2\n", "separated by commas"),
            ("a:1,b:1", "port is already used by upstream \"a:1\""),
        ] {
            let (_, problems) = parsed(value, false);
            assert!(problems.len() == 1 && problems[0].contains(why), "{value:?}: {problems:?}");
        }
        assert!(parsed("db.:1", true).1[0].contains("a Consul namespace is required"));
        // One mistake of an upstream hides none of another.
        let (_, all) = parsed("d_b_:1234,cache:1234,:1234:d c", false);
        assert_eq!(all.len(), 5, "{all:#?}");
        let same = all.iter().filter(|problem| problem.contains("upstream \"d_b_:1234\""));
        assert_eq!(same.count(), 2, "{all:#?}");
        let (_, all) = parsed("d b.x_y:0:d c", true);
        for (problem, why) in all.iter().zip(["local port", "service name", "Consul namespace", "datacenter"])
        {
            assert!(problem.contains(why), "{all:#?}");
        }
        assert_eq!(all.len(), 4, "{all:#?}");
        assert!(parsed("db.a.b:1", true).1[0].contains("Consul namespace \"a.b\" must"));
    }
}
