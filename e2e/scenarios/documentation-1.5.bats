#!/usr/bin/env bats
# The documentation's own YAML, to the letter, does what its 1.5 page says.

# The page's names are fixed, and a service's name is the same in all namespaces.
export BATS_NO_PARALLELIZE_WITHIN_FILE=true

load ../lib/helpers
load ../lib/documentation

@test "docs-1.5-pods: hello world through the upstream, and not with a deny intention" {
    k apply -f "$TESTDATA/docs-1.5-server.yaml"
    k apply -f "$TESTDATA/docs-1.5-client.yaml"
    hello_world echo-server echo-client
}

@test "docs-1.5-deployments: the same pods in Deployments" {
    k apply -f "$TESTDATA/docs-1.5-deployments.yaml"
    hello_world echo-server echo-client "$(pod_of app=echo-server)" "$(pod_of app=echo-client)"
}

@test "docs-1.5-example-deployment: a service without a port is in the mesh" {
    k apply -f "$TESTDATA/docs-1.5-consul-example-deployment.yaml"
    k rollout status deployment/consul-example-deployment --timeout=120s
    local pod
    pod=$(pod_of app=consul-example)
    injected "$pod"
    eventually 60 registered "$pod-example"
    eventually 60 registered "$pod-example-sidecar-proxy"
}
