//! Settings that both modes have.

use super::reader::SettingsReader;
use super::{certificates, image};
use crate::consul::envoy_args::EnvoyArgs;
use crate::consul::namespace::{self, ConsulNamespaces, is_namespace_name};

pub const AUTH_METHOD: &str = "consul-k8s-auth-method";
pub const DESTINATION_NAMESPACE: &str = "default";

pub fn image(block: &mut SettingsReader<'_, '_>, key: &'static str, default: &str) -> String {
    let Some(reference) = block.string(key) else { return default.to_owned() };
    if let Some(flaw) = image::flaw(reference) {
        let remedy = format!("write an image reference such as {default}");
        block.problem(key, reference, flaw, &remedy);
    }
    reference.to_owned()
}

/// The setting `imagePullPolicy`.
pub fn pull_policy(top: &mut SettingsReader<'_, '_>) -> Option<String> {
    let key = "imagePullPolicy";
    let remedy = "write Always, IfNotPresent or Never";
    let written = top.string_or(key, remedy).filter(|written| !written.is_empty())?;
    if !["Always", "IfNotPresent", "Never"].contains(&written) {
        top.problem(key, written, "is not a pull policy", remedy);
    }
    Some(written.to_owned())
}

/// The setting `envoyExtraArgs`.
pub fn envoy_extra_args(top: &mut SettingsReader<'_, '_>) -> EnvoyArgs {
    let key = "envoyExtraArgs";
    let remedy = "write the arguments in one string, such as \"--log-level debug\"";
    let Some(text) = top.string_or(key, remedy) else { return EnvoyArgs::default() };
    EnvoyArgs::parse(text).unwrap_or_else(|flaws| {
        for flaw in flaws {
            top.problem(key, text, &flaw.why, &flaw.remedy);
        }
        EnvoyArgs::default()
    })
}

/// The settings `enableConsulNamespaces`, `consulNamespaces` and `crossNamespaceACLPolicy`;
/// `None` where Consul namespaces are off.
pub fn consul_namespaces(top: &mut SettingsReader<'_, '_>, mirror: bool) -> Option<ConsulNamespaces> {
    let enabled = top.bool("enableConsulNamespaces", false);
    // Consul's own policies have a slash: `builtin/global-read-only`.
    let policy = acl_name(top, "crossNamespaceACLPolicy", "is not the name of an ACL policy", 1);
    let namespaces = top.block("consulNamespaces", |block| {
        let key = "consulDestinationNamespace";
        let destination = block.name(key).unwrap_or(DESTINATION_NAMESPACE);
        if !is_namespace_name(destination) {
            block.problem(key, destination, "is not the name of a Consul namespace", namespace::REMEDY);
        }
        let mirror = block.bool("mirroringK8S", mirror);
        let key = "mirroringK8SPrefix";
        let prefix = block.string(key).unwrap_or_default();
        if !prefix.is_empty() && !is_namespace_name(&format!("{prefix}x")) {
            block.problem(key, prefix, "cannot begin the name of a Consul namespace", namespace::REMEDY);
        }
        ConsulNamespaces {
            destination: destination.to_owned(),
            mirroring_prefix: mirror.then(|| prefix.to_owned()),
            cross_namespace_policy: policy.map(str::to_owned),
        }
    });
    enabled.then_some(namespaces)
}

/// The auth method of the block `acls`; `None` where ACLs are off.
pub fn acl_auth_method(top: &mut SettingsReader<'_, '_>) -> Option<String> {
    top.block("acls", |block| {
        let enabled = block.bool("enabled", false);
        let method = acl_name(block, "authMethod", "is not the name of an auth method", 0);
        enabled.then(|| method.unwrap_or(AUTH_METHOD).to_owned())
    })
}

/// A name as Consul's ACLs have them, with at most so many slashes. It may become a word
/// of a command line, so that it must not look like a flag.
fn acl_name<'a>(
    block: &mut SettingsReader<'a, '_>,
    key: &'static str,
    why: &str,
    slashes: usize,
) -> Option<&'a str> {
    let name = block.name(key)?;
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'/');
    let written = name.bytes().filter(|byte| *byte == b'/').count();
    if name.len() > 128 || name.starts_with(['-', '/']) || !name.bytes().all(fits) || written > slashes {
        let remedy = match slashes {
            0 => "write letters, digits, '_' and '-', no '-' first, at most 128",
            _ => "write letters, digits, '_' and '-', at most one '/', no '-' first, at most 128",
        };
        block.problem(key, name, why, remedy);
    }
    Some(name)
}

/// How the connection to Consul is encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// One or several certificates as PEM. Empty: the authorities of the image.
    pub ca_cert: String,
    pub server_name: Option<String>,
}

/// The block `tls`; `None` where TLS is off. Beside the shared keys, `more` reads those of
/// one mode.
pub fn tls(
    top: &mut SettingsReader<'_, '_>,
    ca_required: bool,
    more: impl FnOnce(&mut SettingsReader<'_, '_>),
) -> Option<Tls> {
    const LONGEST_CA: usize = 65_536;
    top.block("tls", |block| {
        let enabled = block.bool("enabled", false);
        let key = "caCert";
        let remedy = "write the certificate itself as PEM, not the Secret that has it";
        let ca_cert = block.string_or(key, remedy).unwrap_or_default();
        let server_name = block.name("serverName");
        if let Some(name) = server_name {
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
            if name.len() > 253 || name.starts_with(['-', '.']) || !name.bytes().all(fits) {
                let remedy = "write the DNS name in the agents' certificates";
                block.problem("serverName", name, "is not a host name", remedy);
            }
        }
        if (enabled && ca_required) || !ca_cert.is_empty() {
            if let Some(flaw) = certificates::flaw(ca_cert) {
                let remedy = "write one or several PEM certificates, each from -----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----";
                block.problem_without_value(key, flaw, remedy);
            } else if ca_cert.len() > LONGEST_CA {
                let remedy = "leave out certificates that are not needed";
                block.problem_without_value(key, "is longer than 64 KiB", remedy);
            }
        }
        more(block);
        enabled.then(|| Tls { ca_cert: ca_cert.to_owned(), server_name: server_name.map(str::to_owned) })
    })
}
