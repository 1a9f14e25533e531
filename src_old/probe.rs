//! What the kubelet asks a container.
//!
//! <https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/>

use std::borrow::Cow;

use json_text::{Members, Value};

use crate::pod::Container;

/// A probe, as far as Consul can do the same.
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

    /// The ports where probes of any kind ask the pod.
    pub fn probed_ports(&self) -> [Option<u16>; 3] {
        ["readinessProbe", "livenessProbe", "startupProbe"].map(|key| {
            let probe = self.members.get(key)?.members()?;
            let action = ["httpGet", "tcpSocket", "grpc"].into_iter().find_map(|key| probe.get(key))?;
            let action = action.members().filter(|action| action.get("host").is_none())?;
            self.probe_port(action.get("port"))
        })
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
