//! Whether a pod is injected, skipped for a named reason, or rejected with all
//! of its problems.

use json_text::{Unreadable, Value};

use crate::annotations::{self, ServicePort, Wanted, full, name};
use crate::consul::namespace::Namespace;
use crate::consul::readiness;
use crate::consul::registration::Registration;
use crate::pod::{Head, Spec};
use crate::pod_resources;
use crate::problem::{Problem, Quoted, Warning};
use crate::reason::{self, Reason};
use crate::settings::{Configuration, Settings};
use crate::sidecar::{self, Environment, EnvoyPorts};

/// What becomes of a pod.
#[derive(Debug)]
pub enum Decision<'a> {
    Skip { reason: Reason, warnings: Vec<Warning> },
    Reject { problems: Vec<Problem>, warnings: Vec<Warning> },
    Inject(Box<Injection<'a>>),
}

/// All that is needed to inject a pod.
#[derive(Debug)]
pub struct Injection<'a> {
    pub settings: Settings,
    pub spec: Spec<'a>,
    pub wanted: Wanted,
    pub namespace: Option<Namespace>,
    pub ports: EnvoyPorts,
    pub registration: Registration<'a>,
    pub environment: Environment,
    pub warnings: Vec<Warning>,
}

impl Injection<'_> {
    /// The service's port, where nothing but the lifecycle sidecar sees whether anybody
    /// listens there: Consul does not check it.
    pub fn listener(&self) -> Option<&ServicePort> {
        self.wanted.port.as_ref().filter(|_| self.registration.readiness.is_none())
    }
}

/// Why there is no decision.
#[derive(Debug)]
pub enum Failure {
    Unreadable(Unreadable),
    Settings(Vec<Problem>),
}

impl From<Unreadable> for Failure {
    fn from(unreadable: Unreadable) -> Self {
        Failure::Unreadable(unreadable)
    }
}

/// Where the pod comes from.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// The Kubernetes namespace.
    pub namespace: &'a str,
    /// Where the pod stands in the request's object: empty, or `spec.template.`.
    pub path: &'a str,
}

/// Namespaces that are never injected, whatever the settings say.
const SYSTEM_NAMESPACES: &[&str] = &["kube-system", "kube-public"];

/// Decides about a pod or a workload's pod template.
pub fn decide<'a>(
    head: &Head<'a>,
    origin: Origin<'_>,
    configuration: &Configuration<'_>,
) -> Result<Decision<'a>, Failure> {
    let annotations = head.injector_annotations(origin.path)?;
    let asked = annotations.get(name::INJECT).map(|written| (written, annotations::parse_bool(written)));
    let wants = matches!(asked, Some((_, Some(true))));

    let reason = if SYSTEM_NAMESPACES.contains(&origin.namespace) {
        Some(reason::SYSTEM_NAMESPACE)
    } else if configuration.deny_namespaces.iter().any(|denied| denied == origin.namespace) {
        Some(reason::NAMESPACE_DENIED)
    } else if !configuration
        .allow_namespaces
        .iter()
        .any(|allowed| allowed == "*" || allowed == origin.namespace)
    {
        Some(reason::NAMESPACE_NOT_ALLOWED)
    } else {
        None
    };
    if let Some(reason) = reason {
        let warnings = if wants { vec![excluded(origin.namespace, reason)] } else { Vec::new() };
        return Ok(Decision::Skip { reason, warnings });
    }
    let skip = |reason| Ok(Decision::Skip { reason, warnings: Vec::new() });
    if annotations.get(name::STATUS).is_some_and(|status| !status.is_empty()) {
        let warnings = if wants && !has_sidecars(head) { vec![copied_status()] } else { Vec::new() };
        return Ok(Decision::Skip { reason: reason::ALREADY_INJECTED, warnings });
    }
    if head.annotations.get("kubernetes.io/config.mirror").is_some() {
        return skip(reason::MIRROR_POD);
    }
    match asked {
        Some((_, Some(false))) => return skip(reason::OPTED_OUT),
        None if !configuration.default_inject => {
            let warnings = annotations::without_wish(&annotations);
            return Ok(Decision::Skip { reason: reason::NOT_REQUESTED, warnings });
        }
        _ => (),
    }

    let settings = configuration.settings().map_err(Failure::Settings)?;
    let mut problems = Vec::new();
    let mut warnings = Vec::new();
    if let Some((written, None)) = asked {
        let remedy = "write \"true\" or \"false\", in quotes";
        problems.push(Problem::new(full(name::INJECT), "is not a boolean", remedy).value(written));
    }
    let spec = match head.members.get("spec") {
        Some(raw) => Spec::read(raw, &format!("{}spec", origin.path))?,
        None => {
            let path = format!("{}spec", origin.path);
            return Err(Unreadable { path, why: "a pod needs a specification".into() }.into());
        }
    };
    impossible(&spec, &mut problems);
    let wanted = annotations::parse(&annotations, &spec, &settings, &mut problems, &mut warnings);
    let envoy = wanted.as_ref().map_or(&settings.envoy_resources, |wanted| &wanted.envoy_resources);
    pod_resources::too_small(&spec, &settings, envoy, &mut problems);
    let namespace = settings.consul_namespaces.as_ref();
    let namespace = namespace.map(|namespaces| Namespace::of(namespaces, origin.namespace)).transpose();
    let namespace = namespace.unwrap_or_else(|problem| {
        problems.push(problem);
        None
    });
    let registration = wanted.as_ref().map(|wanted| {
        problems.extend(sidecar::too_many_variables(wanted, &spec));
        let ports = EnvoyPorts::choose(wanted, &spec);
        let readiness = readiness::of_service(wanted, &spec, &settings);
        let registration = Registration::new(wanted, ports.public, readiness);
        problems.extend(registration.too_large(wanted, namespace.as_ref()));
        (ports, registration)
    });
    match (wanted, registration) {
        (Some(wanted), Some((ports, registration))) if problems.is_empty() => {
            let (environment, kept) = Environment::of(&wanted.upstreams, &spec)?;
            warnings.extend(kept);
            warnings.extend(sidecar::unfinished_job(&spec, head, &settings));
            Ok(Decision::Inject(Box::new(Injection {
                settings,
                spec,
                wanted,
                namespace,
                ports,
                registration,
                environment,
                warnings,
            })))
        }
        // What asks for nothing is not broken by the setting `default`.
        _ if !annotations.ask() => {
            let first = problems.first().into_iter();
            let told = first.map(|first| first.warning("not injected with Consul Connect by default"));
            let warnings = told.chain(annotations::without_wish(&annotations)).collect();
            Ok(Decision::Skip { reason: reason::NOT_INJECTABLE, warnings })
        }
        _ => Ok(Decision::Reject { problems, warnings }),
    }
}

fn excluded(namespace: &str, reason: Reason) -> Warning {
    let namespace = Quoted(namespace, 63);
    Warning::new(&match reason {
        reason::SYSTEM_NAMESPACE => {
            format!("not injected: the namespace {namespace} never is; move the pod to another namespace")
        }
        reason::NAMESPACE_DENIED => {
            format!(
                "not injected: the policy's setting k8sDenyNamespaces holds the namespace {namespace}; ask its administrator to take it out"
            )
        }
        _ => format!(
            "not injected: the policy's setting k8sAllowNamespaces does not hold the namespace {namespace}; ask its administrator to add it"
        ),
    })
}

/// Whether a container or anything else of the pod has an injected container's name.
fn has_sidecars(head: &Head<'_>) -> bool {
    let spec = head.members.get("spec").map_or("", Value::text);
    sidecar::CONTAINERS.iter().any(|name| spec.contains(name))
}

/// The status of a pod that was injected, on one that was not.
fn copied_status() -> Warning {
    Warning::new(&format!(
        "{} keeps the pod out of the mesh, since none of its containers is an injected one; remove it, the injector writes it",
        full(name::STATUS)
    ))
}

/// What no annotation can mend.
fn impossible(spec: &Spec<'_>, problems: &mut Vec<Problem>) {
    let opt_out = || format!("set {} to \"false\"", full(name::INJECT));
    if spec.containers.is_empty() {
        let why = "is empty, and a pod needs at least one container";
        problems.push(Problem::new(format!("{}.containers", spec.path), why, "write one"));
    }
    if spec.host_network {
        let why = "is true, and Envoy needs a network of the pod's own";
        let remedy = format!("remove it, or {}", opt_out());
        problems.push(Problem::new(format!("{}.hostNetwork", spec.path), why, remedy));
    }
    if let Some(place) = spec.windows {
        let why = "is windows, and the sidecars are Linux programs";
        problems.push(Problem::new(format!("{}.{place}", spec.path), why, opt_out()));
    }
    for (list, containers) in [("containers", &spec.containers), ("initContainers", &spec.init_containers)] {
        let names = containers.iter().map(|container| container.name.as_ref()).enumerate();
        for (index, taken) in names.filter(|(_, name)| sidecar::CONTAINERS.contains(name)) {
            let remedy = format!(
                "name the container otherwise, or set {} to \"injected\" if the pod is injected already",
                full(name::STATUS)
            );
            let subject = format!("{}.{list}[{index}].name", spec.path);
            problems.push(Problem::new(subject, "is that of an injected container", remedy).value(taken));
        }
    }
    let volumes = spec.volume_names.iter().enumerate();
    for (index, taken) in volumes.filter(|(_, name)| sidecar::VOLUMES.contains(&name.as_ref())) {
        let subject = format!("{}.volumes[{index}].name", spec.path);
        let problem = Problem::new(subject, "is that of an injected volume", "name the volume otherwise");
        problems.push(problem.value(taken));
    }
}
