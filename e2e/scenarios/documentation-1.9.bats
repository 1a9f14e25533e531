#!/usr/bin/env bats
# The documentation's own YAML, to the letter, does what its 1.9 page says.

# The page's names are fixed, and a service's name is the same in all namespaces.
export BATS_NO_PARALLELIZE_WITHIN_FILE=true

load ../lib/helpers
load ../lib/documentation

@test "docs-1.9-pods: hello world through the upstream, and not with a deny intention" {
    k apply -f "$TESTDATA/docs-1.9-server.yaml"
    k apply -f "$TESTDATA/docs-1.9-client.yaml"
    hello_world static-server static-client
}

@test "docs-1.9-deployments: the same pods in Deployments" {
    k apply -f "$TESTDATA/docs-1.9-deployments.yaml"
    hello_world static-server static-client "$(pod_of app=static-server)" "$(pod_of app=static-client)"
}

@test "docs-1.9-example-deployment: a service without a port is in the mesh" {
    k apply -f "$TESTDATA/docs-1.9-consul-example-deployment.yaml"
    k rollout status deployment/consul-example-deployment --timeout=120s
    local pod
    pod=$(pod_of app=consul-example)
    injected "$pod"
    eventually 60 registered "$pod-consul-example"
    eventually 60 registered "$pod-consul-example-sidecar-proxy"
}
