//! Why a request ends as it does: every outcome has a name and one sentence.

/// The audit annotation that carries the reason. It is a bare key: the API server puts the
/// webhook's name and a slash before it, and drops a key that has a slash of its own.
pub const AUDIT_ANNOTATION: &str = "connect-inject-reason";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    Unreadable,
    InvalidSettings,
    Disabled,
    NotAPodCreation,
    WorkloadAccepted,
    WorkloadRejected,
    SystemNamespace,
    NamespaceDenied,
    NamespaceNotAllowed,
    AlreadyInjected,
    MirrorPod,
    OptedOut,
    NotRequested,
    NotInjectable,
    Rejected,
    Injected,
}

impl Reason {
    /// Every reason, in the order of the decision.
    pub const ALL: [Reason; 16] = [
        Reason::Unreadable,
        Reason::InvalidSettings,
        Reason::Disabled,
        Reason::NotAPodCreation,
        Reason::WorkloadAccepted,
        Reason::WorkloadRejected,
        Reason::SystemNamespace,
        Reason::NamespaceDenied,
        Reason::NamespaceNotAllowed,
        Reason::AlreadyInjected,
        Reason::MirrorPod,
        Reason::OptedOut,
        Reason::NotRequested,
        Reason::NotInjectable,
        Reason::Rejected,
        Reason::Injected,
    ];

    pub fn name(self) -> &'static str {
        self.entry().0
    }

    pub fn sentence(self) -> &'static str {
        self.entry().1
    }

    /// What goes out as the audit annotation.
    pub fn audit_value(self) -> String {
        let (name, sentence) = self.entry();
        format!("{name}: {sentence}")
    }

    /// The name, and a sentence with the cause and then the decision as an order: in the
    /// policy server's monitor mode nothing is changed.
    fn entry(self) -> (&'static str, &'static str) {
        match self {
            Reason::Unreadable => ("unreadable-request", "the request cannot be understood, so refuse it."),
            Reason::InvalidSettings => {
                ("invalid-settings", "the policy's settings are not valid, so refuse every request.")
            }
            Reason::Disabled => ("disabled", "the setting enabled is false, so leave everything as it is."),
            Reason::NotAPodCreation => (
                "not-a-pod-creation",
                "only a pod that is being created can be injected, so leave this as it is.",
            ),
            Reason::WorkloadAccepted => {
                ("workload-accepted", "a workload is never changed, only its pods are, so leave it as it is.")
            }
            Reason::WorkloadRejected => {
                ("workload-rejected", "none of its pods could be created, so refuse it now.")
            }
            Reason::SystemNamespace => (
                "system-namespace",
                "kube-system and kube-public are never injected, so leave the pod as it is.",
            ),
            Reason::NamespaceDenied => {
                ("namespace-denied", "k8sDenyNamespaces holds the namespace, so leave the pod as it is.")
            }
            Reason::NamespaceNotAllowed => (
                "namespace-not-allowed",
                "k8sAllowNamespaces does not hold the namespace, so leave the pod as it is.",
            ),
            Reason::AlreadyInjected => (
                "already-injected",
                "the annotation connect-inject-status is set, so leave the pod as it is.",
            ),
            Reason::MirrorPod => {
                ("mirror-pod", "the mirror of a static pod cannot be changed, so leave it as it is.")
            }
            Reason::OptedOut => {
                ("opted-out", "the annotation connect-inject says no, so leave the pod as it is.")
            }
            Reason::NotRequested => (
                "not-requested",
                "there is no annotation connect-inject and the setting default is false, so leave the pod as it is.",
            ),
            Reason::NotInjectable => (
                "not-injectable",
                "only the setting default asks for the sidecars and the pod cannot have them, so leave it as it is.",
            ),
            Reason::Rejected => ("rejected", "the pod asks for the sidecars and has problems, so refuse it."),
            Reason::Injected => ("injected", "the pod is to be part of the mesh, so add the sidecars."),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Reason;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique_and_sentences_are_sentences() {
        let names: BTreeSet<&str> = Reason::ALL.iter().map(|reason| reason.name()).collect();
        assert_eq!(names.len(), Reason::ALL.len());
        assert!(Reason::ALL.iter().all(|reason| reason.sentence().ends_with('.')));
    }
}
