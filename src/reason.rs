//! Why a request ends as it does: every outcome has a name and one sentence.

/// A named outcome. The name goes out as the audit annotation
/// [`AUDIT_ANNOTATION`], so that it can be searched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reason {
    pub name: &'static str,
    pub sentence: &'static str,
}

/// A bare key: the API server puts the webhook's name and a slash before it, and
/// drops a key that has a slash of its own.
pub const AUDIT_ANNOTATION: &str = "connect-inject-reason";

macro_rules! reasons {
    ($($constant:ident = $name:literal, $sentence:literal;)*) => {
        $(pub const $constant: Reason = Reason { name: $name, sentence: $sentence };)*

        /// Every reason there is, in the order of the decision.
        pub const ALL: &[Reason] = &[$($constant),*];
    };
}

// Worded as decisions: in the policy server's monitor mode nothing is changed.
reasons! {
    UNREADABLE = "unreadable-request", "Reject: the request cannot be understood.";
    INVALID_SETTINGS = "invalid-settings", "Reject: the policy's settings are not valid.";
    DISABLED = "disabled", "Leave as it is: the setting enabled is false.";
    NOT_A_POD_CREATION = "not-a-pod-creation", "Leave as it is: not the creation of a pod.";
    WORKLOAD_ACCEPTED = "workload-accepted", "Leave as it is: workloads are never changed, their pods are.";
    WORKLOAD_REJECTED = "workload-rejected", "Reject: the pods of this workload would be rejected.";
    SYSTEM_NAMESPACE = "system-namespace", "Do not inject: kube-system and kube-public are never injected.";
    NAMESPACE_DENIED = "namespace-denied", "Do not inject: k8sDenyNamespaces holds the namespace.";
    NAMESPACE_NOT_ALLOWED = "namespace-not-allowed", "Do not inject: k8sAllowNamespaces does not hold the namespace.";
    ALREADY_INJECTED = "already-injected", "Do not inject: connect-inject-status is set already.";
    MIRROR_POD = "mirror-pod", "Do not inject: the mirror of a static pod cannot be changed.";
    OPTED_OUT = "opted-out", "Do not inject: the annotation connect-inject says no.";
    NOT_REQUESTED = "not-requested", "Do not inject: no annotation connect-inject, and the setting default is false.";
    NOT_INJECTABLE = "not-injectable", "Do not inject: only the setting default asks for it, and the pod cannot take part.";
    REJECTED = "rejected", "Reject: the pod asks for injection and has problems.";
    INJECTED = "injected", "Inject the sidecars.";
}

impl Reason {
    /// What goes out as the audit annotation.
    pub fn audit_value(self) -> String {
        format!("{}: {}", self.name, self.sentence)
    }
}

#[cfg(test)]
mod tests {
    use super::ALL;

    #[test]
    fn names_are_unique_and_sentences_are_sentences() {
        for (index, reason) in ALL.iter().enumerate() {
            assert!(ALL.iter().skip(index + 1).all(|other| other.name != reason.name));
            assert!(reason.sentence.ends_with('.'), "{}", reason.name);
        }
    }
}
