# The helpers of the scenarios, loaded by every *.bats file.
# shellcheck shell=bash disable=SC2034

# shellcheck source=common.sh
. "${BASH_SOURCE[0]%/*}/common.sh"

TESTDATA=$E2E_DIR/testdata
CONSUL_URL=${CONSUL_HTTP_ADDR:-http://$NODE_IP:8500}

# Every scenario has a namespace of its own, named after it, whose label selects the policy
# (see policies.yml). Files and scenarios set `POLICY=...` for another policy.
setup() {
    NS=e2e-$(scenario_name | tr . -)
    [ -z "${E2E_ALONE:-}" ] || nothing_beside
    new_namespace "$NS" "${POLICY:-standard}"
}

teardown() {
    [ -n "${BATS_TEST_COMPLETED:-}" ] || [ -n "${BATS_TEST_SKIPPED:-}" ] || diagnose
    # shellcheck source=/dev/null
    [ ! -f "$BATS_TEST_TMPDIR/afterwards" ] || . "$BATS_TEST_TMPDIR/afterwards" || true
    end_namespaces
}

# afterwards COMMAND...: runs the command at the end of the scenario, even if it failed.
afterwards() { echo "${*@Q} || true" >>"$BATS_TEST_TMPDIR/afterwards"; }

scenario_name() { printf '%s\n' "${BATS_TEST_DESCRIPTION%%:*}"; }

# nothing_beside: the pods of the scenarios before have ended, at best.
nothing_beside() { until_true 60 no_pods || echo "# pods of other scenarios are still ending" >&3; }
no_pods() { [[ $(kubectl get pods --all-namespaces -o 'jsonpath={.items[*].metadata.namespace}') != *e2e-* ]]; }

# k ARGUMENTS...: kubectl in the scenario's namespace.
k() { kubectl --namespace "$NS" "$@"; }

# new_namespace NAME POLICY [LABEL=VALUE...]
new_namespace() {
    kubectl create namespace "$1" >/dev/null 2>&1 || {
        # It exists from an earlier try or run, or is still being deleted.
        kubectl delete namespaces --selector e2e.scenario --field-selector "metadata.name=$1" --timeout=120s >/dev/null
        kubectl create namespace "$1" >/dev/null
    }
    forget_pods_of "$1"
    kubectl label namespace "$1" "e2e.policy=$2" "e2e.scenario=$(scenario_name)" "${@:3}" >/dev/null
    # The API server rejects pods until the namespace's default account exists.
    eventually 60 kubectl --namespace "$1" get serviceaccount default
}

# forget_pods_of NAMESPACE: removes what killed pods of an earlier try left in Consul.
forget_pods_of() {
    local id
    for id in $(consul_curl --connect-timeout 2 "$CONSUL_URL/v1/agent/services" |
        jq -r --arg namespace "$1" '.[] | select(.Meta["k8s-namespace"] == $namespace) | .ID'); do
        consul_put "agent/service/deregister/$id" || true
    done
}

end_namespaces() {
    local namespace
    for namespace in $(kubectl get namespaces -l "e2e.scenario=$(scenario_name)" -o name); do
        kubectl delete "$namespace" --wait=false >/dev/null || true
        kubectl --namespace "${namespace#*/}" delete pods --all --grace-period=1 >/dev/null 2>&1 || true
    done
}

# needs_node: for scenarios that need more than the API server.
needs_node() { [ -z "${E2E_EXISTING:-}" ] || skip "needs control of the node"; }

milliseconds() { echo $((${EPOCHREALTIME//[!0-9]/} / 1000)); }

# eventually SECONDS COMMAND...: the command succeeds within this time. Prints its last
# output otherwise. Use 60 if the time itself is not tested, for slow or busy machines.
eventually() {
    local deadline=$(($(milliseconds) + $1 * 1000)) seconds=$1 output
    shift
    until output=$("$@" 2>&1); do
        if (($(milliseconds) >= deadline)); then
            echo "not within $seconds s: $*"
            echo "last: $output"
            return 1
        fi
        sleep 0.2
    done
}

# never SECONDS COMMAND...: the command does not succeed during this time, which must be
# long enough for a failure to show.
never() {
    local deadline=$(($(milliseconds) + $1 * 1000))
    shift
    while (($(milliseconds) < deadline)); do
        if "$@" >/dev/null 2>&1; then
            echo "should not have been: $*"
            return 1
        fi
        sleep 0.2
    done
}

# equal WHAT EXPECTED ACTUAL
equal() {
    [ "$2" = "$3" ] && return
    printf '%s\n  expected: %s\n  actual:   %s\n' "$1" "$2" "$3"
    return 1
}

# contains WHAT PART TEXT
contains() {
    [[ $3 == *"$2"* ]] && return
    printf '%s\n  should contain: %s\n  actual:         %s\n' "$1" "$2" "$3"
    return 1
}

# fails COMMAND...: the command does not succeed.
fails() {
    if "$@"; then
        echo "should have failed: $*"
        return 1
    fi
}

# ---- pods -------------------------------------------------------------------

# ready POD...: all containers of the pods are ready.
ready() { k wait --for=condition=Ready --timeout=120s "${@/#/pod/}" >/dev/null; }

# field POD-OR-KIND/NAME JSONPATH
field() {
    local object=$1
    [[ $object == */* ]] || object=pod/$object
    k get "$object" -o "jsonpath=$2"
}

injected() { equal "status of $1" injected "$(field "$1" '{.metadata.annotations.consul\.hashicorp\.com/connect-inject-status}')"; }

not_injected() {
    equal "status of $1" "" "$(field "$1" '{.metadata.annotations.consul\.hashicorp\.com/connect-inject-status}')" &&
        equal "init containers of $1" "" "$(field "$1" '{.spec.initContainers[*].name}')"
}

# all_containers POD: the names of the containers, in start order.
all_containers() { field "$1" '{.spec.initContainers[*].name} {.spec.containers[*].name}'; }

# with_api_token POD: the containers that mount the API token in the stored pod.
with_api_token() {
    k get pod "$1" -o json | jq -r '
        [.spec.volumes[] | select(.projected.sources[]?.configMap.name == "kube-root-ca.crt") | .name] as $tokens
        | [.spec | (.initContainers + .containers)[] | select(any(.volumeMounts[]?; .name | IN($tokens[]))) | .name] | join(" ")'
}

# pod_of LABEL=VALUE: the name of the only pod with the label, once it exists.
pod_of() {
    eventually 60 has_pod "$1" >&2
    k get pods -l "$1" -o 'jsonpath={.items[0].metadata.name}'
}
has_pod() { [ -n "$(k get pods -l "$1" -o name)" ]; }

pod_ip() { field "$1" '{.status.podIP}'; }

# sidecar_says POD TEXT: the log of the lifecycle sidecar contains the text.
sidecar_says() { contains "log of $1's sidecar" "$2" "$(k logs "$1" -c consul-connect-lifecycle-sidecar)"; }

# get POD URL [CURL ARGUMENT...]: the response that the pod's own container gets.
get() {
    local pod=$1 url=$2
    shift 2
    k exec "$pod" -- curl -s --max-time 5 "$@" "$url"
}

# answers POD URL TEXT: the response contains the text.
answers() { contains "answer of $2" "$3" "$(get "$1" "$2")"; }

# scrape_url POD: the URL in its Prometheus annotations.
scrape_url() {
    echo "http://$(pod_ip "$1"):$(field "$1" '{.metadata.annotations.prometheus\.io/port}{.metadata.annotations.prometheus\.io/path}')"
}

# scraped BY POD: the pod BY gets the metrics of POD's Envoy.
scraped() { answers "$1" "$(scrape_url "$2")" "envoy_server_live{"; }

# server NAME [FIELD: VALUE of annotations]...: a pod whose service answers
# "I am NAME" on port 8080.
server() {
    local name=$1
    shift
    k apply -f - <<END
$(pod "$name" "$@")
spec:
  containers:
    - name: $name
      image: hashicorp/http-echo:latest
      args: ["-text=I am $name", "-listen=${LISTEN:-:8080}"]
      ports: [{containerPort: 8080, name: http}]
END
}

# client NAME UPSTREAMS [FIELD: VALUE of annotations]...: a pod with curl.
client() {
    local name=$1 upstreams=$2
    shift 2
    k apply -f - <<END
$(pod "$name" "connect-service-upstreams: \"$upstreams\"" "$@")
spec:
  containers:
    - name: $name
      image: tutum/curl:latest
      command: [/bin/sh, -c, "trap exit TERM; while true; do sleep 30 & wait; done"]
END
}

# plain_client NAME: the same, outside the mesh.
plain_client() { INJECT=false client "$1" ""; }

# pod NAME [FIELD: VALUE of annotations]...: prints the YAML of a pod up to its specification.
pod() {
    cat <<END
apiVersion: v1
kind: Pod
metadata:
  name: $1
  labels: {app: $1}
  annotations:
    consul.hashicorp.com/connect-inject: "${INJECT:-true}"
$(annotations "${@:2}")
END
}

annotations() {
    local line
    for line; do echo "    consul.hashicorp.com/$line"; done
}

# ---- Consul -----------------------------------------------------------------

# Files that use another agent redefine this.
consul_curl() { curl -sf --max-time 10 "$@"; }

consul_get() { consul_curl "$CONSUL_URL/v1/$1"; }
consul_post() { consul_curl -X POST --data-binary "$2" "$CONSUL_URL/v1/$1"; }
consul_put() { consul_curl -X PUT --data-binary "${2:-}" "$CONSUL_URL/v1/$1"; }
consul_delete() { consul_curl -X DELETE "$CONSUL_URL/v1/$1"; }

# instances SERVICE: the number of instances to which the mesh would connect.
instances() { consul_get "health/connect/$1?passing" | jq length; }

routable() { equal "instances of $1" "${2:-1}" "$(instances "$1")"; }
not_routable() { routable "$1" 0; }

# check_status SERVICE-ID CHECK-NAME
check_status() {
    consul_get agent/checks | jq -r --arg id "$1" --arg name "$2" \
        '[.[] | select(.ServiceID == $id and .Name == $name) | .Status] | first // "absent"'
}
check_is() { equal "check $2 of $1" "$3" "$(check_status "$1" "$2")"; }

registered() { consul_get agent/services | jq -e --arg id "$1" 'has($id)' >/dev/null; }
not_registered() { ! registered "$1"; }

# forget SERVICE-ID: the agent loses it and its proxy.
forget() {
    consul_put "agent/service/deregister/$1-sidecar-proxy"
    consul_put "agent/service/deregister/$1"
}

# deny SOURCE DESTINATION: until it is removed or the scenario ends.
deny() {
    afterwards allow_again "$2"
    consul_put config "$(jq -nc --arg source "$1" --arg destination "$2" \
        '{Kind: "service-intentions", Name: $destination, Sources: [{Name: $source, Action: "deny"}]}')" >/dev/null
}
allow_again() { consul_delete "config/service-intentions/$1" >/dev/null; }

# refused POD URL: curl exits with code 52, as in the documentation.
refused() {
    local code=0
    get "$@" >/dev/null 2>&1 || code=$?
    equal "exit code of curl" 52 "$code"
}

# ---- the node (not on an existing cluster) ------------------------------------

# container_process POD CONTAINER: the PID of its first process on the node.
container_process() {
    local id
    id=$(k get pod "$1" -o json | jq -r --arg name "$2" \
        '.status | .containerStatuses + .initContainerStatuses | .[] | select(.name == $name) | .containerID')
    ctr --namespace k8s.io task ls | awk -v id="${id#*//}" '$1 == id {print $2}'
}

restarts() {
    k get pod "$1" -o json | jq --arg name "$2" \
        '.status | .containerStatuses + .initContainerStatuses | .[] | select(.name == $name) | .restartCount'
}
restarted() { [ "$(restarts "$1" "$2")" -gt "$3" ]; }

# ---- when a scenario fails ------------------------------------------------------

diagnose() {
    local namespace pod container
    for namespace in $(kubectl get namespaces -l "e2e.scenario=$(scenario_name)" -o jsonpath='{.items[*].metadata.name}'); do
        echo "===== namespace $namespace"
        # Without the scripts, which are constant.
        kubectl --namespace "$namespace" describe pods |
            awk '/^    (Command|Args):/ {script = 1; next} /^(    )?[A-Z]/ {script = 0} !script {print substr($0, 1, 300)}'
        kubectl --namespace "$namespace" get events --sort-by=.lastTimestamp
        for pod in $(kubectl --namespace "$namespace" get pods -o jsonpath='{.items[*].metadata.name}'); do
            for container in $(kubectl --namespace "$namespace" get pod "$pod" \
                -o jsonpath='{.spec.initContainers[*].name} {.spec.containers[*].name}'); do
                echo "----- $pod, container $container"
                kubectl --namespace "$namespace" logs "$pod" -c "$container" --tail=40 2>&1 || true
                kubectl --namespace "$namespace" logs "$pod" -c "$container" --tail=20 --previous 2>/dev/null || true
            done
        done
    done
    for namespace in $(kubectl get pods --all-namespaces --field-selector metadata.name=controllers -o 'jsonpath={.items[*].metadata.namespace}'); do
        echo "===== controllers in $namespace"
        kubectl --namespace "$namespace" logs controllers --tail=40 || true
    done
    echo "===== Consul"
    consul_get agent/services | jq -c '.[] | [.ID, .Address, .Port, .Tags, .Meta]' || true
    consul_get agent/checks | jq -c '.[] | [.ServiceID, .Name, .Status, .Output]' || true
    consul_get 'config/service-intentions' | jq -c '.[]' || true
}
