//! A pod, or a workload's pod template, as far as the policy looks at it.

use std::borrow::Cow;

use json_text::{Members, Unreadable, Value};

use crate::annotations::{Annotations, PREFIX};
use crate::problem::Quoted;
use crate::quantity::Quantity;

/// The metadata: all that most decisions need.
#[derive(Debug, Clone, Copy)]
pub struct Head<'a> {
    pub object: Value<'a>,
    pub members: Members<'a>,
    pub metadata: Members<'a>,
    pub annotations: Members<'a>,
}

impl<'a> Head<'a> {
    /// `path` is where `object` stands: empty for a pod, `spec.template.` in most
    /// workloads.
    pub fn read(object: Value<'a>, path: &str) -> Result<Self, Unreadable> {
        let members = object.expect_members(|| path.strip_suffix('.').unwrap_or("object").to_owned())?;
        let metadata = members_of(members, "metadata", || format!("{path}metadata"))?;
        let annotations = members_of(metadata, "annotations", || format!("{path}metadata.annotations"))?;
        // Read when the pod is changed; whatever becomes of it, this must be a map.
        members_of(metadata, "labels", || format!("{path}metadata.labels"))?;
        Ok(Head { object, members, metadata, annotations })
    }

    /// The injector's annotations.
    pub fn injector_annotations(self, path: &str) -> Result<Annotations<'a>, Unreadable> {
        let mut found = Vec::with_capacity(8);
        for (key, value) in self.annotations.iter() {
            let name = match key {
                Cow::Borrowed(key) => key.strip_prefix(PREFIX).map(Cow::Borrowed),
                Cow::Owned(key) => key.strip_prefix(PREFIX).map(|name| Cow::Owned(name.to_owned())),
            };
            let Some(name) = name else { continue };
            let value = match value.is_null() {
                true => Cow::default(),
                false => value.expect_string(|| format!("{path}metadata.annotations.{PREFIX}{name}"))?,
            };
            found.push((name, value));
        }
        Ok(Annotations::new(found))
    }

    pub fn text(&self, key: &str) -> Option<Cow<'a, str>> {
        self.metadata.get(key)?.string()
    }
}

fn members_of<'a>(
    members: Members<'a>,
    key: &str,
    path: impl Fn() -> String,
) -> Result<Members<'a>, Unreadable> {
    members.get(key).map_or_else(|| Ok(Members::default()), |value| value.expect_members(path))
}

/// The specification of a pod.
#[derive(Debug)]
pub struct Spec<'a> {
    /// Where it stands in the request's object: `spec` of a pod.
    pub path: String,
    pub value: Value<'a>,
    pub containers: Vec<Container<'a>>,
    pub init_containers: Vec<Container<'a>>,
    pub volume_names: Vec<Cow<'a, str>>,
    pub service_account: Cow<'a, str>,
    pub host_network: bool,
    /// What says that the pod is for Windows.
    pub windows: Option<&'static str>,
    pub restart_policy: Cow<'a, str>,
    pub termination_grace_seconds: u64,
    pub ports: Ports<'a>,
    /// The pod's own, beside those of its containers.
    pub resources: Option<Resources<'a>>,
}

#[derive(Debug)]
pub struct Container<'a> {
    pub value: Value<'a>,
    members: Members<'a>,
    pub name: Cow<'a, str>,
    pub ports: Vec<Port<'a>>,
    /// An init container that goes on running beside the others.
    pub native_sidecar: bool,
}

impl<'a> Spec<'a> {
    pub fn read(value: Value<'a>, path: &str) -> Result<Self, Unreadable> {
        let members = value.expect_members(|| path.to_owned())?;
        let text = |key: &str| members.string(key, || format!("{path}.{key}"));
        let containers = containers(members, path, "containers")?;
        if containers.is_empty() {
            let why = "a pod needs at least one container".to_owned();
            return Err(Unreadable { path: format!("{path}.containers"), why });
        }
        let init_containers = self::containers(members, path, "initContainers")?;
        let service_account = match text("serviceAccountName")? {
            name if name.is_empty() => text("serviceAccount")?,
            name => name,
        };
        let os = match members.get("os") {
            Some(os) => {
                let os = os.expect_members(|| format!("{path}.os"))?;
                os.string("name", || format!("{path}.os.name"))?
            }
            None => Cow::default(),
        };
        let windows = match &*os {
            "windows" => Some("os.name"),
            _ => windows_nodes(members),
        };
        let mut volume_names = Vec::new();
        if let Some(volumes) = members.get("volumes") {
            for (index, volume) in volumes.expect_elements(|| format!("{path}.volumes"))?.enumerate() {
                let volume = volume.expect_members(|| format!("{path}.volumes[{index}]"))?;
                volume_names.push(volume.string("name", || format!("{path}.volumes[{index}].name"))?);
            }
        }
        let grace = members.get("terminationGracePeriodSeconds");
        let all = containers.iter().chain(init_containers.iter().filter(|c| c.native_sidecar));
        let ports = Ports::new(all.flat_map(|container| container.ports.iter().cloned()).collect());
        Ok(Spec {
            path: path.to_owned(),
            value,
            service_account: if service_account.is_empty() { "default".into() } else { service_account },
            host_network: members.get("hostNetwork").is_some_and(Value::is_true),
            windows,
            restart_policy: text("restartPolicy")?,
            termination_grace_seconds: grace.and_then(|value| value.text().parse().ok()).unwrap_or(30),
            volume_names,
            containers,
            init_containers,
            ports,
            resources: members.get("resources").and_then(Value::members).map(Resources),
        })
    }

    /// The containers whose ports can be the service's: the ordinary ones first,
    /// then the pod's own native sidecars.
    pub fn running(&self) -> impl Iterator<Item = &Container<'a>> {
        self.containers.iter().chain(self.init_containers.iter().filter(|container| container.native_sidecar))
    }
}

/// Most pods for Windows say so by the nodes that they want.
fn windows_nodes(spec: Members<'_>) -> Option<&'static str> {
    let selector = spec.get("nodeSelector")?.members()?;
    let windows = |label: &str| selector.get(label).is_some_and(|os| os.text() == "\"windows\"");
    if windows("kubernetes.io/os") {
        Some("nodeSelector[kubernetes.io/os]")
    } else {
        windows("beta.kubernetes.io/os").then_some("nodeSelector[beta.kubernetes.io/os]")
    }
}

fn containers<'a>(members: Members<'a>, path: &str, key: &str) -> Result<Vec<Container<'a>>, Unreadable> {
    let Some(list) = members.get(key) else { return Ok(Vec::new()) };
    let containers = list.expect_elements(|| format!("{path}.{key}"))?.enumerate();
    containers.map(|(index, value)| Container::read(value, || format!("{path}.{key}[{index}]"))).collect()
}

impl<'a> Container<'a> {
    fn read(value: Value<'a>, path: impl Fn() -> String) -> Result<Self, Unreadable> {
        let members = value.expect_members(&path)?;
        let mut ports = Vec::new();
        if let Some(list) = members.get("ports") {
            let list = list.expect_elements(|| format!("{}.ports", path()))?;
            for (index, port) in list.enumerate() {
                ports.extend(Port::read(port, || format!("{}.ports[{index}]", path()))?);
            }
        }
        Ok(Container {
            value,
            members,
            name: members.string("name", || format!("{}.name", path()))?,
            ports,
            native_sidecar: members.string("restartPolicy", String::new).is_ok_and(|p| p == "Always"),
        })
    }

    pub fn resources(&self) -> Option<Resources<'a>> {
        self.members.get("resources")?.members().map(Resources)
    }

    /// The names of the container's own variables.
    pub fn env_names(&self) -> Result<impl Iterator<Item = Cow<'a, str>>, Unreadable> {
        let path = || format!("env of the container {}", Quoted(&self.name, 63));
        let env = self.members.get("env").map(|env| env.expect_elements(path)).transpose()?;
        Ok(env.into_iter().flatten().filter_map(|variable| variable.members()?.get("name")?.string()))
    }
}

/// Resources as they are written.
#[derive(Debug, Clone, Copy)]
pub struct Resources<'a>(Members<'a>);

impl Resources<'_> {
    /// As the API server has it, a limit without a request is the request.
    pub fn request(self, name: &str) -> Option<Quantity> {
        self.amount("requests", name).or_else(|| self.limit(name))
    }

    pub fn limit(self, name: &str) -> Option<Quantity> {
        self.amount("limits", name)
    }

    fn amount(self, kind: &str, name: &str) -> Option<Quantity> {
        let written = self.0.get(kind)?.members()?.get(name)?;
        let text = if written.is_number() { written.text().into() } else { written.string()? };
        text.parse().ok()
    }
}

/// A port that a container lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port<'a> {
    pub name: Option<Cow<'a, str>>,
    pub number: u16,
    pub tcp: bool,
}

impl<'a> Port<'a> {
    /// Nothing for a number that the API server will refuse.
    fn read(port: Value<'a>, path: impl Fn() -> String) -> Result<Option<Self>, Unreadable> {
        let members = port.expect_members(&path)?;
        let number = match members.get("containerPort") {
            Some(number) if number.is_number() => number.text().parse().ok().filter(|port| *port > 0),
            Some(other) => {
                return Err(other.unexpected("a number", || format!("{}.containerPort", path())));
            }
            None => None,
        };
        let name = members.string("name", || format!("{}.name", path()))?;
        let protocol = members.string("protocol", || format!("{}.protocol", path()))?;
        Ok(number.map(|number| Port {
            number,
            name: Some(name).filter(|name| !name.is_empty()),
            tcp: matches!(&*protocol, "" | "TCP"),
        }))
    }

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
#[derive(Debug)]
pub struct Probe<'a> {
    pub action: ProbeAction<'a>,
    pub port: Option<Value<'a>>,
    /// Empty: the pod itself.
    pub host: Cow<'a, str>,
    pub period_seconds: i64,
    pub timeout_seconds: i64,
    pub success_threshold: i64,
    pub failure_threshold: i64,
}

#[derive(Debug)]
pub enum ProbeAction<'a> {
    HttpGet(HttpGet<'a>),
    TcpSocket,
    Grpc { service: Cow<'a, str> },
}

#[derive(Debug)]
pub struct HttpGet<'a> {
    pub path: Cow<'a, str>,
    pub https: bool,
    pub headers: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

impl<'a> Probe<'a> {
    /// Nothing for `exec`, and for what is no probe.
    fn read(probe: Value<'a>) -> Option<Self> {
        let members = probe.members()?;
        // An integer, or 0 as Kubernetes' own zero value.
        let number = |key: &str| members.get(key).map_or(Some(0), |value| value.text().parse().ok());
        let (action, inner) = if let Some(http) = members.get("httpGet") {
            let http = http.members()?;
            (ProbeAction::HttpGet(HttpGet::read(http)?), http)
        } else if let Some(tcp) = members.get("tcpSocket") {
            (ProbeAction::TcpSocket, tcp.members()?)
        } else {
            let grpc = members.get("grpc")?.members()?;
            (ProbeAction::Grpc { service: grpc.string("service", String::new).ok()? }, grpc)
        };
        Some(Probe {
            action,
            port: inner.get("port"),
            host: inner.string("host", String::new).ok()?,
            period_seconds: number("periodSeconds")?,
            timeout_seconds: number("timeoutSeconds")?,
            success_threshold: number("successThreshold")?,
            failure_threshold: number("failureThreshold")?,
        })
    }
}

impl<'a> HttpGet<'a> {
    fn read(members: Members<'a>) -> Option<Self> {
        let text = |members: Members<'a>, key: &str| members.string(key, String::new).ok();
        let mut headers = Vec::new();
        if let Some(list) = members.get("httpHeaders") {
            for header in list.elements()? {
                let header = header.members()?;
                headers.push((text(header, "name")?, text(header, "value")?));
            }
        }
        Some(HttpGet { path: text(members, "path")?, https: text(members, "scheme")? == "HTTPS", headers })
    }
}

impl<'a> Container<'a> {
    pub fn readiness_probe(&self) -> Option<Probe<'a>> {
        Probe::read(self.members.get("readinessProbe")?)
    }

    /// A probe's port, which is a number or a name of this container's own.
    pub fn probe_port(&self, port: Option<Value<'a>>) -> Option<u16> {
        let port = port?;
        if let Ok(number) = port.text().parse::<u16>() {
            return Some(number).filter(|number| *number > 0);
        }
        let name = port.string()?;
        let named = self.ports.iter().find(|port| port.name.as_deref() == Some(&*name));
        named.map(|port| port.number).or_else(|| name.parse().ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use json_text::Document;

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
            let document = Document::scan(text).unwrap();
            Spec::read(document.root(), "spec").map(|_| ()).map_err(|error| error.to_string())
        };
        assert_eq!(read(r#"{"containers":[{"name":"a"}]}"#), Ok(()));
        for (text, place) in [
            ("[]", "spec: "),
            ("{}", "spec.containers: a pod needs"),
            (r#"{"containers":{}}"#, "spec.containers: "),
            (r#"{"containers":[1]}"#, "spec.containers[0]: "),
            (r#"{"containers":[{"name":{}}]}"#, "spec.containers[0].name: "),
            (
                r#"{"containers":[{"ports":[{"containerPort":"x"}]}]}"#,
                "spec.containers[0].ports[0].containerPort: ",
            ),
            (r#"{"containers":[{}],"volumes":3}"#, "spec.volumes: "),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.starts_with(place), "{text}: {error}");
        }
    }
}
