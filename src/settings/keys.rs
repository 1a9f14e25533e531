//! Keys that only one mode has, and keys of the chart that are not settings of this policy.

use super::mode_name::ModeName;

/// The keys that only one mode has, with all keys below them.
const MODE_KEYS: &[(&str, ModeName)] = &[
    ("imageConsul", ModeName::Agent),
    ("imageEnvoy", ModeName::Agent),
    ("centralConfig", ModeName::Agent),
    ("lifecycleSidecar", ModeName::Agent),
    ("agent", ModeName::Agent),
    ("healthChecks", ModeName::Agent),
    ("syncPeriod", ModeName::Agent),
    ("imageK8S", ModeName::Dataplane),
    ("imageConsulDataplane", ModeName::Dataplane),
    ("servers", ModeName::Dataplane),
    ("consulAPITimeout", ModeName::Dataplane),
    ("logLevel", ModeName::Dataplane),
    ("logJSON", ModeName::Dataplane),
    ("transparentProxy", ModeName::Dataplane),
    ("cni", ModeName::Dataplane),
    ("dns", ModeName::Dataplane),
    ("metrics.defaultEnableMerging", ModeName::Dataplane),
    ("metrics.defaultMergedMetricsPort", ModeName::Dataplane),
    ("accessLogs", ModeName::Dataplane),
    ("adminPartitions", ModeName::Dataplane),
    ("dualStack", ModeName::Dataplane),
    ("dataplaneAsSidecarInitContainer", ModeName::Dataplane),
    ("sidecarProxy.lifecycle", ModeName::Dataplane),
    ("sidecarProxy.defaultStartupFailureSeconds", ModeName::Dataplane),
    ("sidecarProxy.defaultLivenessFailureSeconds", ModeName::Dataplane),
];

/// The only mode that has `key`.
pub fn only_mode(key: &str) -> Option<ModeName> {
    MODE_KEYS.iter().find(|(known, _)| *known == key).map(|(_, mode)| *mode)
}

/// What to do with keys of Consul's Helm chart (their paths inside `connectInject`): remove them,
/// or set them under another name or in another place.
type Remedies = &'static [(&'static [&'static str], &'static str)];

const CHART: Remedies = &[
    (
        &[
            "replicas",
            "image",
            "nodeSelector",
            "tolerations",
            "affinity",
            "priorityClassName",
            "resources",
            "certs",
            "caBundle",
            "cleanupController",
            "serviceAccount",
            "annotations",
            "extraLabels",
            "disruptionBudget",
            "podSecurityContext",
            "consulNode",
            "healthChecks.reconcilePeriod",
            "aclInjectToken",
            "argocd",
            "prepareDataplanesUpgrade",
        ],
        "remove it: it configures the deployment of Consul's own injector",
    ),
    (
        &[
            "tls.enableAutoEncrypt",
            "tls.httpsOnly",
            "tls.verify",
            "tls.caKey",
            "tls.serverAdditionalDNSSANs",
            "tls.serverAdditionalIPSANs",
        ],
        "remove it: it configures the deployment of Consul",
    ),
    (
        &["dns.clusterIP", "dns.type", "dns.annotations", "dns.additionalSpec", "dns.proxy"],
        "remove it: it configures Consul's own DNS Service",
    ),
    (&["failurePolicy"], "set spec.failurePolicy of the ClusterAdmissionPolicy instead"),
    (&["namespaceSelector"], "set spec.namespaceSelector of the ClusterAdmissionPolicy instead"),
    (
        &["dataplaneAsSidecarInitContainer.defaultEnabled"],
        "set nativeSidecars instead, which is true by default",
    ),
    (&["globalConfigACLToken"], "remove it: Consul's own controllers use it"),
    (&["overrideAuthMethodHost"], "remove it: it is part of the auth method in Consul"),
    (&["aclBindingRuleSelector"], "remove it: it is part of the auth method's binding rule in Consul"),
    (&["overrideAuthMethodName", "acls.authMethodName"], "set acls.authMethod instead"),
    (&["acls.manageSystemACLs", "bootstrapACLs", "manageSystemACLs"], "set acls.enabled instead"),
    (&["centralConfig.proxyDefaults"], "write it as a proxy-defaults entry with 'consul config write'"),
    (&["connectInject"], "write its keys at the top level of the settings"),
    (&["caCert"], "set tls.caCert instead"),
    (&["apiGateway", "initContainer.image"], NOT_SUPPORTED),
];

const CHART_IN_AGENT_MODE: Remedies = &[
    (&["client"], "remove it; if the agents' gRPC port is not 8502, set agent.grpcPort"),
    (&["consulImage"], "set imageConsul instead"),
    (&["envoyImage"], "set imageEnvoy instead"),
    (&["lifecycleSidecarContainer", "consulSidecarContainer"], "set lifecycleSidecar.resources instead"),
    (
        &["global"],
        "write global.image as imageConsul, global.imageEnvoy as imageEnvoy, global.tls as tls, \
         global.acls as acls, global.enableConsulNamespaces as enableConsulNamespaces",
    ),
    (
        &["externalServers", "sidecarProxy.startupFailureSeconds", "sidecarProxy.livenessFailureSeconds"],
        NOT_SUPPORTED,
    ),
];

const CHART_IN_DATAPLANE_MODE: Remedies = &[
    (
        &["externalServers"],
        "write hosts[0] as servers.address, httpsPort and grpcPort as servers.httpsPort and \
         servers.grpcPort, skipServerWatch as servers.skipServerWatch, tlsServerName as tls.serverName",
    ),
    (&["sidecarProxy.startupFailureSeconds"], "set sidecarProxy.defaultStartupFailureSeconds instead"),
    (&["sidecarProxy.livenessFailureSeconds"], "set sidecarProxy.defaultLivenessFailureSeconds instead"),
    (
        &["global"],
        "write global.imageK8S as imageK8S, global.imageConsulDataplane as imageConsulDataplane, \
         global.tls as tls, global.acls as acls, \
         global.enableConsulNamespaces as enableConsulNamespaces, \
         global.adminPartitions as adminPartitions",
    ),
    (
        &["client", "consulImage", "envoyImage", "lifecycleSidecarContainer", "consulSidecarContainer"],
        NOT_SUPPORTED,
    ),
];

const NOT_SUPPORTED: &str = "remove it: the policy does not support it in this mode";

/// What to do with a `key` of the chart.
pub fn of_chart(key: &str, mode: ModeName) -> Option<&'static str> {
    let of_mode = match mode {
        ModeName::Agent => CHART_IN_AGENT_MODE,
        ModeName::Dataplane => CHART_IN_DATAPLANE_MODE,
    };
    of_mode.iter().chain(CHART).find(|(keys, _)| keys.contains(&key)).map(|(_, remedy)| *remedy)
}
