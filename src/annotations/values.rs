//! What a pod asks for: every annotation is parsed once, into types.

use std::borrow::Cow;

use json_text::order;

use crate::consul::protocol::Protocol;
use crate::consul::registration::names::{META_NAMESPACE, META_POD_NAME};
use crate::consul::service_name::{ServiceName, ServiceNameError};
use crate::consul::upstream::{self, Destination, Upstream};
use crate::duration::Millis;
use crate::nearest::nearest;
use crate::pod::Spec;
use crate::problem::{Problem, Quoted, Warning};
use crate::quantity::Quantity;
use crate::settings::{Amount, Resources, SYNC_PERIOD_REMEDY, Settings, parse_sync_period};
use crate::sidecar::envoy_args::{EnvoyArgs, Flaw};

/// What every annotation of the injector begins with.
pub const PREFIX: &str = "consul.hashicorp.com/";

/// The annotations' names without [`PREFIX`].
pub mod name {
    pub const INJECT: &str = "connect-inject";
    pub const STATUS: &str = "connect-inject-status";
    pub const SERVICE: &str = "connect-service";
    pub const PORT: &str = "connect-service-port";
    pub const UPSTREAMS: &str = "connect-service-upstreams";
    pub const PROTOCOL: &str = "connect-service-protocol";
    pub const SYNC_PERIOD: &str = "connect-sync-period";
    pub const ENVOY_ARGS: &str = "envoy-extra-args";
    pub const TAGS: &str = "service-tags";
    pub const OLD_TAGS: &str = "connect-service-tags";
    pub const META: &str = "service-meta-";
    pub const CPU_LIMIT: &str = "sidecar-proxy-cpu-limit";
    pub const CPU_REQUEST: &str = "sidecar-proxy-cpu-request";
    pub const MEMORY_LIMIT: &str = "sidecar-proxy-memory-limit";
    pub const MEMORY_REQUEST: &str = "sidecar-proxy-memory-request";
    pub const NAMESPACE: &str = "consul-namespace";

    /// All that this policy reads or writes; [`META`] stands for a family.
    pub const KNOWN: &[&str] = &[
        INJECT,
        STATUS,
        SERVICE,
        PORT,
        UPSTREAMS,
        PROTOCOL,
        SYNC_PERIOD,
        ENVOY_ARGS,
        TAGS,
        OLD_TAGS,
        META,
        CPU_LIMIT,
        CPU_REQUEST,
        MEMORY_LIMIT,
        MEMORY_REQUEST,
        NAMESPACE,
    ];

    /// What only other modes of later injectors know.
    pub const OTHER_MODES: &[&str] = &[
        "transparent-proxy",
        "transparent-proxy-exclude-inbound-ports",
        "transparent-proxy-exclude-outbound-ports",
        "transparent-proxy-exclude-outbound-cidrs",
        "transparent-proxy-exclude-uids",
        "transparent-proxy-overwrite-probes",
        "enable-metrics",
        "enable-metrics-merging",
        "merged-metrics-port",
        "prometheus-scrape-port",
        "prometheus-scrape-path",
        "prometheus-ca-file",
        "prometheus-ca-path",
        "prometheus-cert-file",
        "prometheus-key-file",
        "service-metrics-port",
        "service-metrics-path",
        "connect-inject-mount-volume",
        "connect-inject-mount-volumes",
        "consul-sidecar-user-volume",
        "consul-sidecar-user-volume-mount",
        "consul-sidecar-cpu-limit",
        "consul-sidecar-cpu-request",
        "consul-sidecar-memory-limit",
        "consul-sidecar-memory-request",
        "consul-envoy-proxy-concurrency",
        "enable-sidecar-proxy-lifecycle",
        "enable-sidecar-proxy-lifecycle-shutdown-drain-listeners",
        "sidecar-proxy-lifecycle-shutdown-grace-period-seconds",
        "sidecar-proxy-lifecycle-startup-grace-period-seconds",
        "sidecar-proxy-lifecycle-graceful-port",
        "sidecar-proxy-lifecycle-graceful-shutdown-path",
        "sidecar-proxy-lifecycle-graceful-startup-path",
        "sidecar-proxy-startup-failure-seconds",
        "sidecar-proxy-liveness-failure-seconds",
        "use-proxy-health-check",
        "inject-init-first",
        "kubernetes-service",
        "proxy-config-map",
        "mesh-inject",
        "mesh-service-destinations",
        "connect-k8s-version",
    ];
}

/// Go's `strconv.ParseBool`.
pub fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

/// A pod's wishes, understood and complete with their defaults.
#[derive(Debug)]
pub struct Wanted {
    pub service: ServiceName,
    pub port: Option<ServicePort>,
    pub upstreams: Vec<Upstream>,
    pub protocol: Option<Protocol>,
    /// Over the setting of the same meaning.
    pub envoy_args: Option<EnvoyArgs>,
    pub tags: Vec<String>,
    pub meta: Vec<(String, MetaValue)>,
    pub envoy_resources: Resources,
    pub sync_period: Millis,
}

#[derive(Debug)]
pub struct ServicePort {
    pub number: u16,
    /// What the annotation gets where the pod has none: the port's name if it has one,
    /// else its number.
    pub written_back: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MetaValue {
    Literal(String),
    /// A variable of the init container.
    Variable(&'static str),
}

impl MetaValue {
    pub fn as_str(&self) -> &str {
        match self {
            MetaValue::Literal(text) => text,
            MetaValue::Variable(name) => name,
        }
    }
}

/// The injector's annotations of one pod, by their names without the prefix.
#[derive(Debug)]
pub struct Annotations<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Annotations<'a> {
    /// Sorted by name; of a repeated name the last one counts.
    pub fn new(mut written: Vec<(Cow<'a, str>, Cow<'a, str>)>) -> Self {
        let name = |at: usize| written.get(at).map(|(name, _)| name);
        let mut order = order(written.len(), &|left, right| name(left).cmp(&name(right)));
        order.dedup_by(|later, earlier| {
            let same = name(*later) == name(*earlier);
            if same {
                *earlier = *later;
            }
            same
        });
        let take = |at: usize| written.get_mut(at).map(std::mem::take);
        Annotations(order.into_iter().filter_map(take).collect())
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        let at = self.0.binary_search_by(|(known, _)| (**known).cmp(name)).ok()?;
        self.0.get(at).map(|(_, value)| &**value)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.iter().map(|(name, _)| name)
    }

    /// Whether the pod has an annotation that this policy knows. Other names under
    /// the prefix may be other programs'.
    pub fn ask(&self) -> bool {
        self.names().any(is_known)
    }
}

/// The full name, as problems and warnings call it.
pub fn full(name: &str) -> String {
    if name.len() <= 64 && name.bytes().all(|byte| byte.is_ascii_graphic()) {
        format!("annotation {PREFIX}{name}")
    } else {
        format!("annotation {}", Quoted(&format!("{PREFIX}{name}"), 100))
    }
}

/// Reads all annotations of a pod, collecting every problem and warning. Where there is
/// a problem the default stands, so that what goes on from there finds its own.
pub fn parse(
    annotations: &Annotations<'_>,
    spec: &Spec<'_>,
    settings: &Settings,
    problems: &mut Vec<Problem>,
    warnings: &mut Vec<Warning>,
) -> Option<Wanted> {
    unknown(annotations, warnings);
    if annotations.get(name::NAMESPACE).is_some() {
        warnings.push(injectors_own(name::NAMESPACE, ""));
    }
    let acls = settings.acl_auth_method.is_some();
    let service = service(annotations, spec, acls, problems);
    if let Some(service) = service.as_ref().filter(|_| acls) {
        identity(service, spec, problems);
    }
    let port = service_port(annotations, spec, problems);
    let own_port = port.as_ref().map(|port| port.number);
    let upstreams = upstreams(annotations, spec, own_port, settings, problems, warnings);
    let protocol = protocol(annotations, settings, problems, warnings);
    let envoy_args = envoy_args(annotations, problems, warnings);
    let tags = tags(annotations, warnings);
    let meta = meta(annotations, problems);
    let envoy_resources = resources(annotations, settings, problems);
    let sync_period = sync_period(annotations, settings, problems);
    Some(Wanted {
        service: service?,
        port,
        upstreams,
        protocol,
        envoy_args,
        tags,
        meta,
        envoy_resources,
        sync_period,
    })
}

pub fn is_known(name: &str) -> bool {
    name::KNOWN.contains(&name) || name.starts_with(name::META)
}

/// The known annotation that was probably meant, as a user would write it.
pub fn meant(name: &str) -> Option<&'static str> {
    let known = nearest(name, name::KNOWN)?;
    Some(if known == name::META { "service-meta-KEY" } else { known })
}

/// What to tell of an annotation that only other modes know.
pub fn of_another_mode(name: &str) -> Option<Warning> {
    name::OTHER_MODES.contains(&name).then(|| {
        Warning::new(&format!(
            "{} belongs to another mode of Consul's injector and has no effect here; remove it",
            full(name)
        ))
    })
}

/// What to tell of an annotation that the policy writes, where somebody else wrote it.
pub fn injectors_own(name: &str, place: &str) -> Warning {
    Warning::new(&format!("{}{place} has no effect; remove it, the injector writes it", full(name)))
}

fn misspelt(name: &str, meant: &str) -> Warning {
    Warning::new(&format!("{} is not known and has no effect; did you mean {meant}?", full(name)))
}

fn unknown(annotations: &Annotations<'_>, warnings: &mut Vec<Warning>) {
    let mut unknown = annotations.names().filter(|name| !is_known(name));
    for name in unknown.by_ref().take(UNKNOWN_SHOWN) {
        warnings.push(if let Some(warning) = of_another_mode(name) {
            warning
        } else if let Some(meant) = meant(name) {
            misspelt(name, meant)
        } else {
            Warning::new(&format!(
                "{} is not known to this injector and has no effect; remove it",
                full(name)
            ))
        });
    }
    let more = unknown.count();
    if more > 0 {
        warnings.push(Warning::new(&format!(
            "{more} more annotations of {PREFIX} are not known to this injector and have no effect; remove them"
        )));
    }
}

/// What to tell of a pod that has no annotation `connect-inject`, and others that
/// mean something only with it. Names that other programs may own are left alone.
pub fn without_wish(annotations: &Annotations<'_>) -> Vec<Warning> {
    let unknown = annotations.names().filter(|name| !is_known(name) && !name::OTHER_MODES.contains(name));
    let mut warnings: Vec<Warning> = unknown
        .take(UNKNOWN_SHOWN)
        .filter_map(|name| meant(name).map(|meant| misspelt(name, meant)))
        .collect();
    let written = |name: &str| [name::STATUS, name::NAMESPACE].contains(&name);
    let mut idle = annotations.names().filter(|name| is_known(name) && !written(name));
    if let Some(first) = idle.next() {
        let (others, them) = match idle.count() {
            0 => (String::new(), "it"),
            1 => (" and 1 more".to_owned(), "them"),
            count => (format!(" and {count} more"), "them"),
        };
        warnings.push(Warning::new(&format!(
            "{}{others}: without effect, since the pod is not injected; add {PREFIX}{}: \"true\", or remove {them}",
            full(first),
            name::INJECT,
        )));
    }
    warnings
}

/// Of so many unknown annotations each is told, of the rest the number.
const UNKNOWN_SHOWN: usize = 10;

fn service(
    annotations: &Annotations<'_>,
    spec: &Spec<'_>,
    acls: bool,
    problems: &mut Vec<Problem>,
) -> Option<ServiceName> {
    let written = annotations.get(name::SERVICE);
    // A pod without containers has that problem already.
    let name = written.or_else(|| spec.containers.first().map(|container| container.name.as_ref()))?;
    let flaw = |error: ServiceNameError| {
        let problem = match written {
            Some(_) if acls => {
                let account = Quoted(&spec.service_account, 100);
                let remedy =
                    format!("write the name of the pod's service account, {account}, since ACLs are on");
                Problem::new(full(name::SERVICE), error.to_string(), remedy)
            }
            Some(_) => Problem::new(full(name::SERVICE), error.to_string(), error.remedy()),
            None => {
                let remedy = format!("name the service with {}", full(name::SERVICE));
                let why = format!("would be the service's name, and {error}");
                Problem::new(format!("{}.containers[0].name", spec.path), why, remedy)
            }
        };
        problems.push(problem.value(name));
    };
    ServiceName::parse(name).map_err(flaw).ok()
}

/// With ACLs, a pod can only log in as its service account.
fn identity(service: &ServiceName, spec: &Spec<'_>, problems: &mut Vec<Problem>) {
    // The service account is held against the name as it can be.
    let identity = service.identity();
    let shown = Quoted(&identity, 100);
    if identity != service.as_str() {
        let why = "has upper case or a dot, which Consul's ACL identities cannot have";
        let remedy = format!("write lower-case letters, digits, '-' and '_', such as {shown}");
        problems.push(Problem::new(full(name::SERVICE), why, remedy).value(service.as_str()));
    }
    if identity != spec.service_account {
        let why = format!(
            "is not the service's name {shown}, and with ACLs on a pod can only log in as its own service"
        );
        let create = "create a ServiceAccount with the service's name and set serviceAccountName to it";
        let write = format!("write the service account's name as {}", full(name::SERVICE));
        // No ServiceAccount has an underscore, and no service with ACLs a dot.
        let remedy = match (identity.contains('_'), spec.service_account.contains('.')) {
            (false, false) => format!("{create}, or {write}"),
            (false, true) => create.to_owned(),
            (true, false) => write,
            (true, true) => {
                let name = "give both one name of lower-case letters, digits and '-'";
                format!("{name}: serviceAccountName and {}", full(name::SERVICE))
            }
        };
        let subject = format!("{}.serviceAccountName", spec.path);
        problems.push(Problem::new(subject, why, remedy).value(&spec.service_account));
    }
}

fn service_port(
    annotations: &Annotations<'_>,
    spec: &Spec<'_>,
    problems: &mut Vec<Problem>,
) -> Option<ServicePort> {
    match annotations.get(name::PORT) {
        // Explicitly none: the service only dials out.
        Some("") => None,
        Some(written) => match spec.ports.resolve(written.trim()) {
            Ok(number) => Some(ServicePort { number, written_back: None }),
            Err(error) => {
                problems.push(Problem::new(full(name::PORT), error.why, error.remedy).value(written));
                None
            }
        },
        None => {
            let port = spec.running().find_map(|container| container.ports.iter().find(|port| port.tcp))?;
            let name = port.name.as_deref().map_or_else(|| port.number.to_string(), str::to_owned);
            Some(ServicePort { number: port.number, written_back: Some(name) })
        }
    }
}

fn upstreams(
    annotations: &Annotations<'_>,
    spec: &Spec<'_>,
    own_port: Option<u16>,
    settings: &Settings,
    problems: &mut Vec<Problem>,
    warnings: &mut Vec<Warning>,
) -> Vec<Upstream> {
    let Some(value) = annotations.get(name::UPSTREAMS) else { return Vec::new() };
    let namespaces = settings.consul_namespaces.is_some();
    let upstreams = upstream::parse_list(|| full(name::UPSTREAMS), value, &spec.ports, namespaces, problems);
    for upstream in &upstreams {
        let (name, port) = (Quoted(upstream.name.as_str(), 60), upstream.port);
        let is_service = matches!(upstream.destination, Destination::Service { .. });
        if is_service && !namespaces && upstream.name.as_str().contains('.') {
            warnings.push(Warning::new(&format!(
                "upstream {name}: Consul namespaces are off, so the dot is part of the service's name; write the name without it if a namespace was meant"
            )));
        }
        if port < 1024 {
            warnings.push(Warning::new(&format!(
                "upstream {name}: local port {port} is privileged and Envoy does not run as root; use a port from 1024 on if it cannot be bound"
            )));
        }
        if own_port == Some(port) {
            warnings.push(Warning::new(&format!(
                "upstream {name}: local port {port} is the service's own, so Envoy would listen there in its place and send the service's traffic to the upstream; use another port"
            )));
        } else if spec.ports.has(port) {
            warnings.push(Warning::new(&format!(
                "upstream {name}: local port {port} is also a port of this pod's containers, and only one of them can listen on it; use another port"
            )));
        }
    }
    upstreams
}

fn protocol(
    annotations: &Annotations<'_>,
    settings: &Settings,
    problems: &mut Vec<Problem>,
    warnings: &mut Vec<Warning>,
) -> Option<Protocol> {
    let written = annotations.get(name::PROTOCOL);
    let protocol = match written {
        Some(written) => match written.parse() {
            Ok(protocol) => Some(protocol),
            Err(_) => {
                let problem = Problem::new(full(name::PROTOCOL), "is not a protocol", Protocol::REMEDY);
                problems.push(problem.value(written));
                None
            }
        },
        None => settings.default_protocol,
    };
    if written.is_some() && !settings.central_config {
        warnings.push(Warning::new(&format!(
            "{} has no effect, since the setting centralConfig.enabled is false; write a service-defaults entry in Consul",
            full(name::PROTOCOL)
        )));
    }
    protocol.filter(|_| settings.central_config)
}

fn envoy_args(
    annotations: &Annotations<'_>,
    problems: &mut Vec<Problem>,
    warnings: &mut Vec<Warning>,
) -> Option<EnvoyArgs> {
    let written = annotations.get(name::ENVOY_ARGS)?;
    match EnvoyArgs::parse(written) {
        // As in the original, a blank annotation replaces the setting by nothing.
        Ok(args) => {
            warnings.extend(args.strays().next().map(|stray| {
                let stray = Quoted(stray, 60);
                Warning::new(&format!(
                    "{}: {stray} is neither a flag of Envoy's nor the value of one, so that Envoy will not start; write a flag before it, or leave it out",
                    full(name::ENVOY_ARGS)
                ))
            }));
            Some(args)
        }
        Err(flaws) => {
            let subject = full(name::ENVOY_ARGS);
            let problem = |flaw: Flaw| Problem::new(subject.as_str(), flaw.why, flaw.remedy).value(written);
            problems.extend(flaws.into_iter().map(problem));
            None
        }
    }
}

fn tags(annotations: &Annotations<'_>, warnings: &mut Vec<Warning>) -> Vec<String> {
    let old = annotations.get(name::OLD_TAGS);
    if old.is_some() {
        warnings.push(Warning::new(&format!(
            "{} is deprecated; write {PREFIX}{} instead",
            full(name::OLD_TAGS),
            name::TAGS
        )));
    }
    let lists = annotations.get(name::TAGS).into_iter().chain(old);
    let tags = lists.flat_map(|list| list.split(',')).map(str::trim);
    tags.filter(|tag| !tag.is_empty()).map(str::to_owned).collect()
}

/// Consul's limits, in bytes and pairs.
const META_KEY_LIMIT: usize = 128;
const META_VALUE_LIMIT: usize = 512;
/// Two of Consul's 64 are the policy's own.
const META_PAIRS_LIMIT: usize = 62;

fn meta(annotations: &Annotations<'_>, problems: &mut Vec<Problem>) -> Vec<(String, MetaValue)> {
    let mut pairs = Vec::new();
    for (name, value) in annotations.iter() {
        let Some(key) = name.strip_prefix(name::META) else { continue };
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let of_key = if key.is_empty() {
            Some(("has no key", "write the metadata's key after the last '-'"))
        } else if !key.bytes().all(fits) {
            Some((
                "has a key with characters that Consul refuses",
                "write letters, digits, '-' and '_' after service-meta-",
            ))
        } else if key.len() > META_KEY_LIMIT {
            Some(("has a key of over 128 bytes, which Consul refuses", "write a shorter key"))
        } else if key.starts_with("consul-") {
            Some(("has a key beginning with consul-, which Consul keeps for itself", "write another key"))
        } else if key == META_POD_NAME || key == META_NAMESPACE {
            Some(("has a key that the injector sets itself", "remove it, or write another key"))
        } else {
            None
        };
        let of_value = (value.len() > META_VALUE_LIMIT)
            .then_some(("is over 512 bytes, which Consul refuses", "write a shorter value"));
        let flaws = of_key.into_iter().chain(of_value);
        problems.extend(flaws.map(|(why, remedy)| Problem::new(full(name), why, remedy).value(value)));
        pairs.push((key.to_owned(), meta_value(value)));
    }
    if pairs.len() > META_PAIRS_LIMIT {
        let subject = format!("annotations {PREFIX}{}*", name::META);
        let why = format!(
            "are {} pairs, and Consul takes {META_PAIRS_LIMIT} beside the injector's own two",
            pairs.len()
        );
        problems.push(Problem::new(subject, why, "remove some"));
    }
    pairs
}

fn meta_value(value: &str) -> MetaValue {
    match value {
        "$POD_NAME" => MetaValue::Variable("POD_NAME"),
        "$POD_NAMESPACE" => MetaValue::Variable("POD_NAMESPACE"),
        "$POD_IP" => MetaValue::Variable("POD_IP"),
        "$HOST_IP" => MetaValue::Variable("HOST_IP"),
        literal => MetaValue::Literal(literal.to_owned()),
    }
}

fn resources(annotations: &Annotations<'_>, settings: &Settings, problems: &mut Vec<Problem>) -> Resources {
    let mut resources = settings.envoy_resources.clone();
    let mut set = |name: &str, resource: &str, limit: bool| {
        let Some(written) = annotations.get(name) else { return };
        match written.parse::<Quantity>() {
            Ok(quantity) => {
                let amounts = if limit { &mut resources.limits } else { &mut resources.requests };
                amounts.set(resource, Amount { quantity, built_in: false });
            }
            Err(why) => problems.push(
                Problem::new(full(name), why.to_string(), "write a quantity such as 100m or 64Mi")
                    .value(written),
            ),
        }
    };
    set(name::CPU_LIMIT, "cpu", true);
    set(name::CPU_REQUEST, "cpu", false);
    set(name::MEMORY_LIMIT, "memory", true);
    set(name::MEMORY_REQUEST, "memory", false);
    let (resources, conflicts) = resources.reconciled();
    for (resource, request, limit) in conflicts {
        let names = ["request", "limit"].map(|kind| format!("sidecar-proxy-{resource}-{kind}"));
        let [request_name, limit_name] = names;
        // Told of the annotation that the pod has; the setting may be the other half.
        let whose =
            |name: &str| if annotations.get(name).is_some() { "" } else { "policy's setting for the " };
        problems.push(if annotations.get(&request_name).is_some() {
            let why = format!("is over the {}limit, {limit}", whose(&limit_name));
            let remedy = format!("write at most {limit}, or a higher {}", full(&limit_name));
            Problem::new(full(&request_name), why, remedy).value(&request)
        } else {
            let why = format!("is under the {}request, {request}", whose(&request_name));
            let remedy = format!("write at least {request}, or a lower {}", full(&request_name));
            Problem::new(full(&limit_name), why, remedy).value(&limit)
        });
    }
    resources
}

fn sync_period(annotations: &Annotations<'_>, settings: &Settings, problems: &mut Vec<Problem>) -> Millis {
    let Some(written) = annotations.get(name::SYNC_PERIOD) else { return settings.sync_period };
    parse_sync_period(written).unwrap_or_else(|why| {
        problems.push(Problem::new(full(name::SYNC_PERIOD), why, SYNC_PERIOD_REMEDY).value(written));
        settings.sync_period
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use json_text::Document;

    fn parsed(settings: &str, written: &[(&str, &str)]) -> (Option<Wanted>, Vec<String>, Vec<Warning>) {
        let settings = Document::scan(settings).unwrap();
        let settings = Settings::parse(Some(settings.root())).unwrap();
        let spec = r#"{"serviceAccountName":"web","containers":[{"name":"web","ports":[
            {"containerPort":53,"name":"dns","protocol":"UDP"},{"containerPort":8080,"name":"http"}]}]}"#;
        let spec = Document::scan(spec).unwrap();
        let spec = Spec::read(spec.root(), "spec").unwrap();
        let annotations = Annotations::new(
            written.iter().map(|(key, value)| (Cow::Borrowed(*key), Cow::Borrowed(*value))).collect(),
        );
        let (mut problems, mut warnings) = (Vec::new(), Vec::new());
        let wanted = parse(&annotations, &spec, &settings, &mut problems, &mut warnings);
        (wanted, problems.iter().map(ToString::to_string).collect(), warnings)
    }

    #[test]
    fn the_defaults_come_from_the_pod() {
        let wanted = parsed("{}", &[]).0.unwrap();
        assert_eq!(wanted.service.as_str(), "web");
        let port = wanted.port.unwrap();
        assert_eq!((port.number, port.written_back.as_deref()), (8080, Some("http")));
        assert!(parsed("{}", &[(name::PORT, "")]).0.unwrap().port.is_none());
    }

    #[test]
    fn every_problem_of_a_pod_is_reported() {
        let (_, problems, _) = parsed(
            r#"{"acls":{"enabled":true}}"#,
            &[
                (name::SERVICE, "Other"),
                (name::PORT, "htpp"),
                (name::UPSTREAMS, "db"),
                (name::PROTOCOL, "udp"),
                (name::ENVOY_ARGS, "'"),
                ("service-meta-consul-x", &"x".repeat(513)),
                ("service-meta-pod-name", "1"),
                (name::CPU_LIMIT, "x"),
                (name::MEMORY_REQUEST, "2Gi"),
                (name::MEMORY_LIMIT, "1Gi"),
                (name::SYNC_PERIOD, "1"),
            ],
        );
        assert_eq!(problems.len(), 12, "{problems:#?}");
    }

    #[test]
    fn tags_and_metadata() {
        let (wanted, _, warnings) = parsed(
            "{}",
            &[
                (name::TAGS, " a, b,,"),
                (name::OLD_TAGS, "c"),
                ("service-meta-a", "$POD_NAME"),
                ("service-meta-b", "$x"),
            ],
        );
        let wanted = wanted.unwrap();
        assert_eq!(wanted.tags, ["a", "b", "c"]);
        assert_eq!(wanted.meta[0].1, MetaValue::Variable("POD_NAME"));
        assert_eq!(wanted.meta[1].1, MetaValue::Literal("$x".into()));
        assert!(warnings[0].as_str().contains("deprecated"));
    }

    #[test]
    fn an_upstream_on_a_port_of_the_pods_is_told_whose_it_is() {
        for (port, own) in [("9090", "9090"), ("http", "8080"), (" 7070 ", "7070")] {
            let upstreams = format!("db:{own},cache:8080").replace("db:8080,", "");
            let (_, _, warnings) = parsed("{}", &[(name::PORT, port), (name::UPSTREAMS, &upstreams)]);
            let told = format!("local port {own} is the service's own, so Envoy would listen there");
            assert!(warnings[0].as_str().contains(&told), "{port}: {warnings:?}");
            let other =
                warnings.iter().skip(1).all(|warning| warning.as_str().contains("also a port of this"));
            assert!(other, "{port}: {warnings:?}");
        }
        // A service without a port has none of its own.
        let (_, _, warnings) = parsed("{}", &[(name::PORT, ""), (name::UPSTREAMS, "db:8080,cache:9090")]);
        assert!(warnings.len() == 1 && warnings[0].as_str().contains("also a port"), "{warnings:?}");
    }

    /// What to do about one problem is no second one.
    #[test]
    fn with_acls_the_service_account_is_held_against_the_name_as_it_can_be() {
        let told = |service: &str| parsed(r#"{"acls":{"enabled":true}}"#, &[(name::SERVICE, service)]).1;
        let (upper, account) =
            ("has upper case or a dot", "spec.serviceAccountName: \"web\" is not the service's");
        for (service, starts) in [
            ("web", &[][..]),
            ("Web", &[upper]),
            ("other", &[account]),
            ("Other", &[upper, account]),
            ("we.b", &[upper, account]),
            ("my_web", &[account]),
        ] {
            let told = told(service);
            assert_eq!(told.len(), starts.len(), "{told:#?}");
            assert!(told.iter().zip(starts).all(|(told, start)| told.contains(start)), "{told:#?}");
        }
        assert!(told("Web")[0].ends_with("such as \"web\""));
        // Neither of these can be a ServiceAccount's name.
        assert!(told("Other")[1].contains("is not the service's name \"other\""), "{:?}", told("Other"));
        assert!(!told("my_web")[0].contains("create a ServiceAccount"), "{:?}", told("my_web"));
    }

    #[test]
    fn what_the_policy_writes_itself_is_not_taken_from_the_pod() {
        let (wanted, _, warnings) = parsed("{}", &[(name::NAMESPACE, "shop")]);
        assert!(wanted.is_some());
        let told = "annotation consul.hashicorp.com/consul-namespace has no effect; remove it, the injector writes it";
        assert_eq!(warnings.iter().map(Warning::as_str).collect::<Vec<_>>(), [told]);
    }

    #[test]
    fn warnings_say_what_to_do() {
        let (_, _, warnings) = parsed(
            r#"{"centralConfig":{"enabled":false}}"#,
            &[
                ("connect-servce", "x"),
                ("transparent-proxy", "true"),
                ("quite-another-thing", "x"),
                (name::PROTOCOL, "http"),
                (name::UPSTREAMS, "a.b:80,c:8080"),
            ],
        );
        let text: Vec<&str> = warnings.iter().map(Warning::as_str).collect();
        for expected in [
            "did you mean connect-service?",
            "another mode",
            "annotation consul.hashicorp.com/quite-another-thing is not known to this injector",
            "centralConfig",
            "the dot",
            "privileged",
            "is the service's own",
        ] {
            assert!(text.iter().any(|warning| warning.contains(expected)), "{expected}: {text:#?}");
        }
        assert_eq!(text.len(), 7, "{text:#?}");
    }
}
