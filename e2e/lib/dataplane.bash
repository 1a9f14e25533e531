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
