# Connects the policy with the API server. Sourced by session.sh.
# shellcheck shell=bash

# start_admission: serves policies.yml, unless a policy server does, and registers the
# webhooks.
start_admission() {
    local url=${E2E_POLICY_SERVER:-}
    if [ -z "$url" ]; then
        url=https://$WEBHOOK_IP:$WEBHOOK_PORT
        serve_policies
    elif [ -z "$EXISTING" ]; then
        reach_policy_server "$url"
    fi
    anywhere kubectl apply -f - <<<"$(webhooks "${url%/}")" >/dev/null
}

# reach_policy_server URL: makes a policy server on this machine reachable from the node's
# network at the same address, so that the URL and its certificate stay valid.
reach_policy_server() {
    local address=${1#*://}
    address=${address%%/*}
    [[ $address == *:* ]] || address=$address:443
    local host=${address%:*}
    [ "$host" != localhost ] || host=127.0.0.1
    case $host in
    198.18.*) return ;; # inside already
    127.*) ;;
    *) inside ip address replace "$host/32" dev lo ;;
    esac
    relay node "$host:${address##*:}" "$host:${address##*:}"
}

serve_policies() {
    [ -x "$POLICY_HOST" ] || die "there is no $POLICY_HOST; cargo build --release -p policy-host builds it"
    "$E2E_DIR/policies.sh" "file://$POLICY_WASM" >"$SCRATCH/policies.yml"
    # The previous one, if the cluster was kept.
    if [ -f "$SCRATCH/policy-host.pid" ]; then
        inside kill "$(cat "$SCRATCH/policy-host.pid")" 2>/dev/null || true
        until_true 15 fails_inside kill -0 "$(cat "$SCRATCH/policy-host.pid")"
    fi
    # shellcheck disable=SC2016
    inside bash -c 'setsid "$@" >>'"$SCRATCH"'/logs/policy-host.log 2>&1 </dev/null 9>&- & echo $! >'"$SCRATCH"'/policy-host.pid' \
        bash "$POLICY_HOST" serve --policies "$SCRATCH/policies.yml" \
        --cert-file "$SCRATCH/pki/server.crt" --key-file "$SCRATCH/pki/server.key" \
        --addr "$WEBHOOK_IP" --port "$WEBHOOK_PORT" --readiness-probe-port "$READINESS_PORT"
    until_true 30 inside curl -sf "http://$WEBHOOK_IP:$READINESS_PORT/readiness" ||
        { cat "$SCRATCH/logs/policy-host.log" >&2; die "the policies are not served"; }
}

fails_inside() { ! inside "$@"; }

policy_ids() { "$E2E_DIR/policies.sh" "file://$POLICY_WASM" | sed -n 's/^\([a-z-]*\):$/\1/p'; }

# webhooks URL: one for each policy, for the namespaces whose label selects it.
webhooks() {
    local id bundle=${E2E_CA_BUNDLE:-}
    if [ -z "$bundle" ] && [ -z "$EXISTING" ]; then bundle=$(base64 -w0 "$SCRATCH/pki/ca.crt"); fi
    cat <<END
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingWebhookConfiguration
metadata:
  name: e2e-consul-connect-injector
webhooks:
END
    for id in $(policy_ids); do
        cat <<END
  - name: $id.consul-connect-injector.e2e
    clientConfig:
      url: $1/validate/$id
      ${bundle:+caBundle: $bundle}
    admissionReviewVersions: [v1]
    sideEffects: None
    failurePolicy: Fail
    timeoutSeconds: 10
    namespaceSelector:
      matchLabels: {e2e.policy: $id}
      matchExpressions:
        - {key: kubernetes.io/metadata.name, operator: NotIn, values: [kube-system, kube-public]}
    rules:
      - {apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods]}
      - {apiGroups: [""], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [replicationcontrollers]}
      - {apiGroups: [apps], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [deployments, replicasets, statefulsets, daemonsets]}
      - {apiGroups: [batch], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [jobs, cronjobs]}
END
    done
}

remove_webhooks() { anywhere kubectl delete mutatingwebhookconfiguration e2e-consul-connect-injector --ignore-not-found >/dev/null; }
