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
                false => value
                    .expect_string(|| format!("{path}metadata.annotations.{PREFIX}{name}"))
                    .map_err(|Unreadable { path, why }| Unreadable {
                        path,
                        why: format!("{why}; write it in quotes"),
                    })?,
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
    pub members: Members<'a>,
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
        let mut ports = Ports::default();
        for container in &containers {
            ports.running.extend_from_slice(&container.ports);
        }
        for container in &init_containers {
            let list = if container.native_sidecar { &mut ports.running } else { &mut ports.ended };
            list.extend_from_slice(&container.ports);
        }
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
        self.written_request(name).or_else(|| self.limit(name))
    }

    pub fn written_request(self, name: &str) -> Option<Quantity> {
        self.amount("requests", name)
    }

    pub fn has_limits(self) -> bool {
        self.0.get("limits").and_then(Value::members).is_some_and(|limits| limits.iter().next().is_some())
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

/// Every port that the pod's containers list.
#[derive(Debug, Default)]
pub struct Ports<'a> {
    /// Of those that run beside each other.
    pub running: Vec<Port<'a>>,
    /// Of the init containers that end before them.
    pub ended: Vec<Port<'a>>,
}

#[derive(Debug, PartialEq, Eq)]
pub struct PortError {
    pub why: String,
    pub remedy: String,
}

impl Ports<'_> {
    pub fn has(&self, number: u16) -> bool {
        self.running.iter().any(|port| port.tcp && port.number == number)
    }

    /// A port by its name or its number.
    pub fn resolve(&self, text: &str) -> Result<u16, PortError> {
        let mut named = self.running.iter().filter(|port| port.name.as_deref() == Some(text)).peekable();
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
            self.running.iter().filter(|port| port.tcp).filter_map(|port| port.name.as_deref()).collect();
        let numeric = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-' || byte == b'+');
        let ended = self.ended.iter().any(|port| port.name.as_deref() == Some(text));
        let why = match (numeric, ended) {
            (true, _) => "is not a number from 1 to 65535",
            (_, true) => "is the name of a port of an init container, which ends before the service runs",
            _ => "is not the name of a port of this pod",
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

#[cfg(test)]
mod tests {
    use super::*;
    use json_text::Document;

    #[test]
    fn ports_by_name_and_number() {
        let udp = Port { name: Some("dns".into()), number: 53, tcp: false };
        let (running, ended) = (vec![Port::tcp("http", 8080), udp], vec![Port::tcp("setup", 9)]);
        let ports = Ports { running, ended };
        assert_eq!(ports.resolve("http").unwrap(), 8080);
        assert_eq!(ports.resolve("9090").unwrap(), 9090);
        assert!(ports.resolve("dns").unwrap_err().why.contains("TCP"));
        assert!(ports.resolve("setup").unwrap_err().why.contains("an init container"));
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
