//! The texts of the reasons, shared by the command and the tests.

pub const NATIVE_SIDECAR: &str = "init container and proxy run before the app's init containers, which can use the mesh; the proxy is a native sidecar unless nativeSidecars is false, and its startup probe asks its own Envoy";
pub const NO_SHELL: &str = "the init container runs its program directly, without a shell";
pub const NO_CPU_LIMIT: &str =
    "the init container has no CPU limit unless initContainer.resources.limits has one";
pub const NUMERIC_USER: &str = "an init container that does not redirect traffic has a user of its own";
pub const OPENSHIFT_USERS: &str = "OpenShift chooses the users of the containers";
pub const OWN_TOKEN: &str = "with ACLs the policy mounts a token of its own, and needs none of the pod's";
pub const REDUCED_ORIGINAL: &str =
    "the annotation original-pod has what the chart's controllers read, not the whole pod";
pub const RESOLVED_ANNOTATIONS: &str = "what the controllers would decide by the chart's defaults and the namespace's labels is written onto the pod, and the version is that of the image";
pub const DEFAULT_CONTAINER: &str = "kubectl logs and exec take the app's container, not the proxy";
pub const NAMES_OF_VARIABLES: &str = "a variable's name is one that a shell can read, prepared queries have variables, and a second datacenter is in the name";
pub const VALUES_OF_VARIABLES: &str = "a variable says where the upstream listens; the container's own stays, and of two upstreams with one name the first has it";
pub const ARGUMENTS_THAT_WORK: &str = "Envoy gets the words that were written, without quotes and without a flag that consul-dataplane passes itself; consul-dataplane gets the flag for Prometheus' authorities that it has";
pub const SPACES_IN_LISTS: &str = "spaces in lists are left out";
pub const JOBS_END: &str = "the proxy of a Job's pod ends with its app";
pub const NOBODY_IS_ASKED: &str = "neither Kubernetes nor Consul is asked at admission: the access log is a setting, and the Secret of one of several services has the service's name";
pub const CLUSTER_DOMAIN: &str =
    "the search domains of a pod are those of its own namespace, whatever the cluster's domain";
pub const DEFAULT_ACCOUNT: &str = "a pod without a service account has the one called default";
pub const CNI_PROGRESS: &str = "the CNI plugin writes into this annotation how far it is";
