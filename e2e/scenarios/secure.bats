#!/usr/bin/env bats
# Consul with ACLs in default deny and TLS together, its agents known by name only.

load ../lib/helpers
load ../lib/secure

export POLICY=secure

setup_file() {
    [ -n "${E2E_EXISTING:-}" ] || start_secure_consul
}

@test "secure-pods: the documentation's, with accounts of their own and an intention" {
    needs_node
    k apply -f "$TESTDATA/docs-1.9-server.yaml"
    k apply -f "$TESTDATA/docs-1.9-client.yaml"
    ready static-server static-client
    eventually 15 refused static-client http://127.0.0.1:1234/
    permit static-client static-server
    eventually 15 answers static-client http://127.0.0.1:1234/ '"hello world"'
    allow_again static-server # its removal: denied by default
    eventually 15 refused static-client http://127.0.0.1:1234/
}

@test "secure-account: a pod whose account is not its service's is refused with the remedy" {
    needs_node
    local told
    told=$(fails k apply -f "$TESTDATA/docs-1.5-server.yaml" 2>&1)
    contains "what kubectl prints" serviceAccountName "$told"
    contains "what kubectl prints" echo-server "$told"
}

@test "secure-foreign: forced past the policy, Consul refuses it" {
    needs_node
    account honest
    account thief
    # What the policy makes of an honest pod, run under another account where no
    # policy looks.
    server_as honest | kubectl --namespace "$NS" create --dry-run=server -o json -f - >"$BATS_TEST_TMPDIR/honest.json"
    kubectl label namespace "$NS" --overwrite e2e.policy=none
    jq '.spec.serviceAccountName = "thief" | .spec.serviceAccount = "thief" | .metadata |= {name, annotations, labels}
        | del(.spec.volumes[] | select(.name | startswith("kube-api-access")))
        | del(.spec.containers[].volumeMounts)' "$BATS_TEST_TMPDIR/honest.json" | k apply -f -
    eventually 40 init_says honest "ermission denied"
    not_registered honest-honest
}
init_says() { contains "log of $1's init container" "$2" "$(k logs "$1" -c consul-connect-inject-init)"; }

@test "secure-no-automount: works for pods that want no API token" {
    needs_node
    account unmounted
    server_as unmounted "automountServiceAccountToken: false" | k apply -f -
    ready unmounted
    eventually 15 routable unmounted
    equal "containers with the API token" 0 "$(k get pod unmounted -o json |
        jq '[.spec.volumes[] | select(.projected.sources[]?.configMap.name == "kube-root-ca.crt")] | length')"
}

@test "secure-restricted: also in a namespace of the strictest Pod Security Standard" {
    needs_node
    kubectl label namespace "$NS" pod-security.kubernetes.io/enforce=restricted
    account strict
    server_as strict "securityContext: {runAsNonRoot: true, runAsUser: 1000, seccompProfile: {type: RuntimeDefault}}" \
        "{allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}" | k apply -f -
    ready strict
    eventually 15 routable strict
}

@test "secure-logout: its token is gone when the pod has ended" {
    needs_node
    account leaver
    server_as leaver | k apply -f -
    ready leaver
    equal "tokens" 1 "$(tokens_of leaver)"
    k delete pod leaver
    eventually 10 equal_tokens leaver 0
    not_registered leaver-leaver
}

@test "secure-token-gone: it logs in anew, and its Envoy still follows intentions" {
    needs_node
    account relogin
    account relogin-client
    server_as relogin "" "" "connect-sync-period: 2s" | k apply -f -
    client_as relogin-client relogin:1234 | k apply -f -
    permit relogin-client relogin
    ready relogin relogin-client
    eventually 15 answers relogin-client http://127.0.0.1:1234/ "I am relogin"

    delete_tokens_of relogin
    equal_tokens relogin 0
    eventually 30 equal_tokens relogin 1
    eventually 30 routable relogin
    eventually 30 answers relogin-client http://127.0.0.1:1234/ "I am relogin"
    allow_again relogin # the intention goes: its Envoy must hear of it
    eventually 30 refused relogin-client http://127.0.0.1:1234/
}
