#!/usr/bin/env bats
# A rolling update under load. It wants the machine for itself.

load ../../lib/helpers

rolling_server() {
    k apply -f - <<END
apiVersion: apps/v1
kind: Deployment
metadata: {name: rolling}
spec:
  replicas: 3
  strategy: {rollingUpdate: {maxUnavailable: 0, maxSurge: 1}}
  selector: {matchLabels: {app: rolling}}
  template:
    metadata:
      labels: {app: rolling}
      annotations:
        consul.hashicorp.com/connect-inject: "true"
        consul.hashicorp.com/connect-service-protocol: http
    spec:
      containers:
        - name: rolling
          image: hashicorp/http-echo:latest
          args: ["-text=I am $1", "-listen=:8080"]
          ports: [{containerPort: 8080, name: web}]
          readinessProbe: {httpGet: {path: /, port: web}, periodSeconds: 1}
          lifecycle: {preStop: {sleep: {seconds: 3}}}
END
}

@test "rolling-update: under load, http with connections kept alive and with one a request, nothing is lost" {
    rolling_server old
    k rollout status deployment/rolling --timeout=120s
    client rolling-client rolling:1234
    ready rolling-client
    eventually 60 answers rolling-client http://127.0.0.1:1234/ "I am old"
    eventually 60 routable rolling 3

    calls -H "Connection: close" >"$BATS_TEST_TMPDIR/one-a-request" 3>&- &
    local one_a_request=$!
    calls >"$BATS_TEST_TMPDIR/kept-alive" 3>&- &
    local kept_alive=$!
    rolling_server new
    k rollout status deployment/rolling --timeout=120s
    k exec rolling-client -- touch /tmp/enough
    wait $one_a_request
    wait $kept_alive
    lost_none one-a-request
    lost_none kept-alive
    eventually 60 answers rolling-client http://127.0.0.1:1234/ "I am new"
}

# calls [CURL ARGUMENT...]: their codes and how often. Batches, each with a connection
# that curl keeps, until the update is through, at least 20 and at most 200.
calls() {
    k exec rolling-client -- sh -c 'i=0
        while [ $i -lt 20 ] || [ ! -e /tmp/enough ] && [ $i -lt 200 ]; do
            curl -s "$@" -o /dev/null -w "%{http_code}\n" "http://127.0.0.1:1234/[1-500]"
            i=$((i + 1))
        done | sort | uniq -c' sh "$@"
}

lost_none() {
    echo "$1: $(cat "$BATS_TEST_TMPDIR/$1")"
    equal "codes other than 200" "" "$(awk '$2 != 200' "$BATS_TEST_TMPDIR/$1")"
    (($(awk '{print $1}' "$BATS_TEST_TMPDIR/$1") >= 10000))
}
