//! A proxy of the pod. A pod with several services has one proxy for each.

use k8s_openapi::api::core::v1::VolumeMount;

use super::names;
use crate::mode::shared::volumes::{DATA_PATH, TOKEN, TOKEN_PATH, Volume, mount, read_only, secret};

#[derive(Debug)]
pub struct Proxy<'a> {
    /// Starts at 0, and is added to the proxy's ports.
    pub index: u16,
    /// The service's name if the pod has several; a suffix of the containers' names.
    pub service: Option<&'a str>,
    /// `None`: ACLs are off.
    pub token: Option<Token<'a>>,
}

/// The token with which the proxy logs in.
#[derive(Debug)]
pub enum Token<'a> {
    /// The injected token of the pod's service account.
    Pod,
    /// The token of another service's account, in a Secret with the service's name.
    Service(&'a str),
}

impl Proxy<'_> {
    pub fn init_name(&self) -> String {
        self.named(names::INIT)
    }

    pub fn sidecar_name(&self) -> String {
        self.named(names::SIDECAR)
    }

    /// The file to which the init container writes the proxy's ID.
    pub fn id_file(&self) -> String {
        self.named(&format!("{DATA_PATH}/proxyid"))
    }

    fn named(&self, beginning: &str) -> String {
        self.service.map_or_else(|| beginning.to_owned(), |service| format!("{beginning}-{service}"))
    }
}

impl Token<'_> {
    pub fn file(&self) -> String {
        format!("{}/token", self.mount().mount_path)
    }

    pub fn mount(&self) -> VolumeMount {
        read_only(match self {
            Token::Pod => mount(TOKEN, TOKEN_PATH),
            Token::Service(name) => mount(&volume_name(name), &format!("/consul/serviceaccount-{name}")),
        })
    }

    /// The volume with the token of another service account.
    pub fn secret_volume(&self) -> Option<Volume> {
        let Token::Service(name) = self else { return None };
        Some(secret(&volume_name(name), name))
    }
}

fn volume_name(service: &str) -> String {
    format!("{service}-service-account")
}
