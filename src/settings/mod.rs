//! What the administrator configures.
//!
//! The names are those of the `connectInject` block of Consul's Helm chart, so
//! that a values file can be copied. Everything is parsed here, once: what the
//! rest of the policy sees cannot be wrong.

mod chart;
mod image;
mod pem;
mod reader;
mod resource_name;
mod resources;

use std::borrow::Cow;

use json_text::Value;

use crate::consul::is_word;
use crate::consul::protocol::Protocol;
use crate::duration::Millis;
use crate::problem::{PROBLEMS_SHOWN, Problem};
use crate::sidecar::envoy_args::EnvoyArgs;
use reader::Block;
use resources::resources;
pub use resources::{Amount, Amounts, Resources};

/// What decides whether a pod is looked at, and the rest of the settings as they
/// were written: most requests are decided without it.
#[derive(Debug)]
pub struct Configuration<'a> {
    written: Option<Value<'a>>,
    pub enabled: bool,
    pub default_inject: bool,
    pub allow_namespaces: Vec<String>,
    pub deny_namespaces: Vec<String>,
}

/// What an injection needs, parsed and complete.
// The booleans are independent of each other, as they are written.
#[expect(clippy::struct_excessive_bools)]
#[derive(Debug)]
pub struct Settings {
    pub image_consul: String,
    pub image_envoy: String,
    /// Whether this Envoy can take the ACL token from a file.
    pub envoy_watches_token: bool,
    pub image_pull_policy: Option<&'static str>,
    pub central_config: bool,
    pub default_protocol: Option<Protocol>,
    pub envoy_extra_args: EnvoyArgs,
    pub envoy_resources: Resources,
    pub envoy_concurrency: u32,
    pub init_resources: Resources,
    pub lifecycle_resources: Resources,
    /// `None`: Consul namespaces are off.
    pub consul_namespaces: Option<ConsulNamespaces>,
    /// The auth method, where ACLs are on.
    pub acl_auth_method: Option<String>,
    pub tls: Option<Tls>,
    pub http_port: u16,
    pub grpc_port: u16,
    pub health_checks: bool,
    pub native_sidecars: bool,
    pub openshift: bool,
    pub sync_period: Millis,
}

/// How a Kubernetes namespace becomes a Consul namespace.
#[derive(Debug)]
pub struct ConsulNamespaces {
    pub destination: String,
    /// The prefix, where Kubernetes namespaces are mirrored.
    pub mirroring: Option<String>,
    pub cross_namespace_policy: Option<String>,
}

#[derive(Debug)]
pub struct Tls {
    pub ca_cert: String,
    pub server_name: Option<String>,
}

/// The defaults, in one place. `docs/settings.md` and the schema are tested
/// against them.
pub mod default {
    use std::borrow::Cow;

    use super::resources::{Amounts, Resources, amount};

    pub const IMAGE_CONSUL: &str = "hashicorp/consul:1.22.7";
    pub const IMAGE_ENVOY: &str = "envoyproxy/envoy:v1.35.9";
    pub const AUTH_METHOD: &str = "consul-k8s-auth-method";
    pub const DESTINATION_NAMESPACE: &str = "default";
    pub const HTTP_PORT: u32 = 8500;
    pub const HTTPS_PORT: u32 = 8501;
    pub const GRPC_PORT: u32 = 8502;
    pub const CONCURRENCY: u32 = 2;
    pub const SYNC_PERIOD: &str = "10s";

    pub const ENVOY: Resources = Resources {
        requests: Amounts(Cow::Borrowed(&[amount("cpu", "50m"), amount("memory", "80Mi")])),
        limits: Amounts(Cow::Borrowed(&[])),
    };
    // The Consul CLI needs 85 MB while it runs.
    pub const INIT: Resources = Resources {
        requests: Amounts(Cow::Borrowed(&[amount("cpu", "50m"), amount("memory", "100Mi")])),
        limits: Amounts(Cow::Borrowed(&[amount("memory", "250Mi")])),
    };
    pub const LIFECYCLE: Resources = Resources {
        requests: Amounts(Cow::Borrowed(&[amount("cpu", "10m"), amount("memory", "10Mi")])),
        limits: Amounts(Cow::Borrowed(&[amount("memory", "250Mi")])),
    };
}

impl<'a> Configuration<'a> {
    /// Reads what the decision begins with. A mistake there is told together with
    /// all others; one elsewhere when a pod is to be injected.
    pub fn read(written: Option<Value<'a>>) -> Result<Self, Vec<Problem>> {
        let written = written.filter(|written| !written.is_null());
        let mut problems = Vec::new();
        let configuration = Self::of(written, &mut Block::new(written, &mut problems));
        if problems.is_empty() {
            return Ok(configuration);
        }
        Err(Settings::parse(written).err().unwrap_or(problems))
    }

    fn of(written: Option<Value<'a>>, top: &mut Block<'_, '_>) -> Self {
        let [enabled, default, allow, deny] = Self::KEYS;
        Configuration {
            written,
            enabled: top.bool(enabled, true),
            default_inject: top.bool(default, false),
            allow_namespaces: namespaces(top, allow, true),
            deny_namespaces: namespaces(top, deny, false),
        }
    }

    const KEYS: [&'static str; 4] = ["enabled", "default", "k8sAllowNamespaces", "k8sDenyNamespaces"];

    pub fn settings(&self) -> Result<Settings, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut top = Block::new(self.written, &mut problems);
        top.know(Self::KEYS);
        let settings = Settings::rest(top);
        if problems.is_empty() { Ok(settings) } else { Err(problems) }
    }
}

impl Settings {
    /// Parses the settings, or says everything that is wrong with them.
    pub fn parse(written: Option<Value<'_>>) -> Result<Self, Vec<Problem>> {
        let written = written.filter(|written| !written.is_null());
        let mut problems = Vec::new();
        let mut top = Block::new(written, &mut problems);
        Configuration::of(written, &mut top);
        let settings = Self::rest(top);
        if problems.is_empty() { Ok(settings) } else { Err(problems) }
    }

    /// All that is not the [`Configuration`]'s.
    fn rest(mut top: Block<'_, '_>) -> Self {
        let image_consul = image(&mut top, "imageConsul", default::IMAGE_CONSUL);
        let image_envoy = image(&mut top, "imageEnvoy", default::IMAGE_ENVOY);
        let image_pull_policy = pull_policy(&mut top);
        let envoy_extra_args = envoy_extra_args(&mut top);
        let health_checks = health_checks(top.block("healthChecks"));
        let native_sidecars = top.bool("nativeSidecars", true);
        let openshift = top.bool("openshift", false);
        let sync_period = sync_period(&mut top);

        let mut block = top.block("centralConfig");
        let central_config = block.bool("enabled", true);
        let default_protocol = protocol(&mut block);
        block.end(chart::elsewhere);

        let mut block = top.block("sidecarProxy");
        let envoy_resources = resources(block.block("resources"), default::ENVOY);
        let envoy_concurrency = block.number("concurrency", 0, 1024, default::CONCURRENCY);
        block.end(chart::elsewhere);

        let mut block = top.block("initContainer");
        let init_resources = resources(block.block("resources"), default::INIT);
        block.end(chart::elsewhere);

        let mut block = top.block("lifecycleSidecar");
        let lifecycle_resources = resources(block.block("resources"), default::LIFECYCLE);
        block.end(chart::elsewhere);

        let namespaces_on = top.bool("enableConsulNamespaces", false);
        let consul_namespaces = consul_namespaces(&mut top);

        let mut block = top.block("acls");
        let acls = block.bool("enabled", false);
        let why = "is not the name of an auth method";
        let auth_method = acl_name(&mut block, "authMethod", why, 0).unwrap_or(default::AUTH_METHOD.into());
        block.end(chart::elsewhere);

        let mut block = top.block("tls");
        let tls = tls(&mut block);
        block.end(chart::elsewhere);

        let mut block = top.block("agent");
        let plain_port = port(&mut block, "httpPort", default::HTTP_PORT);
        let tls_port = port(&mut block, "httpsPort", default::HTTPS_PORT);
        let grpc_port = port(&mut block, "grpcPort", default::GRPC_PORT);
        block.end(chart::elsewhere);

        top.end(chart::elsewhere);
        Settings {
            image_consul,
            envoy_watches_token: image::Release::of_envoy(&image_envoy)
                >= Some(image::Release::CREDENTIAL_INJECTOR),
            image_envoy,
            image_pull_policy,
            central_config,
            default_protocol,
            envoy_extra_args,
            envoy_resources,
            envoy_concurrency,
            init_resources,
            lifecycle_resources,
            consul_namespaces: namespaces_on.then_some(consul_namespaces),
            acl_auth_method: acls.then(|| auth_method.into_owned()),
            http_port: if tls.is_some() { tls_port } else { plain_port },
            tls,
            grpc_port,
            health_checks,
            native_sidecars,
            openshift,
            sync_period,
        }
    }
}

fn health_checks(mut block: Block<'_, '_>) -> bool {
    let enabled = block.bool("enabled", true);
    block.end(chart::elsewhere);
    enabled
}

fn namespaces(block: &mut Block<'_, '_>, key: &'static str, allow: bool) -> Vec<String> {
    let Some(names) = block.texts(key) else {
        return if allow { vec!["*".to_owned()] } else { Vec::new() };
    };
    // Among the denied, * is nobody's name, as for the original.
    let wrong = names.iter().filter(|name| *name != "*" && !is_dns_label(name));
    // More are not shown in any case.
    for name in wrong.take(PROBLEMS_SHOWN.saturating_add(1)) {
        let remedy = match (allow, name.contains('*')) {
            (true, true) => "write whole names, or * alone for all namespaces",
            (true, false) => "write lower-case letters, digits and '-', at most 63, or * for all namespaces",
            (false, true) => "write whole names, or set enabled to false, which leaves all pods as they are",
            (false, false) => "write lower-case letters, digits and '-', at most 63",
        };
        block.text_problem(key, name, "is not the name of a Kubernetes namespace", remedy);
    }
    names
}

pub fn is_dns_label(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&name.len()) && name.bytes().all(fits) && !name.starts_with('-') && !name.ends_with('-')
}

fn image(block: &mut Block<'_, '_>, key: &'static str, default: &str) -> String {
    let Some(reference) = block.text(key) else { return default.to_owned() };
    if let Some(flaw) = image::flaw(&reference) {
        let remedy = format!("write an image reference such as {default}");
        block.text_problem(key, &reference, flaw, &remedy);
    }
    reference.into_owned()
}

fn pull_policy(block: &mut Block<'_, '_>) -> Option<&'static str> {
    let key = "imagePullPolicy";
    let remedy = "write Always, IfNotPresent or Never";
    let written = block.text_or(key, remedy)?;
    let known = ["Always", "IfNotPresent", "Never"].into_iter().find(|known| **known == *written);
    if known.is_none() && !written.is_empty() {
        block.text_problem(key, &written, "is not a pull policy", remedy);
    }
    known
}

fn envoy_extra_args(block: &mut Block<'_, '_>) -> EnvoyArgs {
    let key = "envoyExtraArgs";
    let remedy = "write the arguments in one string, such as \"--log-level debug\"";
    let Some(text) = block.text_or(key, remedy) else { return EnvoyArgs::default() };
    EnvoyArgs::parse(&text).unwrap_or_else(|flaws| {
        for flaw in flaws {
            block.text_problem(key, &text, &flaw.why, &flaw.remedy);
        }
        EnvoyArgs::default()
    })
}

fn sync_period(block: &mut Block<'_, '_>) -> Millis {
    let key = "syncPeriod";
    let text = block.text_or(key, SYNC_PERIOD_REMEDY).unwrap_or(default::SYNC_PERIOD.into());
    parse_sync_period(&text).unwrap_or_else(|why| {
        block.text_problem(key, &text, why, SYNC_PERIOD_REMEDY);
        Millis::SECOND
    })
}

pub const SYNC_PERIOD_REMEDY: &str = "write a duration from 1s to 1h, such as 10s";

/// A period for the heartbeat, of the setting or of the annotation.
pub fn parse_sync_period(text: &str) -> Result<Millis, &'static str> {
    match Millis::parse_go(text) {
        None => Err("is not a duration"),
        Some(period) if period < Millis::SECOND => Err("is shorter than a second"),
        Some(period) if period > Millis(3_600_000) => Err("is longer than an hour"),
        Some(period) => Ok(period),
    }
}

fn protocol(block: &mut Block<'_, '_>) -> Option<Protocol> {
    let key = "defaultProtocol";
    // The chart's default is the empty string.
    let text = block.text_or(key, Protocol::REMEDY).filter(|text| !text.is_empty())?;
    let protocol = text.parse().ok();
    if protocol.is_none() {
        block.text_problem(key, &text, "is not a protocol", Protocol::REMEDY);
    }
    protocol
}

fn consul_namespaces(top: &mut Block<'_, '_>) -> ConsulNamespaces {
    // Consul's own policies have a slash: `builtin/global-read-only`.
    let cross_namespace_policy =
        acl_name(top, "crossNamespaceACLPolicy", "is not the name of an ACL policy", 1);
    let mut block = top.block("consulNamespaces");
    let destination = block.text("consulDestinationNamespace").filter(|name| !name.is_empty());
    let destination = destination.unwrap_or(default::DESTINATION_NAMESPACE.into());
    if !is_consul_namespace(&destination) {
        let why = "is not the name of a Consul namespace";
        block.text_problem("consulDestinationNamespace", &destination, why, CONSUL_NAMESPACE_REMEDY);
    }
    let mirroring = block.bool("mirroringK8S", false);
    let prefix = block.text("mirroringK8SPrefix").unwrap_or_default();
    if !prefix.is_empty() && !is_consul_namespace(&format!("{prefix}x")) {
        let why = "cannot begin the name of a Consul namespace";
        block.text_problem("mirroringK8SPrefix", &prefix, why, CONSUL_NAMESPACE_REMEDY);
    }
    block.end(chart::elsewhere);
    ConsulNamespaces {
        destination: destination.into_owned(),
        mirroring: mirroring.then(|| prefix.into_owned()),
        cross_namespace_policy: cross_namespace_policy.map(Cow::into_owned),
    }
}

pub const CONSUL_NAMESPACE_REMEDY: &str =
    "write letters, digits and '-', beginning and ending with a letter or digit, at most 64";

pub fn is_consul_namespace(name: &str) -> bool {
    is_word(name, 64, b"-")
}

/// A name as Consul's ACLs have them, with at most so many slashes. It may be a word
/// of a command line, so that it is no flag.
fn acl_name<'a>(
    block: &mut Block<'a, '_>,
    key: &'static str,
    why: &str,
    slashes: usize,
) -> Option<Cow<'a, str>> {
    let name = block.text(key).filter(|name| !name.is_empty())?;
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'/');
    let begins = !name.starts_with(['-', '/']);
    let written = name.bytes().filter(|byte| *byte == b'/').count();
    if name.len() > 128 || !begins || !name.bytes().all(fits) || written > slashes {
        let remedy = match slashes {
            0 => "write letters, digits, '_' and '-', no '-' first, at most 128",
            _ => "write letters, digits, '_' and '-', at most one '/', no '-' first, at most 128",
        };
        block.text_problem(key, &name, why, remedy);
    }
    Some(name)
}

fn tls(block: &mut Block<'_, '_>) -> Option<Tls> {
    let enabled = block.bool("enabled", false);
    let ca_cert = block.text_or("caCert", "write the certificate itself as PEM, not the Secret that has it");
    let ca_cert = ca_cert.unwrap_or_default();
    let server_name = block.text("serverName").filter(|name| !name.is_empty());
    if let Some(name) = &server_name {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        if name.len() > 253 || name.starts_with(['-', '.']) || !name.bytes().all(fits) {
            block.text_problem(
                "serverName",
                name,
                "is not a host name",
                "write the DNS name in the agents' certificates",
            );
        }
    }
    let remedy = "write one or several PEM certificates, each from -----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----";
    if enabled || !ca_cert.is_empty() {
        if let Some(flaw) = pem::flaw(&ca_cert) {
            block.silent_problem("caCert", flaw, remedy);
        } else if ca_cert.len() > 65_536 {
            block.silent_problem(
                "caCert",
                "is longer than 64 KiB",
                "leave out certificates that are not needed",
            );
        }
    }
    enabled.then(|| Tls { ca_cert: ca_cert.into_owned(), server_name: server_name.map(Into::into) })
}

fn port(block: &mut Block<'_, '_>, key: &'static str, default: u32) -> u16 {
    u16::try_from(block.number(key, 1, 65_535, default)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use json_text::Document;

    fn parse(json: &str) -> Result<Settings, Vec<String>> {
        let document = Document::scan(json).unwrap();
        Settings::parse(Some(document.root()))
            .map_err(|problems| problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn nothing_is_required() {
        let configuration = Configuration::read(None).unwrap();
        assert!(configuration.enabled && !configuration.default_inject);
        assert_eq!(configuration.allow_namespaces, ["*"]);
        let settings = parse("{}").unwrap();
        assert!(settings.native_sidecars);
        assert_eq!(settings.sync_period, Millis(10_000));
        assert_eq!(settings.http_port, 8500);
        assert_eq!(settings.envoy_resources.requests.iter().count(), 2);
        assert!(Settings::parse(None).is_ok());
        assert!(parse("null").is_ok());
    }

    #[test]
    fn a_hundred_thousand_resources_are_not_looked_at() {
        let many: Vec<String> = (0..100_000).map(|index| format!("\"r{index}\":1")).collect();
        let settings = format!(r#"{{"initContainer":{{"resources":{{"limits":{{{}}}}}}}}}"#, many.join(","));
        let problems = parse(&settings).unwrap_err();
        assert!(problems.len() == 1 && problems[0].contains("lists 100000 resources"), "{problems:?}");
    }

    #[test]
    fn null_is_the_default_as_in_a_values_file() {
        let settings =
            parse(r#"{"default":null,"sidecarProxy":{"resources":{"requests":{"cpu":null}}}}"#).unwrap();
        assert!(settings.envoy_resources.requests.get("cpu").is_some());
    }

    #[test]
    fn all_problems_at_once_with_the_nearest_known_key() {
        let problems = parse(
            r#"{"defualt":true,"default":"yes","replicas":2,"agent":{"httpPort":"x","httpport":1},
                "k8sAllowNamespaces":"shop","imageConsul":"A b","syncPeriod":"100ms",
                "envoyExtraArgs":"\"","acls":[]}"#,
        )
        .unwrap_err();
        for expected in [
            "setting defualt: is not known; did you mean default?",
            "setting default: \"yes\" is not a boolean",
            "setting replicas: is not a setting of this policy",
            "setting agent.httpPort: \"x\" is not such a number",
            "did you mean agent.httpPort?",
            "setting k8sAllowNamespaces: \"shop\" is not a list of strings",
            "setting imageConsul: \"A b\" has a path",
            "setting syncPeriod: \"100ms\" is shorter than a second",
            "setting envoyExtraArgs:",
            "setting acls: [] is not an object",
        ] {
            assert!(problems.iter().any(|problem| problem.contains(expected)), "{expected}: {problems:#?}");
        }
        assert_eq!(problems.len(), 10, "{problems:#?}");
    }

    #[test]
    fn a_wrong_name_is_one_problem_that_says_what_it_is_not() {
        for (settings, told) in [
            (
                r#"{"consulNamespaces":{"consulDestinationNamespace":"a b"}}"#,
                "\"a b\" is not the name of a Consul namespace; write",
            ),
            (r#"{"acls":{"authMethod":"a b"}}"#, "\"a b\" is not the name of an auth method; write"),
            (r#"{"acls":{"authMethod":"-a"}}"#, "\"-a\" is not the name of an auth method; write"),
            (r#"{"acls":{"authMethod":"a/b"}}"#, "\"a/b\" is not the name of an auth method; write"),
            (r#"{"acls":{"authMethod":"a.b"}}"#, "\"a.b\" is not the name of an auth method; write"),
            (r#"{"crossNamespaceACLPolicy":"a b"}"#, "\"a b\" is not the name of an ACL policy; write"),
            (r#"{"crossNamespaceACLPolicy":"a/b/c"}"#, "\"a/b/c\" is not the name of an ACL policy; write"),
        ] {
            let problems = parse(settings).unwrap_err();
            assert!(problems.len() == 1 && problems[0].contains(told), "{told}: {problems:#?}");
        }
        for settings in [
            r#"{"crossNamespaceACLPolicy":"builtin/global-read-only"}"#,
            r#"{"crossNamespaceACLPolicy":""}"#,
            r#"{"acls":{"authMethod":"Mesh_k8s-1"}}"#,
        ] {
            assert!(parse(settings).is_ok(), "{settings}");
        }
    }

    #[test]
    fn resources_that_the_api_server_would_refuse_are_told() {
        let asked = |requests: &str, limits: &str| {
            parse(&format!(
                r#"{{"sidecarProxy":{{"resources":{{"requests":{{{requests}}},"limits":{{{limits}}}}}}}}}"#
            ))
        };
        for (requests, limits, told) in [
            (
                r#""memmory":"1Gi""#,
                "",
                "requests.memmory: is not the name of a resource; did you mean memory?",
            ),
            ("", r#""mem":null"#, "limits.mem: is not the name of a resource; did you mean memory?"),
            ("", r#""zzz":1"#, "limits.zzz: is not the name of a resource; write cpu, memory,"),
            (r#""example.com/x":1"#, "", "requests.example.com/x: \"1\" is not the limit, and"),
            (r#""example.com/x":1"#, r#""example.com/x":2"#, "\"1\" is not the limit, and"),
            (r#""hugepages-2Mi":"4Mi""#, r#""hugepages-2Mi":"2Mi""#, "\"4Mi\" is over the limit 2Mi"),
        ] {
            let problems = asked(requests, limits).unwrap_err();
            assert!(problems.len() == 1 && problems[0].contains(told), "{told}: {problems:#?}");
        }
        assert_eq!(asked(r#""memmory":"64MB""#, "").unwrap_err().len(), 2, "name and amount");
        let both = r#""example.com/x":1,"hugepages-1Gi":"1Gi""#;
        assert!(asked(both, both).is_ok() && asked("", both).is_ok());
        assert!(asked(r#""ephemeral-storage":"1Gi""#, "").is_ok());
    }

    #[test]
    fn a_default_request_gives_way_to_a_written_limit_and_two_written_amounts_do_not() {
        let settings = parse(r#"{"sidecarProxy":{"resources":{"limits":{"memory":"50Mi"}}}}"#).unwrap();
        assert_eq!(settings.envoy_resources.requests.get("memory").unwrap().quantity.as_str(), "50Mi");
        let problems = parse(r#"{"sidecarProxy":{"resources":{"limits":{"cpu":1},"requests":{"cpu":"2"}}}}"#)
            .unwrap_err();
        assert!(
            problems[0]
                .starts_with("setting sidecarProxy.resources.requests.cpu: \"2\" is over the limit 1;")
        );
    }
}
