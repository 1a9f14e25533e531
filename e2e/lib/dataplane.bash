# For the scenarios of dataplane mode: what its pods need besides, and how they are seen.
# shellcheck shell=bash

# shellcheck source=controllers.sh
. "$E2E_DIR/lib/controllers.sh"

PROXY=consul-dataplane

# services NAME...: one for each pod, named like it. The controllers register no pod without.
services() {
    local name
    for name; do k create service clusterip "$name" --tcp=80:8080; done
}

# controllers_are_ready [NAMESPACE]: a pod that starts before waits for them.
controllers_are_ready() {
    kubectl --namespace "${1:-consul}" wait --for=condition=Ready pod/controllers --timeout=120s
}

# native POD: its proxy is a native sidecar.
native() { contains "init containers of $1" $PROXY "$(field "$1" '{.spec.initContainers[*].name}')"; }

# classic POD: its proxy is an ordinary container.
classic() { contains "containers of $1" $PROXY "$(field "$1" '{.spec.containers[*].name}')"; }

# in_catalog SERVICE: the pods of its instances.
in_catalog() { consul_get "catalog/service/$1" | jq -r '[.[].ServiceMeta."pod-name"] | sort | join(" ")'; }
catalog_is() { equal "pods of $1 in Consul's catalog" "$2" "$(in_catalog "$1")"; }

# job NAME URL [FIELD: VALUE of annotations]...: a Job that asks the URL until it is answered.
job() {
    local name=$1 url=$2
    shift 2
    k apply -f - <<END
apiVersion: batch/v1
kind: Job
metadata: {name: $name}
spec:
  template:
    metadata:
      labels: {app: $name}
      annotations:
        consul.hashicorp.com/connect-inject: "true"
$(annotations "$@" | sed 's/^/    /')
    spec:
      serviceAccountName: ${ACCOUNT:-default}
      restartPolicy: Never
      containers:
        - name: $name
          image: tutum/curl:latest
          command: [curl, -sf, --max-time, "3", --retry, "20", --retry-delay, "1", --retry-all-errors, "$url"]
END
}

# restricted_server NAME: the YAML of a server that the strictest Pod Security Standard admits.
restricted_server() {
    cat <<END
$(pod "$1")
spec:
  securityContext: {runAsNonRoot: true, runAsUser: 1000, seccompProfile: {type: RuntimeDefault}}
  containers:
    - name: $1
      image: hashicorp/http-echo:latest
      args: ["-text=I am $1", "-listen=:8080"]
      ports: [{containerPort: 8080, name: http}]
      securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
END
}

# chart_webhook NAME SELECTOR [PORT]: the chart's webhook for pods, until the scenario ends.
# The API server calls webhooks in the order of their configurations' names.
chart_webhook() {
    afterwards kubectl delete mutatingwebhookconfiguration "$1"
    kubectl apply -f - <<END
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingWebhookConfiguration
metadata: {name: $1}
webhooks:
  - name: consul-connect-injector.consul.hashicorp.com
    clientConfig: {url: "https://$NODE_IP:${3:-8080}/mutate", caBundle: $(base64 -w0 "$SCRATCH/pki/ca.crt")}
    admissionReviewVersions: [v1]
    sideEffects: None
    failurePolicy: Fail
    namespaceSelector: {matchLabels: $2}
    rules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods]}]
END
}

# of_chart POD, of_policy POD: who injected it. The chart's webhook starts connect-init in a
# shell, the policy does not.
of_chart() { contains "command of $1's init container" /bin/sh "$(init_command "$1")"; }
of_policy() { contains "command of $1's init container" consul-k8s-control-plane "$(init_command "$1" | jq -r '.[0]')"; }
init_command() {
    field "$1" '{.spec.initContainers[?(@.name=="consul-connect-inject-init")].command}'
}

# rolling_server NAME VERSION: three instances, which answer "I am VERSION". Their apps serve
# on for a moment when they are told to end.
rolling_server() {
    k apply -f - <<END
apiVersion: apps/v1
kind: Deployment
metadata: {name: $1}
spec:
  replicas: 3
  strategy: {rollingUpdate: {maxUnavailable: 0, maxSurge: 1}}
  selector: {matchLabels: {app: $1}}
  template:
    metadata:
      labels: {app: $1}
      annotations:
        consul.hashicorp.com/connect-inject: "true"
        e2e/version: $2
    spec:
      serviceAccountName: ${ACCOUNT:-default}
      containers:
        - name: $1
          image: hashicorp/http-echo:latest
          args: ["-text=I am $2", "-listen=:8080"]
          ports: [{containerPort: 8080, name: http}]
          readinessProbe: {httpGet: {path: /, port: http}, periodSeconds: 1}
          lifecycle: {preStop: {sleep: {seconds: 5}}}
      terminationGracePeriodSeconds: 45
END
    k rollout status "deployment/$1" --timeout=240s
}

# http SERVICE: its protocol, until the scenario's end.
http() {
    afterwards consul_delete "config/service-defaults/$1"
    consul_put config "{\"Kind\": \"service-defaults\", \"Name\": \"$1\", \"Protocol\": \"http\"}"
}

# injected_by_chart NAME: a server of that name, made anew. The API server takes a moment
# to know a new webhook, so this is for `eventually`.
injected_by_chart() {
    k delete pod "$1" --ignore-not-found --grace-period=1
    server "$1"
    of_chart "$1"
}
