#!/usr/bin/env bats
# What is promised in seconds, in memory and in processor time: these run alone.

load ../../lib/helpers

# after COMMAND...: in `took`, how many milliseconds it takes until the command
# succeeds, which is looked at for 10 s.
after() {
    local began
    began=$(milliseconds)
    eventually 10 "$@" || true
    took=$(($(milliseconds) - began))
}

@test "deleted: out of load balancing within 2 s, and its registration gone at its end" {
    # The app goes on for a while, so that it is not its end that is seen.
    k apply -f - <<'END'
apiVersion: v1
kind: Pod
metadata:
  name: deleted-server
  annotations: {consul.hashicorp.com/connect-inject: "true"}
spec:
  containers:
    - name: deleted-server
      image: nginx
      ports: [{containerPort: 80}]
      lifecycle: {preStop: {sleep: {seconds: 12}}}
END
    ready deleted-server
    eventually 60 routable deleted-server
    # A kubelet that has just looked at a pod begins its end up to 2 s late.
    never 4 not_routable deleted-server
    date -u "+at %T.%3N: it is deleted"
    k delete pod deleted-server --wait=false
    after not_routable deleted-server
    date -u "+at %T.%3N: out of load balancing for $took ms after kubectl came back, load $(cat /proc/loadavg)"
    k logs deleted-server -c consul-connect-lifecycle-sidecar --timestamps --tail=3
    k get events --field-selector involvedObject.name=deleted-server,reason=Killing
    echo "out of load balancing $took ms after its deletion, of 2000"
    ((took <= 2000))
    registered deleted-server-deleted-server
    k wait --for=delete pod/deleted-server --timeout=120s
    not_registered deleted-server-deleted-server
    not_registered deleted-server-deleted-server-sidecar-proxy
}

@test "prompt: connected to within 2 s of being ready" {
    server prompt-server
    ready prompt-server
    after routable prompt-server
    echo "routable $took ms after it was ready, of 2000"
    ((took <= 2000))
}

@test "long-init: while the pod's own init container takes its time it is tended, and connected to within 2 s of being ready" {
    k apply -f - <<'END'
apiVersion: v1
kind: Pod
metadata:
  name: long-init
  annotations: {consul.hashicorp.com/connect-inject: "true", consul.hashicorp.com/connect-sync-period: 2s}
spec:
  initContainers:
    - {name: waits, image: busybox:latest, command: [sh, -c, "until [ -e /tmp/go ]; do sleep 0.1; done"]}
  containers:
    - name: long-init
      image: hashicorp/http-echo:latest
      args: ["-text=I am long-init", "-listen=:8080"]
      ports: [{containerPort: 8080}]
END
    eventually 60 sidecar_says long-init "nothing listens on port 8080"
    forget long-init-long-init
    eventually 60 sidecar_says long-init "registering again"
    eventually 60 registered long-init-long-init-sidecar-proxy
    # Longer than it takes until its other checks have run.
    never 4 routable long-init
    registered long-init-long-init
    k exec long-init -c waits -- touch /tmp/go
    ready long-init
    after routable long-init
    echo "routable $took ms after it was ready, of 2000"
    ((took <= 2000))
}

@test "sync-period: a registration that is lost is back within it" {
    server periodic "connect-sync-period: 2s"
    ready periodic
    eventually 60 routable periodic
    forget periodic-periodic
    eventually 6 registered periodic-periodic-sidecar-proxy
    eventually 10 routable periodic
}

@test "successor: the pod that follows a killed one of its name is in the mesh within 15 s, twenty times" {
    k apply -f - <<'END'
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  selector: {matchLabels: {app: db}}
  template:
    metadata:
      labels: {app: db}
      annotations: {consul.hashicorp.com/connect-inject: "true"}
    spec:
      containers:
        - {name: db, image: "hashicorp/http-echo:latest", args: ["-text=I am db", "-listen=:8080"], ports: [{containerPort: 8080}]}
END
    eventually 60 only_instance db db-0 none
    local number address began
    for number in {1..20}; do
        sleep "$((RANDOM % 3)).$((RANDOM % 10))"
        address=$(pod_ip db-0)
        began=$(milliseconds)
        k delete pod db-0 --force --grace-period=0 2>/dev/null
        eventually 15 only_instance db db-0 "$address"
        echo "in the mesh $(($(milliseconds) - began)) ms after the end of the one before"
    done
    k delete statefulset db
    eventually 60 gone db
}

# only_instance SERVICE POD ADDRESS: the pod, which has another address, is in the mesh, and Consul
# knows no other instance and no other heartbeat.
only_instance() {
    local address
    address=$(pod_ip "$2")
    [ -n "$address" ] && [ "$address" != "$3" ] &&
        equal "in the mesh" "$address" "$(consul_get "health/connect/$1?passing" | jq -r '.[].Service.Address')" &&
        equal "known" "$address" "$(consul_get "health/service/$1" | jq -r '.[].Service.Address')" &&
        equal "heartbeats" Pod "$(consul_get "health/checks/$1" | jq -r '.[].Name')"
}
gone() { equal "instances of $1" "" "$(consul_get "health/service/$1" | jq -r '.[].Service.ID')"; }

@test "idle: the sidecar holds at most 2 MB between heartbeats, and nothing grows" {
    needs_node
    server idle-server "connect-sync-period: 1s"
    ready idle-server
    eventually 60 routable idle-server
    local process memory time
    process=$(container_process idle-server consul-connect-lifecycle-sidecar)
    eventually 60 holds_at_most "$process" 2048
    memory=$(own_memory "$process")
    time=$(processor_time "$process")
    # Some ten heartbeats.
    never 10 more_than "$((memory + 64))" own_memory "$process"
    eventually 60 holds_at_most "$process" 2048
    echo "own memory: $memory KiB, then $(own_memory "$process"); hundredths of processor seconds: $(($(processor_time "$process") - time))"
    fails more_than "$((time + 50))" processor_time "$process"
}
more_than() { (($("${@:2}") > $1)); }

# holds_at_most PROCESS KIB: it waits, the only one of its container, and what is
# resident of it, the shell's code included, is no more.
holds_at_most() {
    local resident
    equal "its processes" "" "$(cat "/proc/$1/task/$1/children")" || return
    resident=$(awk '/^VmRSS:/ {print $2}' "/proc/$1/status")
    echo "memory: $resident KiB"
    ((resident <= $2))
}
own_memory() { awk '/^RssAnon:/ {print $2}' "/proc/$1/status"; }

# Its own and that of all it has waited for.
processor_time() { awk '{print $14 + $15 + $16 + $17}' "/proc/$1/stat"; }
