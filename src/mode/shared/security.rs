//! The security context of the injected containers.

use k8s_openapi::api::core::v1::{Capabilities, SeccompProfile, SecurityContext};

/// The security context that the Pod Security Standard `restricted` requires, with a read-only root
/// file system. Without an ID, user, group and seccomp profile are left to `OpenShift`'s SCC; some
/// SCCs reject pods that set them.
pub fn restricted(id: Option<i64>) -> SecurityContext {
    let seccomp_profile =
        id.map(|_| SeccompProfile { localhost_profile: None, type_: "RuntimeDefault".to_owned() });
    SecurityContext {
        allow_privilege_escalation: Some(false),
        capabilities: Some(Capabilities { add: None, drop: Some(vec!["ALL".to_owned()]) }),
        privileged: Some(false),
        read_only_root_filesystem: Some(true),
        run_as_group: id,
        run_as_non_root: Some(true),
        run_as_user: id,
        seccomp_profile,
        ..Default::default()
    }
}
