//! The kinds of workloads.

/// A kind of workload, and the path of its pod template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Workload {
    group: &'static str,
    pub kind: &'static str,
    pub template: &'static str,
}

const TEMPLATE: &str = "spec.template";

const WORKLOADS: &[Workload] = &[
    Workload { group: "apps", kind: "Deployment", template: TEMPLATE },
    Workload { group: "apps", kind: "StatefulSet", template: TEMPLATE },
    Workload { group: "apps", kind: "DaemonSet", template: TEMPLATE },
    Workload { group: "apps", kind: "ReplicaSet", template: TEMPLATE },
    Workload { group: "", kind: "ReplicationController", template: TEMPLATE },
    Workload { group: "batch", kind: "Job", template: TEMPLATE },
    Workload { group: "batch", kind: "CronJob", template: "spec.jobTemplate.spec.template" },
];

impl Workload {
    pub fn find(group: &str, kind: &str) -> Option<Self> {
        WORKLOADS.iter().find(|known| known.group == group && known.kind == kind).copied()
    }

    pub fn creates_jobs_pods(self) -> bool {
        self.group == "batch"
    }

    /// A `CronJob` has a template of its Jobs around that of their pods.
    pub fn job_template(self) -> Option<&'static str> {
        self.template.strip_suffix(".spec.template")
    }
}
