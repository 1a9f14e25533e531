//! The names of the modes.

use std::fmt;

/// How a pod joins the mesh.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ModeName {
    /// The pod registers itself with the client agent on its node.
    #[default]
    Agent,
    /// No client agents. The chart's controllers register the pod.
    Dataplane,
}

impl ModeName {
    /// Whether a pod registers itself. Otherwise the chart's controllers do, by its labels.
    pub fn registers_itself(self) -> bool {
        self == ModeName::Agent
    }

    /// Kubernetes namespaces that are never injected in this mode, beside the system's.
    pub fn ignored_namespaces(self) -> &'static [&'static str] {
        match self {
            ModeName::Agent => &[],
            // The chart's controllers do not register pods in it.
            ModeName::Dataplane => &["local-path-storage"],
        }
    }
}

impl fmt::Display for ModeName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            ModeName::Agent => "agent",
            ModeName::Dataplane => "dataplane",
        })
    }
}
