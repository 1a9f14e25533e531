//! One proxy of the pod. A pod of several services has one for each.

use k8s_openapi::api::core::v1::VolumeMount;

use super::constants;
use crate::mode::shared::volumes::{DATA_PATH, TOKEN, TOKEN_PATH, Volume, mount, read_only, secret};

#[derive(Debug)]
pub struct Proxy<'a> {
    /// Counted from 0; its ports are counted up by it.
    pub index: u16,
    /// The service's name where the pod has several; it ends the names of the containers.
    pub service: Option<&'a str>,
    /// `None`: ACLs are off.
    pub token: Option<Token<'a>>,
}

/// Where the token is with which the proxy logs in.
#[derive(Debug)]
pub enum Token<'a> {
    /// The policy's own, of the pod's service account.
    Pod,
    /// That of the service account of another service, in a Secret of the same name.
    Service(&'a str),
}

impl Proxy<'_> {
    pub fn init_name(&self) -> String {
        self.named(constants::INIT)
    }

    pub fn sidecar_name(&self) -> String {
        self.named(constants::SIDECAR)
    }

    /// Where the init container writes the proxy's id.
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
