//! The names of the modes.

use std::fmt;

/// How a pod gets into the mesh.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ModeName {
    /// A client agent on every node, with which the pod registers itself.
    #[default]
    Agent,
    /// No client agents: the chart's controllers register the pod.
    Dataplane,
}

impl ModeName {
    /// Whether a pod registers itself. Otherwise the chart's controllers do, by its labels.
    pub fn registers_itself(self) -> bool {
        self == ModeName::Agent
    }

    /// Kubernetes namespaces that only this mode leaves alone.
    pub fn ignored_namespaces(self) -> &'static [&'static str] {
        match self {
            ModeName::Agent => &[],
            // The chart's controllers never register its pods.
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
