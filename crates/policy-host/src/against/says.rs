//! The texts of the reasons, shared by the command, the documentation and the tests.

pub const CHECKED_VALUES: &str = "values that cannot work are rejected; the webhook accepts them, and a container fails later or ignores them. Spaces in lists are removed";
pub const CHECKED_SERVICE: &str = "the service's name, its ports and, with ACLs, its service account are checked; the default ports do not include UDP ports, which the controller cannot register";
pub const OWN_TOKEN: &str =
    "with ACLs, the policy mounts a projected token of its own instead of copying the app's mount";
pub const NOBODY_IS_ASKED: &str = "admission reads nothing from Kubernetes or Consul: the access log and the defaults for namespaces are settings, and with several services, each Secret has the service's name";
pub const OPENSHIFT_USERS: &str = "OpenShift sets the users and the seccomp profile of the containers; transparent proxy, which must know the proxy's user, is not supported there";
pub const NO_SHELL: &str = "the init container runs its program directly instead of in a shell";
pub const NO_CPU_LIMIT: &str = "the init container has no CPU limit unless a setting has one";
pub const NUMERIC_USER: &str = "an init container that does not redirect traffic runs as a fixed non-root user, even if the pod runs as root";
pub const RESOLVED_ANNOTATIONS: &str = "values that the controllers would resolve from the chart's defaults and the namespace's labels are set as annotations of the pod; the version is that of the image";
pub const DEFAULT_CONTAINER: &str = "kubectl logs and exec select the app's container instead of the sidecar";
pub const REDUCED_ORIGINAL: &str =
    "the annotation original-pod contains what the controllers read instead of the whole pod";
pub const NATIVE_SIDECAR: &str = "the injected init container and native sidecar run before the app's init containers, which can use the mesh; the startup probe checks its own Envoy, with the times of the settings";
pub const JOBS_END: &str = "the proxy of a Job's pod exits with the app";
pub const ARGUMENTS_THAT_WORK: &str = "Envoy's arguments are split like a shell command, and flags that consul-dataplane sets itself are rejected; the Prometheus CA is passed in the flag that consul-dataplane has";
pub const NAMES_OF_VARIABLES: &str = "names of upstream variables are valid in a shell and include another datacenter; prepared queries get variables too";
pub const VALUES_OF_VARIABLES: &str = "values of upstream variables are the address on which the upstream listens; the container's own variables are kept, and the first of two upstreams with one name sets them";
pub const CLUSTER_DOMAIN: &str =
    "DNS search domains are those of the pod's namespace, whatever the cluster's domain is";
pub const FIELDS_OF_VOLUMES: &str =
    "unknown fields of volumes in annotations are kept, and the API server drops them";
pub const DEFAULT_ACCOUNT: &str = "a pod without a service account gets the account `default`";
