//! The user IDs of the injected containers, by which transparent proxy recognizes their traffic.

use k8s_openapi::api::core::v1::{Capabilities, SecurityContext};

use super::settings::Settings;
use crate::mode::candidate::Candidate;
use crate::mode::shared::security::restricted;
use crate::problem::{Findings, Flaw};

/// Of Envoy and consul-dataplane.
pub const SIDECAR: i64 = 5995;
/// Of the init container if it does not redirect traffic.
pub const INIT: i64 = 5996;

/// The security context of the proxy. `OpenShift` chooses the user and group itself.
pub fn sidecar_context(settings: &Settings) -> SecurityContext {
    SecurityContext { privileged: None, ..restricted((!settings.openshift).then_some(SIDECAR)) }
}

/// The security context of the init container.
pub fn init_context(settings: &Settings, redirects: bool) -> SecurityContext {
    if redirects {
        // iptables needs NET_ADMIN and root.
        let add = Some(vec!["NET_ADMIN".to_owned()]);
        return SecurityContext {
            capabilities: Some(Capabilities { add, drop: None }),
            privileged: Some(false),
            run_as_group: Some(0),
            run_as_non_root: Some(false),
            run_as_user: Some(0),
            ..SecurityContext::default()
        };
    }
    restricted((!settings.openshift).then_some(INIT))
}

/// Reports containers that run as the proxy's user.
pub fn check(pod: &Candidate<'_>, settings: &Settings, findings: &mut Findings) {
    if settings.openshift {
        return;
    }
    let mut report = |subject: String| {
        let why = "is the user ID of consul-dataplane, whose traffic is not redirected";
        let flaw = Flaw::new(why, "use another user ID");
        findings.problem(flaw.at(subject).value(&SIDECAR.to_string()));
    };
    let spec_path = pod.spec_path;
    if pod.spec.security_context.as_ref().and_then(|context| context.run_as_user) == Some(SIDECAR) {
        report(format!("{spec_path}.securityContext.runAsUser"));
    }
    for (index, container) in pod.spec.containers.iter().enumerate() {
        let user = container.security_context.as_ref().and_then(|context| context.run_as_user);
        if user == Some(SIDECAR) && container.image != settings.image_dataplane {
            report(format!("{spec_path}.containers[{index}].securityContext.runAsUser"));
        }
    }
}
