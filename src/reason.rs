//! The reason for every outcome: a name, and one sentence about what happened.

/// The audit annotation with the reason. The API server prefixes the key with the webhook's name
/// and a slash, and drops a key that contains a slash.
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

    /// The value of the audit annotation.
    pub fn audit_value(self) -> String {
        let (name, sentence) = self.entry();
        format!("{name}: {sentence}")
    }

    /// The name, and a sentence with the cause. The sentence does not say that the request was
    /// changed or rejected: in the policy server's monitor mode it was not.
    fn entry(self) -> (&'static str, &'static str) {
        match self {
            Reason::Unreadable => ("unreadable-request", "the policy cannot read the request"),
            Reason::InvalidSettings => ("invalid-settings", "the policy's settings are invalid"),
            Reason::Disabled => ("disabled", "the setting enabled is false"),
            Reason::NotAPodCreation => {
                ("not-a-pod-creation", "the request does not create a pod; only new pods are injected")
            }
            Reason::WorkloadAccepted => {
                ("workload-accepted", "workloads are only checked; their pods are injected when created")
            }
            Reason::WorkloadRejected => {
                ("workload-rejected", "the pod template requests injection and has problems")
            }
            Reason::SystemNamespace => ("system-namespace", "pods in this namespace are never injected"),
            Reason::NamespaceDenied => ("namespace-denied", "the namespace is in k8sDenyNamespaces"),
            Reason::NamespaceNotAllowed => {
                ("namespace-not-allowed", "the namespace is not in k8sAllowNamespaces")
            }
            Reason::AlreadyInjected => ("already-injected", "the annotation connect-inject-status is set"),
            Reason::MirrorPod => ("mirror-pod", "the pod mirrors a static pod, which cannot be changed"),
            Reason::OptedOut => ("opted-out", "the annotation connect-inject is false"),
            Reason::NotRequested => (
                "not-requested",
                "the pod has no annotation connect-inject, and the setting default is false",
            ),
            Reason::NotInjectable => (
                "not-injectable",
                "only the setting default requests injection, and the pod has problems that prevent it",
            ),
            Reason::Rejected => ("rejected", "the pod requests injection and has problems"),
            Reason::Injected => ("injected", "injection is requested, and the pod has no problems"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Reason;
    use std::collections::BTreeSet;

    #[test]
    fn names_and_sentences_are_unique() {
        let names: BTreeSet<&str> = Reason::ALL.iter().map(|reason| reason.name()).collect();
        let sentences: BTreeSet<&str> = Reason::ALL.iter().map(|reason| reason.sentence()).collect();
        assert_eq!((names.len(), sentences.len()), (Reason::ALL.len(), Reason::ALL.len()));
    }
}
