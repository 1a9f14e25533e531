#!/usr/bin/env bats
# Consul with ACLs in default deny and TLS together, its agents known by name only.

load ../lib/helpers
load ../lib/secure

export POLICY=secure

setup_file() {
    [ -n "${E2E_EXISTING:-}" ] || start_secure_consul
}

@test "secure-expiry: its token expires after a minute, and no call is lost" {
    needs_node
    kubectl label namespace "$NS" --overwrite e2e.policy=secure-brief
    account brief
    account brief-client
    server_as brief "" "" "connect-sync-period: 2s" | k apply -f -
    client_as brief-client brief:1234 | k apply -f -
    permit brief-client brief
    ready brief brief-client
    eventually 60 answers brief-client http://127.0.0.1:1234/ "I am brief"
    k exec brief-client -- sh -c 'until [ -e /tmp/enough ]; do
            curl -s --max-time 20 -o /dev/null -w "%{http_code}\n" http://127.0.0.1:1234/
            sleep 0.1
        done | sort | uniq -c' >"$BATS_TEST_TMPDIR/codes" 3>&- &
    local calls=$!
    eventually 100 sidecar_says brief "logged in to auth method brief again"
    eventually 60 sidecar_says brief-client "logged in to auth method brief again"
    # Both Envoys have the new tokens, without a restart: they hear of the intention.
    eventually 60 routable brief
    answers brief-client http://127.0.0.1:1234/ "I am brief"
    k exec brief-client -- touch /tmp/enough
    wait $calls
    equal "codes other than 200" "" "$(awk '$2 != 200' "$BATS_TEST_TMPDIR/codes")"
    allow_again brief
    eventually 60 refused brief-client http://127.0.0.1:1234/
    equal "restarts of the Envoys" "0 0" "$(restarts brief consul-connect-envoy-sidecar) $(restarts brief-client consul-connect-envoy-sidecar)"
}

@test "secure-pods: the documentation's, with accounts of their own and an intention" {
    needs_node
    k apply -f "$TESTDATA/docs-1.9-server.yaml"
    k apply -f "$TESTDATA/docs-1.9-client.yaml"
    ready static-server static-client
    eventually 60 refused static-client http://127.0.0.1:1234/
    permit static-client static-server
    eventually 60 answers static-client http://127.0.0.1:1234/ '"hello world"'
    allow_again static-server # its removal: denied by default
    eventually 60 refused static-client http://127.0.0.1:1234/
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
    eventually 60 init_says honest "ermission denied"
    not_registered honest-honest
}
init_says() { contains "log of $1's init container" "$2" "$(k logs "$1" -c consul-connect-inject-init)"; }

@test "secure-no-automount: works for pods that want no API token" {
    needs_node
    account unmounted
    server_as unmounted "automountServiceAccountToken: false" | k apply -f -
    ready unmounted
    eventually 60 routable unmounted
    equal "containers with the API token" "" "$(with_api_token unmounted)"
}

@test "secure-no-api-token: the app keeps its token for the API, and what is injected has none" {
    needs_node
    account own-token
    server_as own-token | k apply -f -
    equal "containers with the API token" own-token "$(with_api_token own-token)"
}

@test "secure-restricted: also in a namespace of the strictest Pod Security Standard" {
    needs_node
    in_restricted strict secure
}

@test "secure-restricted-classic: and there without native sidecars" {
    needs_node
    in_restricted strict-classic secure-classic
}

@test "secure-restricted-openshift: and with the ids that OpenShift gives" {
    needs_node
    in_restricted strict-openshift secure-openshift 1000680000
}

# in_restricted NAME POLICY [USER]
in_restricted() {
    kubectl label namespace "$NS" --overwrite "e2e.policy=$2" pod-security.kubernetes.io/enforce=restricted
    account "$1"
    server_as "$1" "securityContext: {runAsNonRoot: true, runAsUser: ${3:-1000}, fsGroup: ${3:-1000}, seccompProfile: {type: RuntimeDefault}}" \
        "{allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}" | k apply -f -
    ready "$1"
    eventually 60 routable "$1"
}

@test "secure-metrics: Prometheus needs neither a token nor a certificate for Envoy's" {
    needs_node
    account secure-metrics
    server_as secure-metrics "" "" 'enable-metrics: "true"' 'prometheus-scrape-path: "/stats"' | k apply -f -
    plain_client metrics-prometheus
    ready secure-metrics metrics-prometheus
    eventually 60 routable secure-metrics
    eventually 60 scraped metrics-prometheus secure-metrics
}

@test "secure-logout: its token is gone when the pod has ended" {
    needs_node
    account leaver
    server_as leaver | k apply -f -
    ready leaver
    equal "tokens" 1 "$(tokens_of leaver)"
    k delete pod leaver
    eventually 60 equal_tokens leaver 0
    not_registered leaver-leaver
}

@test "secure-job: it calls its upstream and finishes, and its token is logged out" {
    needs_node
    account secure-job
    account secure-job-server
    server_as secure-job-server | k apply -f -
    permit secure-job secure-job-server
    ready secure-job-server
    eventually 60 routable secure-job-server
    k apply -f - <<'END'
apiVersion: batch/v1
kind: Job
metadata: {name: secure-job}
spec:
  template:
    metadata:
      labels: {app: secure-job}
      annotations:
        consul.hashicorp.com/connect-inject: "true"
        consul.hashicorp.com/connect-service-upstreams: secure-job-server:1234
    spec:
      serviceAccountName: secure-job
      restartPolicy: Never
      containers:
        - name: secure-job
          image: tutum/curl:latest
          command: [curl, -sf, --retry, "20", --retry-delay, "1", --retry-all-errors, "http://127.0.0.1:1234/"]
END
    k wait --for=condition=Complete --timeout=120s job/secure-job
    contains "what it printed" "I am secure-job-server" "$(k logs job/secure-job -c secure-job)"
    eventually 60 sidecar_says "$(pod_of app=secure-job)" "logged out of auth method"
    eventually 60 equal_tokens secure-job 0
    not_registered "$(pod_of app=secure-job)-secure-job"
}

@test "secure-readiness: a probe that fails takes the pod out, and one that passes brings it back" {
    needs_node
    account probed
    k apply -f - <<'END'
apiVersion: v1
kind: Pod
metadata:
  name: probed
  annotations: {consul.hashicorp.com/connect-inject: "true"}
spec:
  serviceAccountName: probed
  containers:
    - name: probed
      image: busybox:latest
      command: [sh, -c, "trap exit TERM; mkdir /www; echo fine >/www/healthy; httpd -f -p 80 -h /www & wait"]
      ports: [{containerPort: 80}]
      readinessProbe: {httpGet: {path: /healthy, port: 80}, periodSeconds: 1, failureThreshold: 2}
END
    ready probed
    eventually 60 routable probed
    k exec probed -- mv /www/healthy /www/ill
    eventually 60 not_routable probed
    k exec probed -- mv /www/ill /www/healthy
    eventually 60 routable probed
}

@test "secure-token-gone: it logs in anew, and its Envoy still follows intentions" {
    needs_node
    account relogin
    account relogin-client
    server_as relogin "" "" "connect-sync-period: 2s" | k apply -f -
    client_as relogin-client relogin:1234 | k apply -f -
    permit relogin-client relogin
    ready relogin relogin-client
    eventually 60 answers relogin-client http://127.0.0.1:1234/ "I am relogin"

    local before
    before=$(service_tokens relogin)
    delete_tokens_of relogin
    # It may be quicker than a look at none.
    eventually 60 other_tokens relogin "$before"
    eventually 60 routable relogin
    eventually 60 answers relogin-client http://127.0.0.1:1234/ "I am relogin"
    allow_again relogin # the intention goes: its Envoy must hear of it
    eventually 60 refused relogin-client http://127.0.0.1:1234/
}
other_tokens() { equal "tokens of $1" 1 "$(service_tokens "$1" | grep -cvxF -e "$2")"; }
