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
    pub const ALL: [ModeName; 2] = [ModeName::Agent, ModeName::Dataplane];

    /// Whether a pod registers itself. Otherwise the chart's controllers do, by its labels.
    pub fn registers_itself(self) -> bool {
        self == ModeName::Agent
    }

    pub fn as_str(self) -> &'static str {
        match self {
            ModeName::Agent => "agent",
            ModeName::Dataplane => "dataplane",
        }
    }
}

impl fmt::Display for ModeName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}
