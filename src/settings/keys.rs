//! Keys that the settings do not have, or only those of one mode.

use super::mode_name::ModeName;

/// The keys that only one mode has, with those below them.
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

/// The mode that alone has `key`.
pub fn only_mode(key: &str) -> Option<ModeName> {
    MODE_KEYS.iter().find(|(known, _)| *known == key).map(|(_, mode)| *mode)
}

/// What becomes of the `key` of Consul's Helm chart (its path inside `connectInject`), as an
/// instruction: keys of the original injector's own deployment can go, others have another
/// name or another place here.
pub fn of_chart(key: &str) -> Option<&'static str> {
    const DEPLOYMENT: &str = "it belongs to the original injector's own deployment: remove it";
    const NOT_IN_THIS_MODE: &str = "it belongs to a mode that this policy does not have: remove it";
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
        "failurePolicy" => "write it in the ClusterAdmissionPolicy's spec.failurePolicy",
        "dataplaneAsSidecarInitContainer.defaultEnabled" => {
            "write nativeSidecars instead, which is true by default"
        }
        "externalServers" => {
            "write hosts[0] as servers.address, httpsPort and grpcPort as servers.httpsPort and servers.grpcPort, \
                     skipServerWatch as servers.skipServerWatch, tlsServerName as tls.serverName"
        }
        "dns.clusterIP" | "dns.type" | "dns.annotations" | "dns.additionalSpec" | "dns.proxy" => {
            "it belongs to Consul's own DNS Service: remove it"
        }
        "dualStack.enabled" => "write dualStack: true or false",
        "globalConfigACLToken" => "it is for entries that the original's controllers write: remove it",
        "namespaceSelector" => "write it in the ClusterAdmissionPolicy's spec.namespaceSelector",
        "overrideAuthMethodHost" => "it belongs to the auth method in Consul: remove it",
        "aclBindingRuleSelector" => "it belongs to the auth method's binding rule in Consul: remove it",
        "overrideAuthMethodName" | "acls.authMethodName" => "write acls.authMethod instead",
        "centralConfig.proxyDefaults" => "write it once with 'consul config write' as a proxy-defaults entry",
        "apiGateway" | "initContainer.image" => NOT_IN_THIS_MODE,
        "sidecarProxy.startupFailureSeconds" => {
            "write sidecarProxy.defaultStartupFailureSeconds in dataplane mode"
        }
        "sidecarProxy.livenessFailureSeconds" => {
            "write sidecarProxy.defaultLivenessFailureSeconds in dataplane mode"
        }
        "lifecycleSidecarContainer" | "consulSidecarContainer" => {
            "write its resources as lifecycleSidecar.resources"
        }
        "tls.enableAutoEncrypt"
        | "tls.httpsOnly"
        | "tls.verify"
        | "tls.caKey"
        | "tls.serverAdditionalDNSSANs"
        | "tls.serverAdditionalIPSANs" => "it belongs to Consul's own deployment: remove it",
        "envoyImage" => "write imageEnvoy instead",
        "consulImage" => "write imageConsul instead",
        "global" => {
            "write global.image as imageConsul, global.imageEnvoy as imageEnvoy, global.tls as tls, \
                     global.acls as acls, global.enableConsulNamespaces as enableConsulNamespaces"
        }
        "client" => "write client.grpc's port as agent.grpcPort if it is not 8502, and remove it",
        "connectInject" => "write its keys at the top level of the settings",
        "acls.manageSystemACLs" | "bootstrapACLs" | "manageSystemACLs" => "write acls.enabled instead",
        "caCert" => "write tls.caCert instead",
        _ => return None,
    })
}
