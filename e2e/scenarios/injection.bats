#!/usr/bin/env bats
# Which pods are injected, with what, and what the API server says of it.

load ../lib/helpers

injected_names="consul-connect-inject-init consul-connect-envoy-sidecar consul-connect-lifecycle-sidecar"

# workload KIND API SPEC: an injected workload `KIND in lower case-server`.
template='metadata:
      labels: {app: NAME}
      annotations: {consul.hashicorp.com/connect-inject: "true"}
    spec:
      containers:
        - {name: NAME, image: "hashicorp/http-echo:latest", args: ["-text=I am NAME", "-listen=:8080"], ports: [{containerPort: 8080}]}'

@test "order: init, Envoy, lifecycle, and only then what the user has" {
    k apply -f - <<'END'
apiVersion: v1
kind: Pod
metadata:
  name: order
  annotations: {consul.hashicorp.com/connect-inject: "true"}
spec:
  initContainers:
    - {name: users-init, image: tutum/curl:latest, command: ["true"]}
  containers:
    - {name: order, image: tutum/curl:latest, command: [sh, -c, "trap exit TERM; while true; do sleep 30 & wait; done"]}
END
    ready order
    equal "containers" "$injected_names users-init order" "$(all_containers order)"
    equal "all are ready" "true true true true true" \
        "$(field order '{.status.initContainerStatuses[*].ready} {.status.containerStatuses[*].ready}')"
    equal "restarts" "0 0 0 0 0" \
        "$(field order '{.status.initContainerStatuses[*].restartCount} {.status.containerStatuses[*].restartCount}')"
}

@test "classic: ordinary containers for clusters without native sidecars" {
    kubectl label namespace "$NS" --overwrite e2e.policy=classic
    server classic-server
    client classic-client classic-server:1234
    ready classic-server classic-client
    equal "init containers" consul-connect-inject-init "$(field classic-server '{.spec.initContainers[*].name}')"
    equal "containers" "classic-server consul-connect-lifecycle-sidecar consul-connect-envoy-sidecar" \
        "$(field classic-server '{.spec.containers[*].name}')"
    eventually 60 answers classic-client http://127.0.0.1:1234/ "I am classic-server"
}

@test "stripped: native sidecars that lose restartPolicy in another webhook are refused, not left hanging" {
    needs_node
    local port=8444 webhook
    python3 "$E2E_DIR/lib/strip-restart-policy.py" "$WEBHOOK_IP" $port "$SCRATCH/pki/server.crt" "$SCRATCH/pki/server.key" 3>&- &
    webhook=$!
    afterwards kill $webhook
    # Webhooks are called in the order of their configurations' names.
    afterwards kubectl delete mutatingwebhookconfiguration f2f-strip-restart-policy
    kubectl apply -f - <<END
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingWebhookConfiguration
metadata: {name: f2f-strip-restart-policy}
webhooks:
  - name: strip-restart-policy.consul-connect-injector.e2e
    clientConfig: {url: "https://$WEBHOOK_IP:$port/", caBundle: $(base64 -w0 "$SCRATCH/pki/ca.crt")}
    admissionReviewVersions: [v1]
    sideEffects: None
    failurePolicy: Fail
    namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: $NS}}
    rules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods]}]
END
    # The API server takes a moment to know a new webhook.
    eventually 60 refused_without_restart_policy
    kubectl label namespace "$NS" --overwrite e2e.policy=classic
    server stripped-classic
    ready stripped-classic
}
refused_without_restart_policy() {
    k delete pod stripped --ignore-not-found
    contains "what kubectl prints" "may not be set for init containers without restartPolicy=Always" "$(server stripped 2>&1)"
}

@test "classic-job: without native sidecars a Job would not finish, and kubectl says so" {
    kubectl label namespace "$NS" --overwrite e2e.policy=classic
    contains "what kubectl prints" "this pod runs to completion, but will not complete" "$(k apply -f - 2>&1 <<'END'
apiVersion: batch/v1
kind: Job
metadata: {name: classic-job}
spec:
  suspend: true
  template:
    metadata:
      annotations: {consul.hashicorp.com/connect-inject: "true"}
    spec:
      restartPolicy: Never
      containers: [{name: classic-job, image: busybox:latest, command: ["true"]}]
END
)"
}

@test "verify-installation: what the documentation tells people to look for" {
    server verify
    injected verify
    equal "label" injected "$(field verify '{.metadata.labels.consul\.hashicorp\.com/connect-inject-status}')"
    contains "containers" "consul-connect-envoy-sidecar" "$(all_containers verify)"
}

@test "opt-in: without the annotation a pod stays as it is" {
    k run opt-in --image=hashicorp/http-echo:latest
    not_injected opt-in
}

@test "opt-out: with the setting default, the annotation keeps a pod out" {
    kubectl label namespace "$NS" --overwrite e2e.policy=by-default
    k run by-default --image=hashicorp/http-echo:latest
    injected by-default
    INJECT=false server opted-out
    not_injected opted-out
}

@test "namespace-lists: only what is allowed and not denied, whatever the annotation" {
    local namespace
    for namespace in e2e-listed-allowed e2e-listed-denied e2e-listed-neither; do
        new_namespace "$namespace" listed
        NS=$namespace server "${namespace#e2e-}"
    done
    NS=e2e-listed-allowed injected listed-allowed
    NS=e2e-listed-denied not_injected listed-denied
    NS=e2e-listed-neither not_injected listed-neither
}

@test "skip-warns: a pod that asked and is not injected is told at apply" {
    new_namespace e2e-listed-warned listed
    contains "what kubectl prints" Warning "$(NS=e2e-listed-warned server listed-warned 2>&1)"
}

@test "bad-annotation: refused at apply, with the remedy" {
    local told
    told=$(fails client bad-client no-port-here 2>&1)
    contains "what kubectl prints" connect-service-upstreams "$told"
    contains "what kubectl prints" no-port-here "$told"
}

@test "common-mistake: an annotation on the Deployment itself warns" {
    contains "what kubectl prints" Warning "$(k apply -f - 2>&1 <<'END'
apiVersion: apps/v1
kind: Deployment
metadata:
  name: mistaken
  annotations: {consul.hashicorp.com/connect-inject: "true"}
spec:
  replicas: 0
  selector: {matchLabels: {app: mistaken}}
  template:
    metadata: {labels: {app: mistaken}}
    spec: {containers: [{name: mistaken, image: nginx}]}
END
)"
}

@test "restricted: a namespace that enforces the strictest Pod Security Standard" {
    in_restricted restricted standard
}

@test "restricted-classic: also without native sidecars" {
    in_restricted restricted-classic classic
}

@test "restricted-openshift: also with the ids that OpenShift gives" {
    in_restricted restricted-openshift openshift 1000680000
}

# in_restricted NAME POLICY [USER]: a server and a client in such a namespace. USER is the id that
# OpenShift gives the pod, together with a seccomp profile.
in_restricted() {
    kubectl label namespace "$NS" --overwrite "e2e.policy=$2" pod-security.kubernetes.io/enforce=restricted
    local pod="runAsUser: ${3:-1000}, fsGroup: ${3:-1000}"
    [ -z "${3:-}" ] || pod+=", seccompProfile: {type: RuntimeDefault}"
    local context='{runAsNonRoot: true, allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}, seccompProfile: {type: RuntimeDefault}}'
    k apply -f - <<END
apiVersion: v1
kind: Pod
metadata:
  name: $1-server
  annotations: {consul.hashicorp.com/connect-inject: "true"}
spec:
  securityContext: {$pod}
  containers:
    - name: $1-server
      image: hashicorp/http-echo:latest
      args: ["-text=I am $1-server", "-listen=:8080"]
      ports: [{containerPort: 8080}]
      securityContext: $context
---
apiVersion: v1
kind: Pod
metadata:
  name: $1-client
  annotations:
    consul.hashicorp.com/connect-inject: "true"
    consul.hashicorp.com/connect-service-upstreams: $1-server:1234
spec:
  securityContext: {$pod}
  containers:
    - name: $1-client
      image: tutum/curl:latest
      command: [sh, -c, "trap exit TERM; while true; do sleep 30 & wait; done"]
      securityContext: $context
END
    ready "$1-server" "$1-client"
    eventually 60 answers "$1-client" http://127.0.0.1:1234/ "I am $1-server"
}

@test "quota: beside a ResourceQuota and a LimitRange, and with what an autoscaler needs" {
    k apply -f - <<'END'
apiVersion: v1
kind: ResourceQuota
metadata: {name: quota}
spec: {hard: {requests.cpu: "2", requests.memory: 1Gi, limits.cpu: "8", limits.memory: 4Gi}}
---
apiVersion: v1
kind: LimitRange
metadata: {name: limits}
spec:
  limits:
    - {type: Container, defaultRequest: {cpu: 50m, memory: 32Mi}, default: {cpu: "1", memory: 512Mi}, min: {cpu: 5m, memory: 8Mi}}
END
    eventually 60 quota_counts
    server quota-server
    ready quota-server
    # An autoscaler divides by the requests: none may be missing.
    equal "containers without a request" 0 "$(k get pod quota-server -o json |
        jq '[.spec | (.initContainers + .containers)[] | select(.resources.requests | (.cpu and .memory) | not)] | length')"
}

quota_counts() { [ -n "$(field resourcequota/quota '{.status.hard.requests\.cpu}')" ]; }

@test "requests: without a LimitRange every injected container has its own" {
    server requests-server
    equal "injected containers without a request" 0 "$(k get pod requests-server -o json |
        jq '[.spec.initContainers[] | select(.resources.requests | (.cpu and .memory) | not)] | length')"
}

# own_resources REQUEST LIMIT [OPTION...]: what Kubernetes makes of a pod that has so much memory of its own.
own_resources() {
    k create --dry-run=server "${@:3}" -f - 2>&1 <<END
apiVersion: v1
kind: Pod
metadata: {generateName: own-, annotations: {consul.hashicorp.com/connect-inject: "true"}}
spec:
  resources: {requests: {cpu: 200m, memory: $1}, limits: {cpu: "1", memory: $2}}
  containers: [{name: own, image: "busybox:latest", command: ["true"]}]
END
}

@test "own-resources: a pod's own that would not hold what is injected is told before Kubernetes refuses it" {
    contains "of native sidecars the limits do not count" created "$(own_resources 150Mi 200Mi)"
    contains "what kubectl prints" 'resources.requests[memory]: invalid value "50Mi": must cover the requests of all containers' \
        "$(own_resources 50Mi 200Mi)"
    kubectl label namespace "$NS" --overwrite e2e.policy=classic
    contains "what kubectl prints" 'resources.limits[memory]: invalid value "200Mi": must not be less than the limit of the injected' \
        "$(own_resources 150Mi 200Mi)"
    contains "as it says to write" created "$(own_resources 150Mi 250Mi)"
    contains "Kubernetes itself" "must be less than or equal to pod limits" "$(own_resources 150Mi 250Mi -o json |
        jq '.spec.resources.limits.memory = "249Mi"' | k create --dry-run=server -f - 2>&1)"
}

@test "no-api-token: the app's own token is not given to what is injected" {
    server token-server
    equal "containers with the API token" token-server "$(with_api_token token-server)"
}

@test "statefulset: the template's pods are injected and answer" {
    k apply -f - <<END
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: in-statefulset}
spec:
  replicas: 2
  serviceName: in-statefulset
  selector: {matchLabels: {app: in-statefulset}}
  template:
    ${template//NAME/in-statefulset}
END
    k rollout status statefulset/in-statefulset --timeout=120s
    injected in-statefulset-0
    eventually 60 routable in-statefulset 2
}

@test "daemonset: the template's pods are injected and answer" {
    k apply -f - <<END
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: in-daemonset}
spec:
  selector: {matchLabels: {app: in-daemonset}}
  template:
    ${template//NAME/in-daemonset}
END
    k rollout status daemonset/in-daemonset --timeout=120s
    injected "$(pod_of app=in-daemonset)"
    eventually 60 routable in-daemonset "$(field daemonset/in-daemonset '{.status.numberReady}')"
}

@test "job: it calls its upstream and finishes, and nothing of it stays in Consul" {
    server job-server
    ready job-server
    eventually 60 routable job-server
    k apply -f - <<'END'
apiVersion: batch/v1
kind: Job
metadata: {name: job}
spec:
  template:
    metadata:
      labels: {app: job}
      annotations:
        consul.hashicorp.com/connect-inject: "true"
        consul.hashicorp.com/connect-service-upstreams: job-server:1234
    spec:
      restartPolicy: Never
      containers:
        - name: job
          image: tutum/curl:latest
          command: [curl, -sf, --retry, "20", --retry-delay, "1", --retry-all-errors, "http://127.0.0.1:1234/"]
END
    k wait --for=condition=Complete --timeout=120s job/job
    contains "what it printed" "I am job-server" "$(k logs job/job -c job)"
    eventually 60 not_registered "$(pod_of app=job)-job"
}

@test "job-on-failure: a pod that is tried again in place finishes, too" {
    k apply -f - <<'END'
apiVersion: batch/v1
kind: Job
metadata: {name: again}
spec:
  template:
    metadata:
      labels: {app: again}
      annotations: {consul.hashicorp.com/connect-inject: "true"}
    spec:
      restartPolicy: OnFailure
      containers:
        - name: again
          image: busybox:latest
          command: [sh, -c, "[ -e /tries/first ] || { touch /tries/first; exit 1; }"]
          volumeMounts: [{name: tries, mountPath: /tries}]
      volumes: [{name: tries, emptyDir: {}}]
END
    k wait --for=condition=Complete --timeout=120s job/again
    local pod
    pod=$(pod_of app=again)
    equal "restarts of the app" 1 "$(restarts "$pod" again)"
    eventually 60 not_registered "$pod-again"
}

@test "init-calls: the user's own init container calls an upstream" {
    server init-server
    ready init-server
    eventually 60 routable init-server
    k apply -f - <<'END'
apiVersion: v1
kind: Pod
metadata:
  name: init-calls
  annotations:
    consul.hashicorp.com/connect-inject: "true"
    consul.hashicorp.com/connect-service-upstreams: init-server:1234
spec:
  initContainers:
    - {name: caller, image: tutum/curl:latest,
       command: [curl, -sf, --retry, "20", --retry-delay, "1", --retry-all-errors, "http://127.0.0.1:1234/"]}
  containers:
    - {name: init-calls, image: tutum/curl:latest, command: [sh, -c, "trap exit TERM; while true; do sleep 30 & wait; done"]}
END
    ready init-calls
    contains "what it printed" "I am init-server" "$(k logs init-calls -c caller)"
}

@test "cronjob: a run of its template is injected and finishes" {
    k apply -f - <<'END'
apiVersion: batch/v1
kind: CronJob
metadata: {name: cron}
spec:
  schedule: "0 0 1 1 *"
  suspend: true
  jobTemplate:
    spec:
      template:
        metadata:
          labels: {app: cron}
          annotations: {consul.hashicorp.com/connect-inject: "true"}
        spec:
          restartPolicy: OnFailure
          containers:
            - {name: cron, image: tutum/curl:latest, command: ["true"]}
END
    k create job cron-now --from=cronjob/cron
    injected "$(pod_of app=cron)"
    k wait --for=condition=Complete --timeout=120s job/cron-now
}
