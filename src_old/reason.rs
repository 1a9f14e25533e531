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

// Each sentence gives the cause and then the decision as an order: in the policy
// server's monitor mode nothing is changed. The name says how it ended, so the
// sentence does not say it again.
reasons! {
    UNREADABLE = "unreadable-request", "the request cannot be understood, so refuse it.";
    INVALID_SETTINGS = "invalid-settings", "the policy's settings are not valid, so refuse every request.";
    DISABLED = "disabled", "the setting enabled is false, so leave everything as it is.";
    NOT_A_POD_CREATION = "not-a-pod-creation", "only a pod that is being created can be injected, so leave this as it is.";
    WORKLOAD_ACCEPTED = "workload-accepted", "a workload is never changed, only its pods are, so leave it as it is.";
    WORKLOAD_REJECTED = "workload-rejected", "none of its pods could be created, so refuse it now.";
    SYSTEM_NAMESPACE = "system-namespace", "kube-system and kube-public are never injected, so leave the pod as it is.";
    NAMESPACE_DENIED = "namespace-denied", "k8sDenyNamespaces holds the namespace, so leave the pod as it is.";
    NAMESPACE_NOT_ALLOWED = "namespace-not-allowed", "k8sAllowNamespaces does not hold the namespace, so leave the pod as it is.";
    ALREADY_INJECTED = "already-injected", "the annotation connect-inject-status is set, so leave the pod as it is.";
    MIRROR_POD = "mirror-pod", "the mirror of a static pod cannot be changed, so leave it as it is.";
    OPTED_OUT = "opted-out", "the annotation connect-inject says no, so leave the pod as it is.";
    NOT_REQUESTED = "not-requested", "there is no annotation connect-inject and the setting default is false, so leave the pod as it is.";
    NOT_INJECTABLE = "not-injectable", "only the setting default asks for the sidecars and the pod cannot have them, so leave it as it is.";
    REJECTED = "rejected", "the pod asks for the sidecars and has problems, so refuse it.";
    INJECTED = "injected", "the pod is to be part of the mesh, so add the sidecars.";
}

impl Reason {
    /// What goes out as the audit annotation.
    pub fn audit_value(self) -> String {
        [self.name, ": ", self.sentence].concat()
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
            assert!(reason.sentence.contains(", so "), "a cause and a decision: {}", reason.sentence);
            // It is read behind the name, whose outcome it does not say again.
            let outcome = reason.name.rsplit('-').next().unwrap();
            let words: Vec<&str> = reason.sentence.split([' ', ',', '.']).collect();
            let again = matches!(outcome, "rejected" | "injected" | "accepted") && words.contains(&outcome);
            assert!(!again, "{}", reason.audit_value());
        }
    }
}
