#!/usr/bin/env bats
# From the chart's webhook to the policy and back, with ACLs and TLS. It wants the machine
# for itself.

load ../../../lib/helpers
load ../../../lib/secure
load ../../../lib/load
load ../../../lib/dataplane

export POLICY=dataplane-secure

setup_file() {
    start_secure_consul
    start_secure_controllers
    controllers_are_ready consul-secure
}

# reach_webhook PORT: the webhook of these controllers, at the node's address.
reach_webhook() {
    local address relay
    address=$(kubectl --namespace consul-secure get pod controllers -o 'jsonpath={.status.podIP}')
    socat "TCP-LISTEN:$1,bind=$NODE_IP,fork,reuseaddr" "TCP:$address:8080" 3>&- &
    relay=$!
    afterwards kill $relay
}

# to_policy, to_chart: who injects the namespace's pods from now on, and new pods for all.
to_policy() {
    kubectl label namespace "$NS" --overwrite consul.hashicorp.com/chart-webhook=off e2e.policy=dataplane-secure
    ACCOUNT=moving rolling_server moving policy
    of_policy "$(newest moving)"
}
to_chart() {
    kubectl label namespace "$NS" --overwrite consul.hashicorp.com/chart-webhook=on e2e.policy=none
    ACCOUNT=moving rolling_server moving "chart${1:-}"
    of_chart "$(newest moving)"
}
there_and_back() {
    to_policy
    to_chart -again
}

# newest NAME: of the Deployment's pods.
newest() { k get pods -l "app=$1" --sort-by .metadata.creationTimestamp -o 'jsonpath={.items[-1:].metadata.name}'; }

# running NAME: the Deployment's pods that are not about to end.
running() { k get pods -l "app=$1" -o json | jq -r '[.items[] | select(.metadata.deletionTimestamp | not) | .metadata.name] | sort | join(" ")'; }

@test "dataplane-move: pods roll from the chart's webhook to the policy and back under load, and nothing is lost or left" {
    account moving
    account moving-client
    services moving moving-client
    http moving
    permit moving-client moving
    client_as moving-client "" | k apply -f -
    reach_webhook 8081
    chart_webhook consul-move '{consul.hashicorp.com/chart-webhook: "on"}' 8081
    kubectl label namespace "$NS" --overwrite consul.hashicorp.com/chart-webhook=on e2e.policy=none
    account moving-probe
    eventually 60 injected_by_chart moving-probe
    to_chart
    ready moving-client
    eventually 60 answers moving-client http://moving.virtual.consul/ "I am chart"

    under_load moving-client http://moving.virtual.consul/ there_and_back
    eventually 60 answers moving-client http://moving.virtual.consul/ "I am chart-again"
    eventually 90 catalog_is moving "$(running moving)"
    eventually 60 equal_tokens moving 3
}
