//! Settings that both modes have.

use super::reader::SettingsReader;
use super::{certificates, image};
use crate::consul::envoy_args::EnvoyArgs;
use crate::consul::namespace::{ConsulNamespaces, NAME_RULE, is_namespace_name};
use crate::problem::Flaw;

pub const AUTH_METHOD: &str = "consul-k8s-auth-method";
pub const DESTINATION_NAMESPACE: &str = "default";

pub fn image(block: &mut SettingsReader<'_, '_>, key: &'static str, default: &str) -> String {
    let Some(reference) = block.string(key) else { return default.to_owned() };
    if let Some(flaw) = image::flaw(reference) {
        let remedy = format!("write an image reference such as {default}");
        block.problem(key, reference, Flaw::new(flaw, remedy));
    }
    reference.to_owned()
}

/// The setting `imagePullPolicy`.
pub fn pull_policy(top: &mut SettingsReader<'_, '_>) -> Option<String> {
    let key = "imagePullPolicy";
    let rule = "must be Always, IfNotPresent or Never";
    let written = top.string_with_rule(key, rule).filter(|written| !written.is_empty())?;
    if !["Always", "IfNotPresent", "Never"].contains(&written) {
        top.problem(key, written, rule);
    }
    Some(written.to_owned())
}

/// The setting `envoyExtraArgs`.
pub fn envoy_extra_args(top: &mut SettingsReader<'_, '_>) -> EnvoyArgs {
    let key = "envoyExtraArgs";
    let rule = "must be all arguments in one string, such as \"--log-level debug\"";
    let Some(text) = top.string_with_rule(key, rule) else { return EnvoyArgs::default() };
    EnvoyArgs::parse(text).unwrap_or_else(|flaws| {
        for flaw in flaws {
            top.problem(key, text, flaw);
        }
        EnvoyArgs::default()
    })
}

/// The settings `enableConsulNamespaces`, `consulNamespaces` and `crossNamespaceACLPolicy`;
/// `None` if Consul namespaces are off.
pub fn consul_namespaces(top: &mut SettingsReader<'_, '_>, mirror: bool) -> Option<ConsulNamespaces> {
    let enabled = top.bool("enableConsulNamespaces", false);
    // Consul's own policies have a slash: `builtin/global-read-only`.
    let policy = acl_name(top, "crossNamespaceACLPolicy", 1);
    let namespaces = top.block("consulNamespaces", |block| {
        let key = "consulDestinationNamespace";
        let destination = block.non_empty(key).unwrap_or(DESTINATION_NAMESPACE);
        if !is_namespace_name(destination) {
            block.problem(key, destination, NAME_RULE);
        }
        let mirror = block.bool("mirroringK8S", mirror);
        let key = "mirroringK8SPrefix";
        let prefix = block.string(key).unwrap_or_default();
        if !prefix.is_empty() && !is_namespace_name(&format!("{prefix}x")) {
            let rule = "must consist of letters, digits and '-', must start with a letter or digit, and must be less than 64 characters";
            block.problem(key, prefix, rule);
        }
        ConsulNamespaces {
            destination: destination.to_owned(),
            mirroring_prefix: mirror.then(|| prefix.to_owned()),
            cross_namespace_policy: policy.map(str::to_owned),
        }
    });
    enabled.then_some(namespaces)
}

/// The auth method of the block `acls`; `None` if ACLs are off.
pub fn acl_auth_method(top: &mut SettingsReader<'_, '_>) -> Option<String> {
    top.block("acls", |block| {
        let enabled = block.bool("enabled", false);
        let method = acl_name(block, "authMethod", 0);
        enabled.then(|| method.unwrap_or(AUTH_METHOD).to_owned())
    })
}

/// The name of an ACL object, with at most so many slashes. It is used in command lines, so it
/// must not look like a flag.
fn acl_name<'a>(block: &mut SettingsReader<'a, '_>, key: &'static str, slashes: usize) -> Option<&'a str> {
    let name = block.non_empty(key)?;
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'/');
    let written = name.bytes().filter(|byte| *byte == b'/').count();
    if name.len() > 128 || name.starts_with(['-', '/']) || !name.bytes().all(fits) || written > slashes {
        let characters = match slashes {
            0 => "letters, digits, '_' and '-'",
            _ => "letters, digits, '_', '-' and at most one '/'",
        };
        let rule = format!(
            "must consist of {characters}, must not start with '-' or '/', and must be no more than 128 characters"
        );
        block.problem(key, name, rule);
    }
    Some(name)
}

/// TLS for the connection to Consul.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// One or more PEM certificates. Empty: the certificate authorities of the image.
    pub ca_cert: String,
    pub server_name: Option<String>,
}

/// The block `tls`; `None` if TLS is off.
pub fn tls(top: &mut SettingsReader<'_, '_>, ca_required: bool) -> Option<Tls> {
    const LONGEST_CA: usize = 65_536;
    top.block("tls", |block| {
        let enabled = block.bool("enabled", false);
        let key = "caCert";
        let rule = "must be the PEM certificate itself, not the Secret that contains it";
        let ca_cert = block.string_with_rule(key, rule).unwrap_or_default();
        let server_name = block.non_empty("serverName");
        if let Some(name) = server_name {
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
            if name.len() > 253 || name.starts_with(['-', '.']) || !name.bytes().all(fits) {
                block.problem("serverName", name, "must be a host name, as in the certificates of Consul");
            }
        }
        if (enabled && ca_required) || !ca_cert.is_empty() {
            if let Some(flaw) = certificates::flaw(ca_cert) {
                let remedy = "write one or more PEM certificates, each from -----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----";
                block.problem_without_value(key, Flaw::new(flaw, remedy));
            } else if ca_cert.len() > LONGEST_CA {
                let remedy = "remove certificates that are not needed";
                block.problem_without_value(key, Flaw::new("must be no more than 64 KiB", remedy));
            }
        }
        enabled.then(|| Tls { ca_cert: ca_cert.to_owned(), server_name: server_name.map(str::to_owned) })
    })
}
