#!/usr/bin/env bats
# The node's agent goes away and comes back. All its pods feel it: these run alone.

load ../../lib/helpers

agent() { "$E2E_DIR/lib/consul.sh" "$1" client; }
agent_answers() { consul_get agent/self; }
agent_is_back() { agent_answers || agent start; }
agent_lost_its_data() {
    agent stop
    rm -rf "$SCRATCH/consul/client"
    agent start
    eventually 60 agent_answers
}

@test "agent-lost-data: it has the pods back within the sync period, and they answer" {
    needs_node
    server agent-server "connect-sync-period: 2s"
    client agent-client agent-server:1234 "connect-sync-period: 2s"
    ready agent-server agent-client
    eventually 60 answers agent-client http://127.0.0.1:1234/ "I am agent-server"

    agent_lost_its_data
    eventually 10 registered agent-server-agent-server
    eventually 10 registered agent-client-agent-client-sidecar-proxy
    eventually 10 routable agent-server
    eventually 10 answers agent-client http://127.0.0.1:1234/ "I am agent-server"
}

@test "slow-image: a registration that is lost while Envoy's image is pulled is back when Envoy runs" {
    needs_node
    without_envoy_image
    server slow-image "connect-sync-period: 2s"
    eventually 60 init_ended slow-image
    forget slow-image-slow-image
    never 5 registered slow-image-slow-image
    kill -CONT "$registry"
    eventually 60 sidecar_says slow-image "registering again"
    eventually 10 routable slow-image
}

@test "slow-image-classic: without native sidecars the registration is tended before Envoy's image is there" {
    needs_node
    kubectl label namespace "$NS" --overwrite e2e.policy=classic
    without_envoy_image
    k apply -f - <<'END'
apiVersion: v1
kind: Pod
metadata:
  name: slow-classic
  annotations: {consul.hashicorp.com/connect-inject: "true", consul.hashicorp.com/connect-sync-period: 2s}
spec:
  containers:
    - name: slow-classic
      image: hashicorp/http-echo:latest
      imagePullPolicy: IfNotPresent
      args: ["-text=I am slow-classic", "-listen=:8080"]
      ports: [{containerPort: 8080}]
END
    eventually 60 check_is slow-classic-slow-classic Pod passing
    forget slow-classic-slow-classic
    eventually 10 check_is slow-classic-slow-classic Pod passing
    not_routable slow-classic
    kill -CONT "$registry"
    eventually 60 routable slow-classic
}

@test "no-configuration: an Envoy that gets none holds the app back, not the pod's deletion" {
    needs_node
    without_envoy_image
    server held
    server held-deleted
    eventually 60 init_ended held
    eventually 60 init_ended held-deleted
    afterwards agent_is_back
    agent stop
    rm -rf "$SCRATCH/consul/client"
    kill -CONT "$registry"
    eventually 60 envoy_runs held-deleted
    # With a lifecycle sidecar that has just started.
    sleep 3
    k delete pod held-deleted --timeout=30s
    equal "started" "" "$(field held '{.status.containerStatuses[*].state.running}')"
    agent start
    eventually 60 agent_answers
    ready held
    eventually 60 routable held
}
envoy_runs() { [ -n "$(field "$1" '{.status.initContainerStatuses[?(@.name=="consul-connect-envoy-sidecar")].state.running}')" ]; }

# without_envoy_image: the node does not have it, and the registry does not answer until $registry is continued.
without_envoy_image() {
    server image-first
    ready image-first
    registry=$(cat "$SCRATCH/registry.pid")
    afterwards kill -CONT "$registry"
    kill -STOP "$registry"
    ctr --namespace k8s.io images rm "docker.io/$IMAGE_ENVOY"
}
init_ended() { [ -n "$(field "$1" '{.status.initContainerStatuses[?(@.name=="consul-connect-inject-init")].state.terminated}')" ]; }

@test "agent-restarts: with its data, nothing is registered anew and the mesh goes on" {
    needs_node
    server restart-server "connect-sync-period: 1s"
    client restart-client restart-server:1234 "connect-sync-period: 1s"
    ready restart-server restart-client
    eventually 60 answers restart-client http://127.0.0.1:1234/ "I am restart-server"
    eventually 60 routable restart-server
    local created taken
    created=$(created restart-server restart-client)
    taken=$(heartbeats_taken restart-server)

    agent stop
    answers restart-client http://127.0.0.1:1234/ "I am restart-server"
    eventually 60 sidecar_says restart-server "no answer from the agent"
    agent start
    eventually 60 agent_answers
    eventually 60 taken_again restart-server "$taken"
    eventually 60 routable restart-server
    eventually 60 answers restart-client http://127.0.0.1:1234/ "I am restart-server"
    # Every third heartbeat is the proxy's, too.
    never 4 sidecar_says restart-server "registering again"
    fails sidecar_says restart-client "registering again" >/dev/null
    equal "what was created when" "$created" "$(created restart-server restart-client)"
}
# created SERVICE...: its instances and its proxies' in Consul's catalog, and since when.
created() {
    local service
    for service; do
        consul_get "catalog/service/$service" | jq -c '.[] | [.ServiceID, .CreateIndex]'
        consul_get "catalog/service/$service-sidecar-proxy" | jq -c '.[] | [.ServiceID, .CreateIndex]'
    done
}
heartbeats_taken() { k logs "$1" -c consul-connect-lifecycle-sidecar | grep -c "accepts the heartbeat"; }
taken_again() { (($(heartbeats_taken "$1") > $2)); }

@test "agent-down: pods that start meanwhile wait for it, and those that end do end" {
    needs_node
    server down-leaver
    ready down-leaver
    agent stop
    server down-starter
    eventually 60 init_waits down-starter
    # Within its grace period, with a minute to say that it was not.
    k delete pod down-leaver --timeout=60s
    agent start
    eventually 60 agent_answers
    ready down-starter
    eventually 60 routable down-starter
}
init_waits() { contains "log of $1's init container" 8500 "$(k logs "$1" -c consul-connect-inject-init)"; }

@test "server-away: running pods go on, those that start wait, those that end do end" {
    needs_node
    server away-server
    client away-client away-server:1234
    server away-leaver
    ready away-server away-client away-leaver
    eventually 60 answers away-client http://127.0.0.1:1234/ "I am away-server"

    "$E2E_DIR/lib/consul.sh" stop server
    server away-starter
    eventually 60 init_waits away-starter
    k delete pod away-leaver --timeout=60s
    answers away-client http://127.0.0.1:1234/ "I am away-server"

    "$E2E_DIR/lib/consul.sh" start server
    ready away-starter
    eventually 60 routable away-starter
    eventually 60 gone_from_catalog away-leaver
    eventually 60 routable away-server
    answers away-client http://127.0.0.1:1234/ "I am away-server"
}
gone_from_catalog() { equal "instances of $1" 0 "$(consul_get "catalog/service/$1" | jq length)"; }
