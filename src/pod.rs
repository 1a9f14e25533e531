//! A pod, or a workload's pod template, as far as the policy looks at it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::annotations::{Annotations, PREFIX};
use crate::json::{Elements, Members, Text, Unreadable, or_default, read};
use crate::problem::Quoted;

/// The metadata: all that most decisions need.
#[derive(Debug)]
pub struct Head<'a> {
    pub members: Members<'a>,
    pub metadata: Members<'a>,
    pub annotations: Members<'a>,
}

impl<'a> Head<'a> {
    /// `path` is where `object` stands: empty for a pod, `spec.template.` in most
    /// workloads.
    pub fn read(object: &'a RawValue, path: &str) -> Result<Self, Unreadable> {
        let members: Members = read(object, path.strip_suffix('.').unwrap_or("object"))?;
        let metadata: Members = members_of(&members, path, "metadata")?;
        let annotations = members_of(&metadata, &format!("{path}metadata."), "annotations")?;
        Ok(Head { members, metadata, annotations })
    }

    /// The injector's annotations: the names without the prefix, and the values. Of
    /// a repeated key the last one counts.
    pub fn injector_annotations(&self, path: &str) -> Result<Annotations<'_>, Unreadable> {
        let own =
            self.annotations.iter().filter_map(|(key, raw)| Some((key, key.strip_prefix(PREFIX)?, raw)));
        let mut found = BTreeMap::new();
        for (key, name, raw) in own {
            let Text(value) = match raw.get() {
                "null" => Text::default(),
                _ => read(raw, &format!("{path}metadata.annotations.{key}"))?,
            };
            found.insert(name, value);
        }
        Ok(Annotations(found))
    }

    pub fn text(&self, key: &str) -> Option<Cow<'a, str>> {
        read::<Text>(self.metadata.get(key)?, key).ok().map(|Text(text)| text)
    }
}

fn members_of<'a>(members: &Members<'a>, path: &str, key: &str) -> Result<Members<'a>, Unreadable> {
    members.get(key).map_or_else(|| Ok(Members::default()), |raw| read(raw, &format!("{path}{key}")))
}

/// The specification of a pod.
#[derive(Debug)]
pub struct Spec<'a> {
    /// Where it stands in the request's object: `spec` of a pod.
    pub path: String,
    pub raw: &'a RawValue,
    pub members: Members<'a>,
    pub containers: Vec<Container<'a>>,
    pub init_containers: Vec<Container<'a>>,
    pub volume_names: Vec<Cow<'a, str>>,
    pub service_account: Cow<'a, str>,
    pub host_network: bool,
    pub windows: bool,
    pub restart_policy: Cow<'a, str>,
    pub termination_grace_seconds: u64,
    pub ports: Ports<'a>,
}

#[derive(Debug)]
pub struct Container<'a> {
    pub raw: &'a RawValue,
    pub members: Members<'a>,
    pub name: Cow<'a, str>,
    pub ports: Vec<Port<'a>>,
    /// An init container that goes on running beside the others.
    pub native_sidecar: bool,
}

#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow, default)]
    name: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Os<'a> {
    #[serde(borrow, default)]
    name: Option<Text<'a>>,
}

impl<'a> Spec<'a> {
    pub fn read(raw: &'a RawValue, path: &str) -> Result<Self, Unreadable> {
        let members: Members = read(raw, path)?;
        let text = |key: &str| -> Result<Cow<'a, str>, Unreadable> {
            members.get(key).map_or_else(
                || Ok(Cow::default()),
                |raw| read::<Text>(raw, &format!("{path}.{key}")).map(|Text(text)| text),
            )
        };
        let containers = containers(&members, path, "containers")?;
        let init_containers = containers_or_none(&members, path, "initContainers")?;
        let service_account = match text("serviceAccountName")? {
            name if name.is_empty() => text("serviceAccount")?,
            name => name,
        };
        let windows = members.get("os").map(|os| read::<Os>(os, &format!("{path}.os"))).transpose()?;
        let windows = windows.and_then(|os| os.name).is_some_and(|Text(name)| name == "windows");
        let volume_names = match members.get("volumes") {
            None => Vec::new(),
            Some(raw) => read::<Vec<Named>>(raw, &format!("{path}.volumes"))?
                .into_iter()
                .map(|volume| volume.name.map(|Text(name)| name).unwrap_or_default())
                .collect(),
        };
        let grace = members.get("terminationGracePeriodSeconds");
        let all = containers.iter().chain(init_containers.iter().filter(|c| c.native_sidecar));
        let ports = Ports::new(all.flat_map(|container| container.ports.iter().cloned()).collect());
        Ok(Spec {
            path: path.to_owned(),
            raw,
            service_account: if service_account.is_empty() { "default".into() } else { service_account },
            host_network: members.get("hostNetwork").is_some_and(|raw| raw.get() == "true"),
            windows,
            restart_policy: text("restartPolicy")?,
            termination_grace_seconds: grace.and_then(|raw| raw.get().parse().ok()).unwrap_or(30),
            volume_names,
            containers,
            init_containers,
            members,
            ports,
        })
    }

    /// The containers whose ports can be the service's: the ordinary ones first,
    /// then the pod's own native sidecars.
    pub fn running(&self) -> impl Iterator<Item = &Container<'a>> {
        self.containers.iter().chain(self.init_containers.iter().filter(|container| container.native_sidecar))
    }
}

fn containers<'a>(members: &Members<'a>, path: &str, key: &str) -> Result<Vec<Container<'a>>, Unreadable> {
    let containers = containers_or_none(members, path, key)?;
    if containers.is_empty() {
        return Err(Unreadable {
            path: format!("{path}.{key}"),
            why: "a pod needs at least one container".into(),
        });
    }
    Ok(containers)
}

fn containers_or_none<'a>(
    members: &Members<'a>,
    path: &str,
    key: &str,
) -> Result<Vec<Container<'a>>, Unreadable> {
    let Some(raw) = members.get(key) else { return Ok(Vec::new()) };
    let Elements(elements) = read(raw, &format!("{path}.{key}"))?;
    let containers = elements.into_iter().enumerate();
    containers.map(|(index, raw)| Container::read(raw, || format!("{path}.{key}[{index}]"))).collect()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawPort<'a> {
    #[serde(default)]
    container_port: i64,
    #[serde(borrow, default)]
    name: Option<Text<'a>>,
    #[serde(borrow, default)]
    protocol: Option<Text<'a>>,
}

impl<'a> Container<'a> {
    fn read(raw: &'a RawValue, path: impl Fn() -> String) -> Result<Self, Unreadable> {
        let at = |mut error: Unreadable| {
            error.path = format!("{}{}", path(), error.path);
            error
        };
        let members: Members = read(raw, "").map_err(at)?;
        let Text(name) =
            members.get("name").map_or_else(|| Ok(Text::default()), |raw| read(raw, ".name")).map_err(at)?;
        let ports: Vec<RawPort> =
            members.get("ports").map_or_else(|| Ok(Vec::new()), |raw| read(raw, ".ports")).map_err(at)?;
        let ports = ports.into_iter().filter_map(|port| {
            Some(Port {
                number: u16::try_from(port.container_port).ok().filter(|port| *port > 0)?,
                name: port.name.map(|Text(name)| name).filter(|name| !name.is_empty()),
                tcp: port.protocol.is_none_or(|Text(protocol)| protocol.is_empty() || protocol == "TCP"),
            })
        });
        let ports = ports.collect();
        let native_sidecar = members.get("restartPolicy").is_some_and(|raw| raw.get() == "\"Always\"");
        Ok(Container { raw, members, name, ports, native_sidecar })
    }

    /// The names of the container's own variables.
    pub fn env_names(&self) -> Vec<Cow<'a, str>> {
        let env: Vec<Named> =
            self.members.get("env").and_then(|raw| read(raw, "env").ok()).unwrap_or_default();
        env.into_iter().filter_map(|variable| variable.name.map(|Text(name)| name)).collect()
    }
}

/// A port that a container lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port<'a> {
    pub name: Option<Cow<'a, str>>,
    pub number: u16,
    pub tcp: bool,
}

impl Port<'_> {
    #[cfg(test)]
    pub fn tcp(name: &'static str, number: u16) -> Port<'static> {
        Port { name: Some(name.into()), number, tcp: true }
    }
}

/// Every port that the pod's running containers list.
#[derive(Debug, Default)]
pub struct Ports<'a>(Vec<Port<'a>>);

#[derive(Debug, PartialEq, Eq)]
pub struct PortError {
    pub why: String,
    pub remedy: String,
}

impl<'a> Ports<'a> {
    pub fn new(ports: Vec<Port<'a>>) -> Self {
        Ports(ports)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Port<'a>> {
        self.0.iter()
    }

    pub fn has(&self, number: u16) -> bool {
        self.0.iter().any(|port| port.tcp && port.number == number)
    }

    /// A port by its name or its number.
    pub fn resolve(&self, text: &str) -> Result<u16, PortError> {
        let mut named = self.0.iter().filter(|port| port.name.as_deref() == Some(text)).peekable();
        if named.peek().is_some() {
            return named.find(|port| port.tcp).map(|port| port.number).ok_or_else(|| PortError {
                why: "is not a TCP port".into(),
                remedy: "write the name or the number of a TCP port: the mesh carries TCP".into(),
            });
        }
        let plain =
            !text.is_empty() && !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse::<u16>() {
            Ok(number) if plain => Ok(number),
            _ => Err(self.unknown(text)),
        }
    }

    fn unknown(&self, text: &str) -> PortError {
        let names: Vec<&str> =
            self.0.iter().filter(|port| port.tcp).filter_map(|port| port.name.as_deref()).collect();
        let numeric = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-' || byte == b'+');
        let why = match numeric {
            true => "is not a number from 1 to 65535",
            false => "is not the name of a port of this pod",
        };
        let remedy = if names.is_empty() {
            "write a number from 1 to 65535, or name a port in a container's ports and write that name"
                .to_owned()
        } else {
            let shown =
                names.iter().take(10).map(|name| Quoted(name, 20).to_string()).collect::<Vec<_>>().join(", ");
            format!("write a number from 1 to 65535 or one of the pod's port names: {shown}")
        };
        PortError { why: why.to_owned(), remedy }
    }
}

/// A readiness probe, as far as Consul can do the same.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Probe<'a> {
    #[serde(borrow, default)]
    pub http_get: Option<HttpGet<'a>>,
    #[serde(borrow, default)]
    pub tcp_socket: Option<TcpSocket<'a>>,
    #[serde(borrow, default)]
    pub grpc: Option<GrpcProbe<'a>>,
    #[serde(default, deserialize_with = "or_default")]
    pub period_seconds: i64,
    #[serde(default, deserialize_with = "or_default")]
    pub timeout_seconds: i64,
    #[serde(default, deserialize_with = "or_default")]
    pub success_threshold: i64,
    #[serde(default, deserialize_with = "or_default")]
    pub failure_threshold: i64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpGet<'a> {
    #[serde(borrow, default)]
    pub path: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub port: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub host: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub scheme: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub http_headers: Option<Vec<Header<'a>>>,
}

#[derive(Debug, Deserialize)]
pub struct Header<'a> {
    #[serde(borrow, default)]
    pub name: Text<'a>,
    #[serde(borrow, default)]
    pub value: Text<'a>,
}

#[derive(Debug, Deserialize)]
pub struct TcpSocket<'a> {
    #[serde(borrow, default)]
    pub port: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub host: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
pub struct GrpcProbe<'a> {
    #[serde(borrow, default)]
    pub port: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub service: Option<Text<'a>>,
}

impl<'a> Container<'a> {
    pub fn readiness_probe(&self) -> Option<Probe<'a>> {
        read(self.members.get("readinessProbe")?, "readinessProbe").ok()
    }

    /// A probe's port, which is a number or a name of this container's own.
    pub fn probe_port(&self, raw: Option<&'a RawValue>) -> Option<u16> {
        let raw = raw?;
        if let Ok(number) = raw.get().parse::<u16>() {
            return Some(number).filter(|number| *number > 0);
        }
        let Text(name) = read(raw, "port").ok()?;
        let named = self.ports.iter().find(|port| port.name.as_deref() == Some(&*name));
        named.map(|port| port.number).or_else(|| name.parse().ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_by_name_and_number() {
        let udp = Port { name: Some("dns".into()), number: 53, tcp: false };
        let ports = Ports::new(vec![Port::tcp("http", 8080), udp]);
        assert_eq!(ports.resolve("http").unwrap(), 8080);
        assert_eq!(ports.resolve("9090").unwrap(), 9090);
        assert!(ports.resolve("dns").unwrap_err().why.contains("TCP"));
        for text in ["", "0", "080", "65536", "-1", "+80", "nope", "8 0"] {
            assert!(ports.resolve(text).is_err(), "{text:?}");
        }
        assert!(ports.resolve("htpp").unwrap_err().remedy.contains("http"));
    }

    #[test]
    fn wrong_types_are_named_by_their_place() {
        let read = |text: &str| {
            let raw: &RawValue = serde_json::from_str(text).unwrap();
            Spec::read(raw, "spec").map(|_| ()).map_err(|error| error.to_string())
        };
        assert_eq!(read(r#"{"containers":[{"name":"a"}]}"#), Ok(()));
        for (text, place) in [
            ("[]", "spec: "),
            ("{}", "spec.containers: a pod needs"),
            (r#"{"containers":{}}"#, "spec.containers: "),
            (r#"{"containers":[1]}"#, "spec.containers[0]: "),
            (r#"{"containers":[{"name":{}}]}"#, "spec.containers[0].name: "),
            (r#"{"containers":[{"ports":[{"containerPort":"x"}]}]}"#, "spec.containers[0].ports: "),
            (r#"{"containers":[{}],"volumes":3}"#, "spec.volumes: "),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.starts_with(place), "{text}: {error}");
        }
    }
}
