#!/usr/bin/env bats
# The examples do on a cluster what they say. Their names are changed on the way:
# a service's name is the same in all namespaces.

load ../lib/helpers

EXAMPLES=$PROJECT_DIR/examples

renamed() { sed -E 's/\b(static-server|static-client|web|caller)\b/examples-\1/g' "$EXAMPLES/$1"; }

job_said() { contains "log of $1" "$2" "$(k logs "job/$1" -c "$1")"; }

@test "examples-workloads: a Deployment takes part, and a Job calls a service and ends" {
    renamed static-server.yaml | k apply -f -
    ready examples-static-server
    eventually 60 routable examples-static-server
    renamed deployment.yaml | k apply -f -
    k rollout status deployment/examples-web --timeout=120s
    injected "$(pod_of app=examples-web)"
    renamed job.yaml | k apply -f -
    k wait --for=condition=Complete job/examples-caller --timeout=120s
    job_said examples-caller "hello world"
}

@test "examples-resources: an API server with Kubewarden's definitions takes the policies, field for field" {
    needs_node
    local definitions file
    definitions=$("$PROJECT_DIR/scripts/crds.sh")
    for file in "$definitions"/*{admissionpolicies,policyservers}.yaml; do
        kubectl apply --server-side -f "$file" >/dev/null
    done
    kubectl wait --for=condition=Established --timeout=30s crd -l '!nothing' >/dev/null
    for file in "$EXAMPLES"/base/policy*.yaml "$EXAMPLES"/policies/*.yaml; do
        sed "s/namespace: shop/namespace: $NS/" "$file" | eventually_applied
    done
    kubectl apply --dry-run=server --validate=strict -k "$EXAMPLES/base"
    kubectl apply --dry-run=server --validate=strict -k "$EXAMPLES/overlays/secured"
    # And it is a check: what is not in a definition is refused.
    fails sh -c "sed 's/  mutating: true/  mutatign: true/' '$EXAMPLES/base/policy.yaml' |
        kubectl apply --dry-run=server --validate=strict -f -"
}

# A kind that is a moment old may not be served yet.
eventually_applied() {
    local manifest
    manifest=$(cat)
    eventually 60 sh -c 'printf "%s\n" "$1" | kubectl apply --dry-run=server --validate=strict -f -' - "$manifest"
}
