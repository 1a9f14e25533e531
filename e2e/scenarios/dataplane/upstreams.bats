#!/usr/bin/env bats
# Dataplane mode without transparent proxy: pods call their upstreams on 127.0.0.1.

load ../../lib/helpers
load ../../lib/documentation
load ../../lib/dataplane

export POLICY=dataplane-upstreams

setup_file() { controllers_are_ready; }

@test "dataplane-docs: hello world by mutual TLS, not with a deny intention, and to nobody beside the mesh" {
    k apply -f "$TESTDATA/docs-1.9-server.yaml"
    k apply -f "$TESTDATA/docs-1.9-client.yaml"
    k label pod static-server app=static-server
    k label pod static-client app=static-client
    services static-server static-client
    hello_world static-server static-client
    native static-server
    # Envoy is what others reach of the pod, and it asks for a certificate of the mesh.
    plain_client docs-outsider
    ready docs-outsider
    fails get docs-outsider "http://$(pod_ip static-server):20000/"
    fails get docs-outsider "https://$(pod_ip static-server):20000/" --insecure
}

@test "dataplane-job: it calls its upstream and finishes, without waiting for its proxy" {
    server dpjob-server
    services dpjob-server dpjob
    ready dpjob-server
    job dpjob http://127.0.0.1:1234/ "connect-service-upstreams: dpjob-server:1234"
    k wait --for=condition=Complete --timeout=120s job/dpjob
    contains "what it printed" "I am dpjob-server" "$(k logs job/dpjob -c dpjob)"
    # The proxy has no grace period to wait for.
    (($(seconds_after_the_app dpjob) < 10))
    # Kubernetes lists a finished pod that was never ready among the Service's until it is deleted.
    not_routable dpjob
    k delete job dpjob
    eventually 60 catalog_is dpjob ""
}

# seconds_after_the_app NAME: how long the Job's proxy went on after its app had finished.
seconds_after_the_app() {
    k get pods -l "app=$1" -o json | jq '.items[0].status
        | (.initContainerStatuses[] | select(.name == "consul-dataplane") | .state.terminated.finishedAt | fromdate)
        - (.containerStatuses[0].state.terminated.finishedAt | fromdate)'
}

@test "dataplane-restricted: in a namespace of the strictest Pod Security Standard, with native sidecars" {
    in_restricted strict-native dataplane-upstreams
    native strict-native
}

@test "dataplane-restricted-classic: and with ordinary ones" {
    in_restricted strict-ordinary dataplane-classic
    classic strict-ordinary
}

# in_restricted NAME POLICY: a server of that name there is reached through the mesh.
in_restricted() {
    client "$1-client" "$1:1234"
    services "$1" "$1-client"
    kubectl label namespace "$NS" --overwrite "e2e.policy=$2" pod-security.kubernetes.io/enforce=restricted
    restricted_server "$1" | k apply -f -
    ready "$1" "$1-client"
    eventually 60 answers "$1-client" http://127.0.0.1:1234/ "I am $1"
}

@test "dataplane-and-agent: pods of both modes call each other in one mesh" {
    # The label counts when a pod is made.
    kubectl label namespace "$NS" --overwrite e2e.policy=standard
    server both-agent
    client both-agent-client both-dataplane:1234
    kubectl label namespace "$NS" --overwrite e2e.policy=dataplane-upstreams
    server both-dataplane
    client both-dataplane-client both-agent:1234
    services both-agent both-agent-client both-dataplane both-dataplane-client
    ready both-agent both-agent-client both-dataplane both-dataplane-client
    eventually 60 answers both-agent-client http://127.0.0.1:1234/ "I am both-dataplane"
    eventually 60 answers both-dataplane-client http://127.0.0.1:1234/ "I am both-agent"
    # Each is registered once: by itself, or by the controllers.
    catalog_is both-agent both-agent
    catalog_is both-dataplane both-dataplane
    deny both-agent-client both-dataplane
    deny both-dataplane-client both-agent
    eventually 60 refused both-agent-client http://127.0.0.1:1234/
    eventually 60 refused both-dataplane-client http://127.0.0.1:1234/
}

@test "dataplane-multi-port: each port of the pod is a service of its own" {
    k apply -f - <<'END'
apiVersion: v1
kind: Pod
metadata:
  name: multi
  labels: {app: multi}
  annotations:
    consul.hashicorp.com/connect-inject: "true"
    consul.hashicorp.com/connect-service: "multi-shop,multi-admin"
    consul.hashicorp.com/connect-service-port: "shop,admin"
spec:
  containers:
    - name: shop
      image: hashicorp/http-echo:latest
      args: ["-text=I am the shop", "-listen=:8080"]
      ports: [{containerPort: 8080, name: shop}]
    - name: admin
      image: hashicorp/http-echo:latest
      args: ["-text=I am the administration", "-listen=:9090"]
      ports: [{containerPort: 9090, name: admin}]
END
    client multi-client "multi-shop:1234,multi-admin:1235"
    services multi-shop multi-admin multi-client
    k set selector service multi-shop app=multi
    k set selector service multi-admin app=multi
    ready multi multi-client
    eventually 60 answers multi-client http://127.0.0.1:1234/ "I am the shop"
    eventually 60 answers multi-client http://127.0.0.1:1235/ "I am the administration"
    deny multi-client multi-admin
    eventually 60 refused multi-client http://127.0.0.1:1235/
    answers multi-client http://127.0.0.1:1234/ "I am the shop"
}

@test "dataplane-no-service: without a Service of its own a pod waits, and starts when it has one" {
    server lonely
    eventually 60 init_waits lonely
    never 5 started lonely
    services lonely
    ready lonely
    eventually 60 routable lonely
}
init_waits() { contains "log of $1's init container" "Unable to find registered services; retrying" "$(k logs "$1" -c consul-connect-inject-init)"; }
started() { [ "$(field "$1" '{.status.containerStatuses[0].started}')" = true ]; }

@test "dataplane-init-container: the user's init containers call their upstreams already" {
    server early-server
    services early-server early
    ready early-server
    eventually 60 routable early-server
    k apply -f - <<'END'
apiVersion: v1
kind: Pod
metadata:
  name: early
  labels: {app: early}
  annotations:
    consul.hashicorp.com/connect-inject: "true"
    consul.hashicorp.com/connect-service-upstreams: early-server:1234
spec:
  initContainers:
    - name: first
      image: tutum/curl:latest
      command: [curl, -sf, --retry, "10", --retry-delay, "1", --retry-all-errors, "http://127.0.0.1:1234/"]
  containers:
    - {name: early, image: "hashicorp/http-echo:latest", args: ["-text=I am early", "-listen=:8080"], ports: [{containerPort: 8080}]}
END
    ready early
    contains "what the init container printed" "I am early-server" "$(k logs early -c first)"
}

@test "dataplane-proxy-health: with use-proxy-health-check the kubelet asks Envoy itself" {
    server healthy 'use-proxy-health-check: "true"'
    services healthy
    plain_client healthy-outsider
    ready healthy healthy-outsider
    equal "status" 200 "$(get healthy-outsider "http://$(pod_ip healthy):21000/ready" -o /dev/null -w '%{http_code}')"
}
