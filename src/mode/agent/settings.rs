//! The settings of agent mode.

use super::default;
use crate::consul::duration::Millis;
use crate::consul::envoy_args::EnvoyArgs;
use crate::consul::namespace::ConsulNamespaces;
use crate::consul::protocol::Protocol;
use crate::mode::shared::scrape::Scrape;
use crate::problem::Flaw;
use crate::settings::blocks::{self, Tls};
use crate::settings::image::Release;
use crate::settings::reader::SettingsReader;
use crate::settings::resources::{Resources, resources};

/// The settings that an injection needs, with the defaults filled in.
#[derive(Debug)]
pub struct Settings {
    pub image_consul: String,
    pub image_pull_policy: Option<String>,
    pub envoy: Envoy,
    pub central_config: CentralConfig,
    pub init_resources: Resources,
    pub lifecycle_resources: Resources,
    /// `None`: Consul namespaces are off.
    pub consul_namespaces: Option<ConsulNamespaces>,
    /// `None`: ACLs are off.
    pub acl_auth_method: Option<String>,
    pub tls: Option<Tls>,
    pub agent: Agent,
    pub health_checks: bool,
    pub metrics: Scrape,
    pub native_sidecars: bool,
    pub openshift: bool,
    pub sync_period: Millis,
}

#[derive(Debug)]
pub struct Envoy {
    pub image: String,
    /// Whether this Envoy can read the ACL token from a file.
    pub reads_token_file: bool,
    pub extra_args: EnvoyArgs,
    pub resources: Resources,
    /// Zero: Envoy's own default.
    pub concurrency: u32,
}

/// Whether `service-defaults` entries are written, and with which protocol.
#[derive(Debug)]
pub struct CentralConfig {
    pub enabled: bool,
    pub default_protocol: Option<Protocol>,
}

/// The ports of the Consul agent.
#[derive(Debug)]
pub struct Agent {
    /// The HTTPS port where TLS is on.
    pub http_port: u16,
    pub grpc_port: u16,
}

impl Settings {
    pub fn read(top: &mut SettingsReader<'_, '_>) -> Self {
        let image_consul = blocks::image(top, "imageConsul", default::IMAGE_CONSUL);
        let image_envoy = blocks::image(top, "imageEnvoy", default::IMAGE_ENVOY);
        let image_pull_policy = blocks::pull_policy(top);
        let extra_args = blocks::envoy_extra_args(top);
        let health_checks = top.block("healthChecks", |block| block.bool("enabled", true));
        let metrics = top.block("metrics", Scrape::read);
        let native_sidecars = top.bool("nativeSidecars", true);
        let openshift = top.bool("openshift", false);
        let sync_period = sync_period(top);
        let central_config = top.block("centralConfig", central_config);
        let envoy = top.block("sidecarProxy", |block| Envoy {
            reads_token_file: Release::of_envoy(&image_envoy) >= Some(Release::CREDENTIAL_INJECTOR),
            image: image_envoy,
            extra_args,
            resources: resources(block, &default::ENVOY),
            concurrency: block.number("concurrency", 0, 1024, default::CONCURRENCY),
        });
        let init_resources = top.block("initContainer", |block| resources(block, &default::INIT));
        let lifecycle_resources =
            top.block("lifecycleSidecar", |block| resources(block, &default::LIFECYCLE));
        let consul_namespaces = blocks::consul_namespaces(top, false);
        let acl_auth_method = blocks::acl_auth_method(top);
        let tls = blocks::tls(top, true);
        let agent = top.block("agent", |block| {
            let http_port = block.port("httpPort", 1, default::HTTP_PORT);
            let https_port = block.port("httpsPort", 1, default::HTTPS_PORT);
            let grpc_port = block.port("grpcPort", 1, default::GRPC_PORT);
            Agent { http_port: if tls.is_some() { https_port } else { http_port }, grpc_port }
        });
        Settings {
            image_consul,
            image_pull_policy,
            envoy,
            central_config,
            init_resources,
            lifecycle_resources,
            consul_namespaces,
            acl_auth_method,
            tls,
            agent,
            health_checks,
            metrics,
            native_sidecars,
            openshift,
            sync_period,
        }
    }
}

fn central_config(block: &mut SettingsReader<'_, '_>) -> CentralConfig {
    let enabled = block.bool("enabled", true);
    let key = "defaultProtocol";
    // The chart's default is the empty string.
    let written = block.string_with_rule(key, Protocol::RULE).filter(|text| !text.is_empty());
    let default_protocol = written.and_then(|text| {
        let protocol = text.parse().ok();
        if protocol.is_none() {
            block.problem(key, text, Protocol::RULE);
        }
        protocol
    });
    CentralConfig { enabled, default_protocol }
}

const SYNC_PERIOD_RULE: &str = "must be a duration from 1s to 1h, such as 10s";

fn sync_period(top: &mut SettingsReader<'_, '_>) -> Millis {
    let key = "syncPeriod";
    let text = top.string_with_rule(key, SYNC_PERIOD_RULE).unwrap_or(default::SYNC_PERIOD);
    parse_sync_period(text).unwrap_or_else(|flaw| {
        top.problem(key, text, flaw);
        Millis::SECOND
    })
}

/// The heartbeat's period, of the setting or of the annotation.
pub fn parse_sync_period(text: &str) -> Result<Millis, Flaw> {
    const LONGEST: Millis = Millis(3_600_000);
    let period = Millis::parse_go(text).filter(|period| (Millis::SECOND..=LONGEST).contains(period));
    period.ok_or_else(|| SYNC_PERIOD_RULE.into())
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::problem::Findings;
    use crate::settings::reader;
    use serde_json::{Value, json};

    /// Settings without a problem.
    pub fn settings(settings: &Value) -> Settings {
        let mut findings = Findings::default();
        let settings = reader::read(settings, &mut findings, Settings::read);
        assert!(findings.problems.is_empty(), "{findings:?}");
        settings
    }

    fn problems(settings: &Value) -> Vec<String> {
        let mut findings = Findings::default();
        reader::read(settings, &mut findings, Settings::read);
        findings.problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn nothing_is_required() {
        let settings = settings(&json!({}));
        assert!(settings.native_sidecars && settings.tls.is_none());
        assert_eq!(settings.sync_period, Millis(10_000));
        assert_eq!((settings.agent.http_port, settings.agent.grpc_port), (8500, 8502));
        assert_eq!(settings.envoy.resources.requests.len(), 2);
        assert!(settings.envoy.reads_token_file);
    }

    #[test]
    fn the_defaults_are_quantities_and_fit_together() {
        for defaults in [default::ENVOY, default::INIT, default::LIFECYCLE] {
            let mut resources = defaults.resources();
            assert_eq!(resources.requests.len(), defaults.requests.len());
            assert_eq!(resources.limits.len(), defaults.limits.len());
            let requests = resources.requests.clone();
            assert!(resources.reconcile().is_empty());
            for (name, request) in requests {
                assert_eq!(resources.requests[&name].quantity, request.quantity);
            }
        }
    }

    #[test]
    fn all_problems_at_once_with_the_nearest_known_key() {
        let problems = problems(&json!({
            "agent": { "httpPort": "x", "httpport": 1 }, "imageConsul": "A b", "syncPeriod": "100ms",
            "envoyExtraArgs": "\"", "acls": [], "replicas": 2, "centralConfig": { "defaultProtocol": "udp" },
        }));
        for expected in [
            "setting replicas: is not a setting of this policy",
            "setting agent.httpPort: invalid value \"x\": must be an integer from 1 to 65535",
            "did you mean agent.httpPort?",
            "setting imageConsul: invalid value \"A b\": the path must",
            "setting syncPeriod: invalid value \"100ms\": must be a duration from 1s to 1h",
            "setting envoyExtraArgs:",
            "setting acls: invalid value []: must be an object",
            "setting centralConfig.defaultProtocol: invalid value \"udp\": must be tcp",
        ] {
            assert!(problems.iter().any(|problem| problem.contains(expected)), "{expected}: {problems:#?}");
        }
        assert_eq!(problems.len(), 8, "{problems:#?}");
    }

    #[test]
    fn the_heartbeats_period_is_a_second_to_an_hour() {
        assert_eq!(parse_sync_period("1m30s"), Ok(Millis(90_000)));
        for text in ["1", "999ms", "61m"] {
            assert!(parse_sync_period(text).is_err(), "{text}");
        }
    }
}
