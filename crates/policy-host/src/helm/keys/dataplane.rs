//! The chart's keys that mean something else in dataplane mode than in agent mode.
//! `*` stands for the other keys of a block.

use super::Rule::{self, Consul, Injector, OtherMode, Setting, Special};

const NO_ENVOY_IMAGE: &str = "Envoy is part of the image imageConsulDataplane";
const NO_CONSUL_IMAGE: &str = "no container uses Consul's own image in this mode";
const NO_LIFECYCLE_SIDECAR: &str = "there is no lifecycle sidecar in this mode";
const SERVICE_DEFAULTS: &str =
    "create a ServiceDefaults resource, which the chart's controllers write to Consul";
const CHECKS: &str = "nothing to do: the chart's controllers report the pods' readiness to Consul";

pub const RULES: &[(&str, Rule)] = &[
    ("global.image", Consul),
    ("global.imageK8S", Special),
    ("global.imageK8s", Special),
    ("global.imageEnvoy", OtherMode(NO_ENVOY_IMAGE)),
    ("global.imageConsulDataplane", Setting("imageConsulDataplane")),
    ("global.imagePullPolicy", Setting("imagePullPolicy")),
    ("global.logLevel", Special),
    ("global.logJSON", Setting("logJSON")),
    ("global.peering", Consul),
    ("global.adminPartitions.enabled", Setting("adminPartitions.enabled")),
    ("global.adminPartitions.name", Setting("adminPartitions.name")),
    ("global.adminPartitions.*", Consul),
    ("global.tls.enableAutoEncrypt", Consul),
    ("global.lifecycleSidecarContainer.resources", OtherMode(NO_LIFECYCLE_SIDECAR)),
    ("global.consulSidecarContainer.resources", OtherMode(NO_LIFECYCLE_SIDECAR)),
    ("global.consulAPITimeout", Setting("consulAPITimeout")),
    ("global.dualStack.enabled", Setting("dualStack")),
    ("client.enabled", Consul),
    ("client.grpc", Consul),
    ("client.extraConfig", Consul),
    ("connectInject.image", Setting("imageK8S")),
    ("connectInject.logLevel", Setting("logLevel")),
    ("connectInject.imageConsul", OtherMode(NO_CONSUL_IMAGE)),
    ("connectInject.imageEnvoy", OtherMode(NO_ENVOY_IMAGE)),
    ("connectInject.centralConfig.enabled", OtherMode(SERVICE_DEFAULTS)),
    ("connectInject.centralConfig.defaultProtocol", OtherMode(SERVICE_DEFAULTS)),
    ("connectInject.healthChecks.enabled", OtherMode(CHECKS)),
    ("connectInject.transparentProxy.defaultEnabled", Setting("transparentProxy.defaultEnabled")),
    (
        "connectInject.transparentProxy.defaultOverwriteProbes",
        Setting("transparentProxy.defaultOverwriteProbes"),
    ),
    ("connectInject.cni.enabled", Setting("cni.enabled")),
    ("connectInject.cni.*", Consul),
    ("connectInject.metrics.defaultEnableMerging", Setting("metrics.defaultEnableMerging")),
    ("connectInject.metrics.defaultMergedMetricsPort", Setting("metrics.defaultMergedMetricsPort")),
    ("connectInject.apiGateway", Injector),
    ("connectInject.sidecarProxy.lifecycle", Setting("sidecarProxy.lifecycle")),
    (
        "connectInject.sidecarProxy.defaultStartupFailureSeconds",
        Setting("sidecarProxy.defaultStartupFailureSeconds"),
    ),
    (
        "connectInject.sidecarProxy.defaultLivenessFailureSeconds",
        Setting("sidecarProxy.defaultLivenessFailureSeconds"),
    ),
    ("connectInject.dataplaneAsSidecarInitContainer.defaultEnabled", Special),
    (
        "connectInject.dataplaneAsSidecarInitContainer.initialProbeCheckDelaySeconds",
        Setting("dataplaneAsSidecarInitContainer.initialProbeCheckDelaySeconds"),
    ),
    (
        "connectInject.dataplaneAsSidecarInitContainer.probeCheckPeriodSeconds",
        Setting("dataplaneAsSidecarInitContainer.probeCheckPeriodSeconds"),
    ),
    (
        "connectInject.dataplaneAsSidecarInitContainer.probeCheckFailureThreshold",
        Setting("dataplaneAsSidecarInitContainer.probeCheckFailureThreshold"),
    ),
    (
        "connectInject.dataplaneAsSidecarInitContainer.probeCheckTimeoutSeconds",
        Setting("dataplaneAsSidecarInitContainer.probeCheckTimeoutSeconds"),
    ),
    ("connectInject.aclBindingRuleSelector", Injector),
    ("connectInject.overrideAuthMethodHost", Injector),
    ("connectInject.globalConfigACLToken", Injector),
    ("dns.enabled", Special),
    ("dns.enableRedirection", Special),
    ("dns.*", Consul),
    ("nameOverride", Special),
];
