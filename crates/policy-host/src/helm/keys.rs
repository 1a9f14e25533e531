//! What the chart's keys are about.

/// What a key is about. A rule holds for everything below its key.
pub(super) enum Rule {
    /// The setting of the same meaning.
    Setting(&'static str),
    /// The injector that the policy replaces.
    Injector,
    /// Consul itself, which the chart goes on to deploy.
    Consul,
    /// A mode of later injectors, and what to do instead.
    OtherMode(&'static str),
    /// What to do if it is used.
    Remedy(&'static str),
    /// More than a table can say: `Translator::special`.
    Special,
}

use Rule::{Consul, Injector, OtherMode, Remedy, Setting, Special};

const UPSTREAMS: &str = "name what the pod calls in the annotation connect-service-upstreams";
const METRICS: &str = "this mode adds no listener for metrics: write envoy_prometheus_bind_addr into the config of Consul's \
                       proxy-defaults entry, which Envoy's bootstrap takes up";
const PROBES: &str =
    "nothing takes its place: Envoy has a startup probe of the policy's own, and no liveness probe";
const PULL_SECRETS: &str =
    "name the secrets in imagePullSecrets of the pods' service accounts: the images are pulled by the pods";

/// By key; a block is whatever has keys below it here.
const RULES: &[(&str, Rule)] = &[
    ("global.enabled", Consul),
    ("global.logLevel", Consul),
    ("global.logJSON", Consul),
    ("global.name", Special),
    ("global.domain", Consul),
    ("global.installK8sNetworkingCRDs", Consul),
    ("global.peering", OtherMode("reach a peer's services by a service-resolver entry in Consul")),
    ("global.adminPartitions", OtherMode("keep the agents in the partition `default`")),
    ("global.image", Special),
    ("global.imageK8S", Injector),
    ("global.imageK8s", Injector),
    ("global.imageEnvoy", Special),
    ("global.imageConsulDataplane", OtherMode("imageEnvoy names the proxy's image")),
    ("global.imagePullPolicy", Special),
    ("global.imagePullSecrets", Remedy(PULL_SECRETS)),
    ("global.datacenter", Consul),
    ("global.enablePodSecurityPolicies", Consul),
    ("global.secretsBackend", Consul),
    ("global.gossipEncryption", Consul),
    ("global.recursors", Consul),
    ("global.gossipKey", Consul),
    ("global.initContainer", Consul),
    ("global.bootstrapACLs", Setting("acls.enabled")),
    ("global.tls.enabled", Setting("tls.enabled")),
    ("global.tls.enableAutoEncrypt", Special),
    ("global.tls.httpsOnly", Consul),
    ("global.tls.verify", Consul),
    ("global.tls.serverAdditionalDNSSANs", Consul),
    ("global.tls.serverAdditionalIPSANs", Consul),
    ("global.tls.caCert", Special),
    ("global.tls.caKey", Consul),
    ("global.tls.logLevel", Consul),
    ("global.tls.annotations", Consul),
    ("global.enableConsulNamespaces", Setting("enableConsulNamespaces")),
    ("global.acls.manageSystemACLs", Setting("acls.enabled")),
    ("global.acls.bootstrapToken", Consul),
    ("global.acls.createReplicationToken", Consul),
    ("global.acls.replicationToken", Consul),
    ("global.acls.partitionToken", Consul),
    ("global.acls.logLevel", Consul),
    ("global.acls.resources", Consul),
    ("global.acls.tolerations", Consul),
    ("global.acls.nodeSelector", Consul),
    ("global.acls.annotations", Consul),
    ("global.argocd", Consul),
    ("global.enterpriseLicense", Consul),
    ("global.federation", Consul),
    ("global.metrics", OtherMode(METRICS)),
    ("global.lifecycleSidecarContainer.resources", Setting("lifecycleSidecar.resources")),
    ("global.consulSidecarContainer.resources", Setting("lifecycleSidecar.resources")),
    ("global.generateManifests", Consul),
    ("global.generateManifestsStorageClassName", Consul),
    ("global.generateManifestsStorage", Consul),
    ("global.crds", Consul),
    ("global.podSecurityContext", Consul),
    ("global.openshift.enabled", Setting("openshift")),
    ("global.openshift.upgradeTo419From418", Consul),
    ("global.openshift.isOcpGreaterthan4_18", Consul),
    ("global.openshift.crds", Consul),
    ("global.consulAPITimeout", Injector),
    ("global.cloud", Consul),
    ("global.extraLabels", Consul),
    ("global.trustedCAs", Consul),
    ("global.experiments", Consul),
    ("global.dualStack", Consul),
    ("client.enabled", Special),
    ("client.grpc", Special),
    ("client.extraConfig", Special),
    ("client.image", Consul),
    ("client.join", Consul),
    ("client.resources", Consul),
    ("client.extraVolumes", Consul),
    ("client.extraContainers", Consul),
    ("client.tolerations", Consul),
    ("client.nodeSelector", Consul),
    ("client.priorityClassName", Consul),
    ("client.annotations", Consul),
    ("client.extraLabels", Consul),
    ("client.extraEnvironmentVars", Consul),
    ("client.dataDirectoryHostPath", Consul),
    ("client.exposeGossipPorts", Consul),
    ("client.securityContext", Consul),
    ("client.containerSecurityContext", Consul),
    ("client.affinity", Consul),
    ("client.dnsPolicy", Consul),
    ("client.disableHostNodeID", Consul),
    ("client.hostNetwork", Consul),
    ("client.updateStrategy", Consul),
    ("client.snapshotAgent", Consul),
    ("client.nodeMeta", Consul),
    ("client.serviceAccount", Consul),
    ("client.logLevel", Consul),
    ("client.aclInit", Consul),
    ("client.livenessProbe", Consul),
    ("client.readinessProbe", Consul),
    ("connectInject.enabled", Special),
    ("connectInject.default", Setting("default")),
    ("connectInject.imageConsul", Setting("imageConsul")),
    ("connectInject.imageEnvoy", Setting("imageEnvoy")),
    ("connectInject.imagePullPolicy", Setting("imagePullPolicy")),
    ("connectInject.k8sAllowNamespaces", Special),
    ("connectInject.k8sDenyNamespaces", Setting("k8sDenyNamespaces")),
    ("connectInject.envoyExtraArgs", Setting("envoyExtraArgs")),
    ("connectInject.centralConfig.enabled", Setting("centralConfig.enabled")),
    ("connectInject.centralConfig.defaultProtocol", Setting("centralConfig.defaultProtocol")),
    (
        "connectInject.centralConfig.proxyDefaults",
        Remedy(
            "write it into Consul once, with `consul config write`, as the config of an entry of kind proxy-defaults named global",
        ),
    ),
    (
        "connectInject.consulNamespaces.consulDestinationNamespace",
        Setting("consulNamespaces.consulDestinationNamespace"),
    ),
    ("connectInject.consulNamespaces.mirroringK8S", Setting("consulNamespaces.mirroringK8S")),
    ("connectInject.consulNamespaces.mirroringK8SPrefix", Setting("consulNamespaces.mirroringK8SPrefix")),
    ("connectInject.crossNamespaceACLPolicy", Setting("crossNamespaceACLPolicy")),
    ("connectInject.healthChecks.enabled", Setting("healthChecks.enabled")),
    ("connectInject.healthChecks.reconcilePeriod", Injector),
    ("connectInject.sidecarProxy.concurrency", Setting("sidecarProxy.concurrency")),
    ("connectInject.sidecarProxy.resources", Setting("sidecarProxy.resources")),
    (
        "connectInject.sidecarProxy.lifecycle",
        OtherMode("nothing to do: Envoy serves for as long as the pod's own containers need to end"),
    ),
    ("connectInject.sidecarProxy.defaultStartupFailureSeconds", OtherMode(PROBES)),
    ("connectInject.sidecarProxy.defaultLivenessFailureSeconds", OtherMode(PROBES)),
    ("connectInject.initContainer.resources", Setting("initContainer.resources")),
    ("connectInject.overrideAuthMethodName", Setting("acls.authMethod")),
    (
        "connectInject.namespaceSelector",
        Remedy(
            "what it says of the policy's pods is spec.namespaceSelector of the ClusterAdmissionPolicy, as an object; what keeps the chart's injector away from them stays in the chart",
        ),
    ),
    (
        "connectInject.aclBindingRuleSelector",
        Remedy(
            "it is the selector of the auth method's binding rule in Consul: the one that exists stays; a new one is made with `consul acl binding-rule create`",
        ),
    ),
    ("connectInject.transparentProxy", OtherMode(UPSTREAMS)),
    ("connectInject.metrics", OtherMode(METRICS)),
    ("connectInject.cni", OtherMode(UPSTREAMS)),
    (
        "connectInject.apiGateway",
        OtherMode(
            "the chart's own injector runs the gateways: to keep them, leave it on, with a namespaceSelector that matches no namespace",
        ),
    ),
    (
        "connectInject.dataplaneAsSidecarInitContainer",
        OtherMode("nothing to do: nativeSidecars is the same thing, and is on"),
    ),
    ("connectInject.replicas", Injector),
    ("connectInject.image", Injector),
    ("connectInject.logLevel", Injector),
    ("connectInject.certs", Injector),
    ("connectInject.caBundle", Injector),
    ("connectInject.cleanupController", Injector),
    (
        "connectInject.overrideAuthMethodHost",
        Remedy("it is the host of the auth method in Consul: `consul acl auth-method update` changes it"),
    ),
    ("connectInject.nodeSelector", Injector),
    ("connectInject.tolerations", Injector),
    ("connectInject.affinity", Injector),
    ("connectInject.priorityClassName", Injector),
    ("connectInject.resources", Injector),
    ("connectInject.disruptionBudget", Injector),
    ("connectInject.consulNode", Injector),
    ("connectInject.extraLabels", Injector),
    ("connectInject.annotations", Injector),
    ("connectInject.serviceAccount", Injector),
    ("connectInject.aclInjectToken", Injector),
    (
        "connectInject.globalConfigACLToken",
        Remedy(
            "it is for entries that the original's controllers write, such as RateLimit: write those with `consul config write`",
        ),
    ),
    (
        "connectInject.failurePolicy",
        Remedy("write it as spec.failurePolicy of the ClusterAdmissionPolicy, whose default is Fail"),
    ),
    ("server", Consul),
    ("externalServers", Special),
    ("dns", Consul),
    ("ui", Consul),
    ("syncCatalog", Consul),
    ("controller", Consul),
    ("meshGateway", Consul),
    ("ingressGateways", Consul),
    ("terminatingGateways", Consul),
    ("apiGateway", Consul),
    ("webhookCertManager", Injector),
    ("prometheus", Consul),
    ("grafana", Consul),
    ("tests", Consul),
    ("test", Consul),
    ("common", Consul),
    ("rbac", Consul),
    ("telemetryCollector", Consul),
    ("fullnameOverride", Special),
    ("nameOverride", Consul),
];

/// A key of the last charts of 0.x alone, about their own upgrade.
const UPGRADE: &str = "connectInject.prepareDataplanesUpgrade";

/// The rule of exactly this key.
pub(super) fn rule(path: &str) -> Option<&'static Rule> {
    if path == UPGRADE {
        return Some(&Injector);
    }
    RULES.iter().find(|(key, _)| *key == path).map(|(_, rule)| rule)
}

/// The keys of the charts that [`translate`](super::translate) knows, each with all that is below it.
pub fn keys() -> impl Iterator<Item = &'static str> {
    RULES.iter().map(|(key, _)| *key)
}

/// The keys that the chart knows in a block; the top is the empty path.
pub(super) fn children(block: &str) -> impl Iterator<Item = &'static str> {
    RULES.iter().filter_map(move |(key, _)| {
        let rest = if block.is_empty() { key } else { key.strip_prefix(block)?.strip_prefix('.')? };
        rest.split('.').next()
    })
}

/// Whether the chart has this key, with a rule of its own, of a block above it, or of keys below it.
pub(super) fn is_known(path: &str) -> bool {
    let mut above = path;
    loop {
        if rule(above).is_some() {
            return true;
        }
        match above.rsplit_once('.') {
            Some((block, _)) => above = block,
            None => return children(path).next().is_some(),
        }
    }
}

/// The known key that is most like an unknown one, with the path of its block.
pub(super) fn nearest(path: &str) -> Option<String> {
    let (block, name) = path.rsplit_once('.').unwrap_or(("", path));
    let (_, known) = children(block)
        .map(|known| (strsim::damerau_levenshtein(&known.to_lowercase(), &name.to_lowercase()), known))
        .min()
        .filter(|(distance, known)| distance * 3 <= known.len().max(name.len()))?;
    Some(if block.is_empty() { known.to_owned() } else { format!("{block}.{known}") })
}
