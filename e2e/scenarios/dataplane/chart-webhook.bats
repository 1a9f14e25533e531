#!/usr/bin/env bats
# The policy beside the webhook of Consul's chart, which injects pods, too.

load ../../lib/helpers
load ../../lib/dataplane

export POLICY=dataplane

setup_file() { controllers_are_ready; }

# works NAME: a server and a client of its own are in the mesh.
works() {
    server "$1"
    client "$1-client" ""
    # The chart's sidecar is the first container.
    k annotate pod "$1-client" --overwrite "kubectl.kubernetes.io/default-container=$1-client"
    services "$1" "$1-client"
    ready "$1" "$1-client"
    eventually 60 answers "$1-client" "http://$(field "service/$1" '{.spec.clusterIP}')/" "I am $1"
}

# injected_once POD: one init container, one proxy.
injected_once() {
    equal "injected containers of $1" "consul-connect-inject-init $PROXY" \
        "$(all_containers "$1" | tr ' ' '\n' | grep '^consul-' | sort | paste -sd' ')"
}

@test "chart-webhook-scoped: with the selector of the documentation it leaves the policy's namespace alone" {
    chart_webhook consul-scoped '{consul.hashicorp.com/chart-webhook: "on"}'
    works scoped
    of_policy scoped
    # And it is there: with the label, it is the one that injects.
    kubectl label namespace "$NS" --overwrite e2e.policy=none consul.hashicorp.com/chart-webhook=on
    eventually 60 injected_by_chart scoped-chart
}

@test "chart-webhook-first: forgotten, and called before the policy, it injects, and the policy leaves that alone" {
    chart_webhook consul-first "{kubernetes.io/metadata.name: $NS}"
    eventually 60 injected_by_chart chart-first-probe
    works chart-first
    of_chart chart-first
    injected_once chart-first
}

@test "chart-webhook-second: forgotten, and called after the policy, it leaves the pod alone" {
    chart_webhook f2f-consul-second "{kubernetes.io/metadata.name: $NS}"
    # The API server knows it once it injects where the policy does not.
    kubectl label namespace "$NS" --overwrite e2e.policy=none
    eventually 60 injected_by_chart chart-second-probe
    kubectl label namespace "$NS" --overwrite e2e.policy=dataplane
    eventually 60 injected_by_policy chart-second
    works chart-second
    injected_once chart-second
}
injected_by_policy() {
    k delete pod "$1" --ignore-not-found --grace-period=1
    server "$1"
    of_policy "$1"
}
