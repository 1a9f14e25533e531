//! The data from which the injected containers are built.

use super::pod_options::PodOptions;
use super::proxy::{Proxy, Token};
use super::settings::Settings;
use crate::consul::namespace::Namespace;
use crate::consul::service_name::ServiceName;
use crate::mode::candidate::Candidate;

#[derive(Debug)]
pub struct Injection<'a> {
    pub settings: &'a Settings,
    pub options: &'a PodOptions,
    pub service_account: &'a str,
    /// `None`: Consul namespaces are off.
    pub namespace: Option<&'a Namespace>,
    /// For the traffic of the pod; `None`: transparent proxy is off.
    pub redirection: Option<String>,
    pub proxies: Vec<Proxy<'a>>,
}

/// The proxies of the pod's services.
pub fn proxies<'a>(pod: &'a Candidate<'_>, settings: &Settings, options: &'a PodOptions) -> Vec<Proxy<'a>> {
    let acls = settings.auth_method.is_some();
    let names = &options.services.names;
    if !options.services.are_several() {
        return vec![Proxy { index: 0, service: None, token: acls.then_some(Token::Pod) }];
    }
    let account = pod.spec.service_account();
    let proxy = |(index, name): (u16, &'a str)| {
        let token = if name == account { Token::Pod } else { Token::Service(name) };
        Proxy { index, service: Some(name), token: acls.then_some(token) }
    };
    (0..).zip(names.iter().map(ServiceName::as_str)).map(proxy).collect()
}
