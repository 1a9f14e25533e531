//! The texts of the reasons, shared by the command and the tests.

pub const NATIVE_SIDECAR: &str = "the injected init container and proxy run before the app's init containers, which can use the mesh; the proxy is a native sidecar unless nativeSidecars is false, and its startup probe checks its own Envoy";
pub const NO_SHELL: &str = "the init container runs its program directly instead of in a shell";
pub const NO_CPU_LIMIT: &str =
    "the init container has no CPU limit unless initContainer.resources.limits has one";
pub const NUMERIC_USER: &str =
    "an init container that does not redirect traffic runs as a fixed non-root user";
pub const OPENSHIFT_USERS: &str = "OpenShift sets the users of the containers";
pub const OWN_TOKEN: &str =
    "with ACLs, the policy mounts a projected token of its own instead of copying the app's mount";
pub const REDUCED_ORIGINAL: &str =
    "the annotation original-pod contains what the chart's controllers read instead of the whole pod";
pub const RESOLVED_ANNOTATIONS: &str = "values that the controllers would resolve from the chart's defaults and the namespace's labels are set as annotations of the pod; the version is that of the image";
pub const DEFAULT_CONTAINER: &str = "kubectl logs and exec select the app's container instead of the proxy";
pub const NAMES_OF_VARIABLES: &str = "names of upstream variables are valid in a shell and include another datacenter; prepared queries get variables too";
pub const VALUES_OF_VARIABLES: &str = "values of upstream variables are the address on which the upstream listens; the container's own variables are kept, and the first of two upstreams with one name sets them";
pub const ARGUMENTS_THAT_WORK: &str = "Envoy's arguments are split like a shell command, and flags that consul-dataplane sets itself are rejected; the Prometheus CA is passed in the flag that consul-dataplane has";
pub const SPACES_IN_LISTS: &str = "spaces in lists are removed";
pub const JOBS_END: &str = "the proxy of a Job's pod exits with the app";
pub const NOBODY_IS_ASKED: &str = "admission reads nothing from Kubernetes or Consul: the access log is a setting, and with several services, each Secret has the service's name";
pub const CLUSTER_DOMAIN: &str =
    "DNS search domains are those of the pod's namespace, whatever the cluster's domain is";
pub const DEFAULT_ACCOUNT: &str = "a pod without a service account gets the account `default`";
pub const CNI_PROGRESS: &str = "the CNI plugin updates this annotation";
