//! Keys that only one mode has, and keys of the chart that are not settings of this policy.

use super::mode_name::ModeName;

/// The keys that only one mode has. It also has the keys below them.
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

/// What to do with a `key` of Consul's Helm chart (its path inside `connectInject`): remove it,
/// or set it under another name or in another place.
pub fn of_chart(key: &str) -> Option<&'static str> {
    const DEPLOYMENT: &str = "remove it: it configures the deployment of Consul's own injector";
    const NOT_SUPPORTED: &str = "remove it: this policy does not support it";
    Some(match key {
        "replicas"
        | "image"
        | "nodeSelector"
        | "tolerations"
        | "affinity"
        | "priorityClassName"
        | "resources"
        | "certs"
        | "caBundle"
        | "cleanupController"
        | "serviceAccount"
        | "annotations"
        | "extraLabels"
        | "disruptionBudget"
        | "podSecurityContext"
        | "consulNode"
        | "healthChecks.reconcilePeriod"
        | "aclInjectToken"
        | "argocd"
        | "prepareDataplanesUpgrade" => DEPLOYMENT,
        "failurePolicy" => "set spec.failurePolicy of the ClusterAdmissionPolicy instead",
        "dataplaneAsSidecarInitContainer.defaultEnabled" => {
            "set nativeSidecars instead, which is true by default"
        }
        "externalServers" => {
            "write hosts[0] as servers.address, httpsPort and grpcPort as servers.httpsPort and servers.grpcPort, \
                     skipServerWatch as servers.skipServerWatch, tlsServerName as tls.serverName"
        }
        "dns.clusterIP" | "dns.type" | "dns.annotations" | "dns.additionalSpec" | "dns.proxy" => {
            "remove it: it configures Consul's own DNS Service"
        }
        "dualStack.enabled" => "set dualStack: true or dualStack: false instead",
        "globalConfigACLToken" => "remove it: Consul's own controllers use it",
        "namespaceSelector" => "set spec.namespaceSelector of the ClusterAdmissionPolicy instead",
        "overrideAuthMethodHost" => "remove it: it is part of the auth method in Consul",
        "aclBindingRuleSelector" => "remove it: it is part of the auth method's binding rule in Consul",
        "overrideAuthMethodName" | "acls.authMethodName" => "set acls.authMethod instead",
        "centralConfig.proxyDefaults" => "write it as a proxy-defaults entry with 'consul config write'",
        "apiGateway" | "initContainer.image" => NOT_SUPPORTED,
        "sidecarProxy.startupFailureSeconds" => {
            "in dataplane mode, set sidecarProxy.defaultStartupFailureSeconds instead"
        }
        "sidecarProxy.livenessFailureSeconds" => {
            "in dataplane mode, set sidecarProxy.defaultLivenessFailureSeconds instead"
        }
        "lifecycleSidecarContainer" | "consulSidecarContainer" => "set lifecycleSidecar.resources instead",
        "tls.enableAutoEncrypt"
        | "tls.httpsOnly"
        | "tls.verify"
        | "tls.caKey"
        | "tls.serverAdditionalDNSSANs"
        | "tls.serverAdditionalIPSANs" => "remove it: it configures the deployment of Consul",
        "envoyImage" => "set imageEnvoy instead",
        "consulImage" => "set imageConsul instead",
        "global" => {
            "write global.image as imageConsul, global.imageEnvoy as imageEnvoy, global.tls as tls, \
                     global.acls as acls, global.enableConsulNamespaces as enableConsulNamespaces"
        }
        "client" => "remove it; if the agents' gRPC port is not 8502, set agent.grpcPort",
        "connectInject" => "write its keys at the top level of the settings",
        "acls.manageSystemACLs" | "bootstrapACLs" | "manageSystemACLs" => "set acls.enabled instead",
        "caCert" => "set tls.caCert instead",
        _ => return None,
    })
}
