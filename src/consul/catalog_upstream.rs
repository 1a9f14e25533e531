//! Upstreams in the forms that the endpoints controller of consul-k8s reads:
//! - `service[.namespace[.partition]]:port[:datacenter][?option=value&...]`
//! - `service.svc[.NAMESPACE.ns][.PEER.peer|.PARTITION.ap|.DATACENTER.dc]:port[:destination-port]`
//! - `prepared_query:name:port`
//!
//! The controller does not register a pod if it cannot read the list.

use std::net::IpAddr;

use super::namespace::{NAME_RULE, is_namespace_name};
use super::service_name::{ServiceName, ServiceNameError};
use super::upstream::{DATACENTER_RULE, is_datacenter};
use super::upstream_list::{self, ResolvePort, SEPARATOR_RULE, has_other_separator};
use crate::problem::{Findings, Flaw};
use crate::text::{Quoted, is_word};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogUpstream {
    /// The text before the port, from which the variables' names are made.
    pub written_name: String,
    pub target: Target,
    pub port: u16,
    pub options: Options,
}

/// The destination of the upstream's requests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Target {
    pub prepared_query: bool,
    pub name: String,
    pub namespace: Option<String>,
    pub partition: Option<String>,
    pub peer: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    pub datacenter: Option<String>,
    pub destination_port: Option<String>,
    pub local_bind_address: Option<IpAddr>,
    pub mesh_gateway_mode: Option<String>,
}

const FORM: &str =
    "write service:port, service:port:datacenter or prepared_query:name:port, separated by commas";
const LABELLED_FORM: &str =
    "write service.svc:port, service.svc.DATACENTER.dc:port or service.svc.PEER.peer:port";
const LABELLED_FORM_OF_NAMESPACES: &str =
    "write service.svc.NAMESPACE.ns:port, with .DATACENTER.dc, .PEER.peer or .PARTITION.ap after .ns";
const OPTIONS_FORM: &str = "write destination_port, local_bind_address, mesh_gateway_mode or datacenter, such as ?mesh_gateway_mode=local";

/// Parses the annotation's value. `subject` is the annotation's name in problems, and `namespaces`
/// whether Consul namespaces or partitions are enabled. `loopback` is the default address.
pub fn parse_list(
    subject: &str,
    value: &str,
    resolve_port: &ResolvePort<'_>,
    namespaces: bool,
    loopback: IpAddr,
    findings: &mut Findings,
) -> Vec<CatalogUpstream> {
    let mut upstreams: Vec<(CatalogUpstream, &str)> = Vec::new();
    for item in upstream_list::items(subject, value, findings) {
        let mut flaws = Vec::new();
        let upstream = parse(item, resolve_port, namespaces, &mut flaws);
        if let Some(upstream) = upstream {
            if let Some((_, first)) =
                upstreams.iter().find(|(other, _)| other.conflicts_with(&upstream, loopback))
            {
                flaws.push(upstream_list::port_is_taken(first));
            }
            upstreams.push((upstream, item));
        }
        findings.problems.extend(flaws.into_iter().map(|flaw| flaw.at(subject).value(item)));
    }
    upstreams.into_iter().map(|(upstream, _)| upstream).collect()
}

impl CatalogUpstream {
    /// The address at which the app reaches the upstream.
    pub fn address(&self, loopback: IpAddr) -> IpAddr {
        self.options.local_bind_address.unwrap_or(loopback)
    }

    fn conflicts_with(&self, other: &CatalogUpstream, loopback: IpAddr) -> bool {
        let (own, others) = (self.address(loopback), other.address(loopback));
        let overlap = own.is_unspecified() || others.is_unspecified();
        self.port == other.port && (own == others || (overlap && own.is_ipv4() == others.is_ipv4()))
    }
}

fn parse(
    item: &str,
    resolve_port: &ResolvePort<'_>,
    namespaces: bool,
    flaws: &mut Vec<Flaw>,
) -> Option<CatalogUpstream> {
    if has_other_separator(item) {
        flaws.push(SEPARATOR_RULE.into());
        return None;
    }
    let mut parts = item.splitn(3, ':').map(str::trim);
    let (first, second, third) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
    if first == "prepared_query" {
        let (Some(name), Some(port)) = (second, third) else {
            flaws.push(Flaw::new("a local port is required", FORM));
            return None;
        };
        let port = port_of(port, resolve_port, flaws);
        check_service(name, flaws);
        let target = Target { prepared_query: true, name: name.to_owned(), ..Target::default() };
        return Some(CatalogUpstream {
            written_name: name.to_owned(),
            target,
            port: port?,
            options: Options::default(),
        });
    }
    let Some(port) = second else {
        flaws.push(match item {
            "" => Flaw::new("must not be empty", "remove extra commas"),
            _ => Flaw::new("a local port is required", FORM),
        });
        return None;
    };
    let port = port_of(port, resolve_port, flaws);
    let pieces: Vec<&str> = first.split('.').map(str::trim).collect();
    let labelled = pieces.get(1) == Some(&"svc");
    let (target, datacenter) = match labelled {
        true => labelled_target(&pieces, namespaces, flaws),
        false => (plain_target(first, namespaces, flaws), None),
    };
    let mut options = third.map_or_else(Options::default, |third| Options::parse(third, labelled, flaws));
    match (datacenter, &options.datacenter) {
        (Some(label), Some(option)) if label != *option => {
            let (label, option) = (Quoted(&label, 60), Quoted(option, 60));
            flaws.push(format!("must name one datacenter, not both {label} and {option}").into());
        }
        (Some(label), _) => options.datacenter = Some(label),
        (None, _) => (),
    }
    Some(CatalogUpstream { written_name: first.to_owned(), target, port: port?, options })
}

fn port_of(written: &str, resolve_port: &ResolvePort<'_>, flaws: &mut Vec<Flaw>) -> Option<u16> {
    let flaw = |error: Flaw| match written {
        "" => Flaw::new("a local port is required", FORM),
        port if port.contains('?') => Flaw::new(
            format!("local port {} must not contain options", Quoted(port, 60)),
            "write them after a second colon, such as service:port:?mesh_gateway_mode=local",
        ),
        port => error.of(&format!("local port {}", Quoted(port, 60))),
    };
    resolve_port(written).map_err(|error| flaws.push(flaw(error))).ok()
}

fn check_service(name: &str, flaws: &mut Vec<Flaw>) {
    match ServiceName::parse(name) {
        Ok(_) => (),
        Err(ServiceNameError::Empty) => flaws.push(Flaw::new("a service name is required", FORM)),
        Err(error) => flaws.push(error.flaw().of(&format!("service name {}", Quoted(name, 60)))),
    }
}

/// `service`, with Consul namespaces `service[.namespace[.partition]]`.
fn plain_target(written: &str, namespaces: bool, flaws: &mut Vec<Flaw>) -> Target {
    let mut pieces = written.splitn(if namespaces { 3 } else { 1 }, '.').map(str::trim);
    let name = pieces.next().unwrap_or_default();
    check_service(name, flaws);
    let mut scope = |kind: &str| {
        let scope = pieces.next()?;
        check_scope(kind, scope, flaws);
        Some(scope.to_owned())
    };
    Target {
        name: name.to_owned(),
        namespace: scope("namespace"),
        partition: scope("partition"),
        ..Target::default()
    }
}

/// The target and the datacenter of the labelled form.
fn labelled_target(pieces: &[&str], namespaces: bool, flaws: &mut Vec<Flaw>) -> (Target, Option<String>) {
    let mut target = Target::default();
    let mut datacenter = None;
    let (name, labels) = pieces.split_first().map_or(("", pieces), |(name, labels)| (*name, labels));
    name.clone_into(&mut target.name);
    check_service(name, flaws);
    // The controller reads `.ns` only before the other labels, and with namespaces the others
    // only after it.
    let labels = labels.get(1..).unwrap_or_default();
    let (scope, last) = match labels {
        [] => (None, None),
        [namespace, "ns"] if namespaces => (Some(*namespace), None),
        [namespace, "ns", last, label] if namespaces => (Some(*namespace), Some((*last, *label))),
        [last, label] if !namespaces => (None, Some((*last, *label))),
        _ => {
            let form = if namespaces { LABELLED_FORM_OF_NAMESPACES } else { LABELLED_FORM };
            flaws.push(Flaw::new("Consul's endpoints controller does not support these labels", form));
            return (target, None);
        }
    };
    if let Some(namespace) = scope {
        check_scope("namespace", namespace, flaws);
        target.namespace = Some(namespace.to_owned());
    }
    match last {
        None => (),
        Some((peer, "peer")) => {
            check_scope("peer", peer, flaws);
            target.peer = Some(peer.to_owned());
        }
        Some((partition, "ap")) if namespaces => {
            check_scope("partition", partition, flaws);
            target.partition = Some(partition.to_owned());
        }
        Some((name, "dc")) => {
            check_datacenter(name, flaws);
            datacenter = Some(name.to_owned());
        }
        Some((_, label)) => {
            let form = if namespaces { LABELLED_FORM_OF_NAMESPACES } else { LABELLED_FORM };
            let why = format!(
                "Consul's endpoints controller does not support the label {} here",
                Quoted(label, 40)
            );
            flaws.push(Flaw::new(why, form));
        }
    }
    (target, datacenter)
}

fn check_scope(kind: &str, name: &str, flaws: &mut Vec<Flaw>) {
    if !is_namespace_name(name) {
        flaws.push(format!("Consul {kind} {} {NAME_RULE}", Quoted(name, 80)).into());
    }
}

fn check_datacenter(name: &str, flaws: &mut Vec<Flaw>) {
    if !is_datacenter(name) {
        flaws.push(format!("datacenter {} {DATACENTER_RULE}", Quoted(name, 80)).into());
    }
}

impl Options {
    /// Reads what follows the second colon.
    fn parse(written: &str, labelled: bool, flaws: &mut Vec<Flaw>) -> Self {
        let mut options = Options::default();
        let (plain, pairs) = match written.split_once('?') {
            Some((plain, pairs)) => (plain.trim(), pairs),
            None if written.contains(['=', '&']) => ("", written),
            None => (written, ""),
        };
        if !plain.is_empty() {
            options.set(if labelled { "destination_port" } else { "datacenter" }, plain, flaws);
        }
        for pair in pairs.split(['&', ';']).map(str::trim).filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some((key, value)) if !value.trim().is_empty() => {
                    options.set(key.trim(), value.trim(), flaws);
                }
                _ => {
                    let why = format!("option {} requires a value", Quoted(pair, 60));
                    flaws.push(Flaw::new(why, OPTIONS_FORM));
                }
            }
        }
        options
    }

    fn set(&mut self, key: &str, value: &str, flaws: &mut Vec<Flaw>) {
        match key {
            "destination_port" | "destination-port" | "destinationPort" | "port" => {
                if !is_word(value, 64, b"-_.") {
                    let rule = "must be the name of a port of the upstream service";
                    flaws.push(format!("destination_port {} {rule}", Quoted(value, 60)).into());
                }
                self.destination_port = Some(value.to_owned());
            }
            "local_bind_address" | "local-bind-address" | "localBindAddress" => match value.parse() {
                Ok(address) => self.local_bind_address = Some(address),
                Err(_) => {
                    let rule = "must be an IP address such as 127.0.0.2";
                    flaws.push(format!("local_bind_address {} {rule}", Quoted(value, 60)).into());
                }
            },
            "mesh_gateway_mode" | "mesh-gateway-mode" | "meshGatewayMode" => {
                if !["none", "local", "remote"].contains(&value) {
                    let rule = "must be none, local or remote";
                    flaws.push(format!("mesh_gateway_mode {} {rule}", Quoted(value, 60)).into());
                }
                self.mesh_gateway_mode = Some(value.to_owned());
            }
            "datacenter" | "dc" => {
                check_datacenter(value, flaws);
                self.datacenter = Some(value.to_owned());
            }
            _ => {
                let why =
                    format!("Consul's endpoints controller does not support the option {}", Quoted(key, 60));
                flaws.push(Flaw::new(why, OPTIONS_FORM));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn resolve_port(text: &str) -> Result<u16, Flaw> {
        let error = || Flaw::from("must be a port");
        match text {
            "http" => Ok(8080),
            number => number.parse().ok().filter(|number| *number > 0).ok_or_else(error),
        }
    }

    fn parsed(value: &str, namespaces: bool) -> (Vec<CatalogUpstream>, Vec<String>) {
        let mut findings = Findings::default();
        let upstreams = parse_list(
            "upstreams",
            value,
            &resolve_port,
            namespaces,
            Ipv4Addr::LOCALHOST.into(),
            &mut findings,
        );
        (upstreams, findings.problems.iter().map(ToString::to_string).collect())
    }

    /// The one upstream of a value: `name/namespace/partition/peer/datacenter@port`.
    fn one(value: &str, namespaces: bool) -> String {
        let (upstreams, problems) = parsed(value, namespaces);
        assert!(problems.is_empty() && upstreams.len() == 1, "{value}: {problems:?}");
        let CatalogUpstream { target, port, options, .. } = &upstreams[0];
        let text = |part: &Option<String>| part.clone().unwrap_or_default();
        let scopes = [&target.namespace, &target.partition, &target.peer, &options.datacenter].map(text);
        format!("{}/{}@{port}", target.name, scopes.join("/"))
    }

    #[test]
    fn the_plain_form() {
        assert_eq!(one("db:1234", false), "db////@1234");
        assert_eq!(one(" db : http : dc2 ", false), "db////dc2@8080");
        assert_eq!(one("db:1234:", false), "db////@1234");
        assert_eq!(one("db:1234:?dc=dc2", false), "db////dc2@1234");
        assert_eq!(one("db.ns.part:1", false), "db.ns.part////@1");
        assert_eq!(one("db.ns.part:1", true), "db/ns/part//@1");
        assert_eq!(one("prepared_query:q.x:1", true), "q.x////@1");
    }

    #[test]
    fn the_labelled_form() {
        assert_eq!(one("db.svc:1", false), "db////@1");
        assert_eq!(one("db.svc.dc2.dc:1", false), "db////dc2@1");
        assert_eq!(one("db.svc.east.peer:1", false), "db///east/@1");
        assert_eq!(one("db.svc.shop.ns:1", true), "db/shop///@1");
        assert_eq!(one("db.svc.shop.ns.part.ap:1", true), "db/shop/part//@1");
        assert_eq!(one("db.svc.shop.ns.east.peer:1", true), "db/shop//east/@1");
        let (upstreams, _) = parsed("db.svc:1:admin", false);
        assert_eq!(upstreams[0].options.destination_port.as_deref(), Some("admin"));
        assert_eq!(upstreams[0].written_name, "db.svc");
    }

    #[test]
    fn options() {
        let value = "db:1:dc2?mesh_gateway_mode=local&local_bind_address=127.0.0.2;destination_port=admin";
        let (upstreams, problems) = parsed(value, false);
        assert!(problems.is_empty(), "{problems:?}");
        assert_eq!(
            upstreams[0].options,
            Options {
                datacenter: Some("dc2".into()),
                destination_port: Some("admin".into()),
                local_bind_address: Some([127, 0, 0, 2].into()),
                mesh_gateway_mode: Some("local".into()),
            }
        );
        assert!(parsed("a:1,b:1:local_bind_address=127.0.0.2", false).1.is_empty());
        assert_eq!(parsed("a:1,b:1:?local_bind_address=127.0.0.1", false).1.len(), 1);
        assert_eq!(parsed("a:1,b:1:?local_bind_address=0.0.0.0", false).1.len(), 1);
        assert!(parsed("a:1:?mesh_gateway_mode=local;local_bind_address=::1", false).1.is_empty());
    }

    #[test]
    fn every_mistake_is_named() {
        for (value, why) in [
            ("db", "a local port is required"),
            ("db:1,", "must not be empty"),
            (":", "a local port is required"),
            (":1", "a service name is required"),
            ("db:0", "local port \"0\" must be a port"),
            ("db:1 cache:2", "separated by commas"),
            ("db:1\ncache:2", "separated by commas"),
            ("db:1;cache:2", "separated by commas"),
            ("prepared_query:q", "a local port is required"),
            ("db:1?dc=dc2", "local port \"1?dc=dc2\" must not contain options"),
            ("db.svc.shop.ns:1", "the label \"ns\""),
            ("db.svc.a.b.c:1", "does not support these labels"),
            ("db.svc.dc1.dc:1:dc=dc2", "must name one datacenter"),
            ("db:1:bad=1", "does not support the option \"bad\""),
            ("db:1:dc=", "requires a value"),
            ("db:1:mesh_gateway_mode=far", "\"far\" must be none"),
            ("db:1:local_bind_address=lo", "must be an IP address"),
            ("db:1:d c", "datacenter \"d c\" must"),
            ("a:1,b:1", "port is already used by upstream \"a:1\""),
        ] {
            let (_, problems) = parsed(value, false);
            let found = problems.iter().filter(|problem| problem.contains(why)).count();
            assert_eq!(found, 1, "{value:?}: {problems:?}");
        }
        assert!(parsed("db.svc.shop.ap:1", true).1[0].contains("labels"));
        assert!(parsed("db.:1", true).1[0].contains("Consul namespace \"\" must"));
    }
}
