# Provides a cluster with the policy for the duration of a command. Sourced by run.sh and
# bench.sh.
# shellcheck shell=bash
# shellcheck source=cluster.sh
. "$E2E_DIR/lib/cluster.sh"
# shellcheck source=admission.sh
. "$E2E_DIR/lib/admission.sh"
# shellcheck source=relay.sh
. "$E2E_DIR/lib/relay.sh"

POLICY_WASM=${POLICY_WASM:-$PROJECT_DIR/policy.wasm}
POLICY_HOST=${POLICY_HOST:-${CARGO_TARGET_DIR:-$PROJECT_DIR/target}/release/policy-host}
EXISTING=${E2E_EXISTING:-}

# anywhere COMMAND...: runs the command where the cluster's addresses are reachable.
anywhere() { if [ -n "$EXISTING" ]; then "$@"; else inside "$@"; fi; }

# begin_session: starts or finds the cluster, and connects the policy. `work` is the folder
# for the command's files.
begin_session() {
    [ -f "$POLICY_WASM" ] || die "there is no $POLICY_WASM; make policy.wasm builds it"
    exec 9>"$SCRATCH.lock"
    flock --nonblock 9 || die "another run is under way in $SCRATCH; E2E_SCRATCH chooses another folder"

    if [ -n "$EXISTING" ]; then
        [ -n "${KUBECONFIG:-}" ] || die "E2E_EXISTING=1 needs KUBECONFIG"
        work=$(mktemp -d)
        trap end_session EXIT
    else
        [ "$(id -u)" = 0 ] || die "the cluster needs root"
        "$E2E_DIR/components.sh"
        if [ -n "${KEEP:-}" ] && node_process >/dev/null && cmp -s "$CACHE/components.env" "$SCRATCH/components.env"; then
            say "using the cluster that is up"
        else
            stop_cluster
            rm -f "$SCRATCH.before" "$SCRATCH.namespace"
            trap end_session EXIT
            start_cluster
        fi
        trap end_session EXIT
        export KUBECONFIG=$SCRATCH/kubeconfig
        work=$SCRATCH/work
        rm -rf "$work"
        mkdir -p "$work"
    fi
    trap 'exit 130' INT
    trap 'exit 143' TERM
    start_admission
}

end_session() {
    local code=$?
    trap - EXIT INT TERM
    if [ -n "$EXISTING" ]; then
        remove_webhooks || true
    elif [ -n "${KEEP:-}" ] && node_process >/dev/null; then
        how_to_reach
    else
        stop_cluster
        nothing_left || code=1
        rm -f "$SCRATCH.lock"
    fi
    exit "$code"
}

how_to_reach() {
    relay machine 127.0.0.1:16443 "$NODE_IP:6443"
    relay machine 127.0.0.1:18500 "$NODE_IP:8500"
    sed "s,https://.*:6443,https://127.0.0.1:16443," "$SCRATCH/kubeconfig" >"$SCRATCH/kubeconfig-outside"
    cat >&2 <<END
e2e: the cluster stays up. It is reached with

  export KUBECONFIG=$SCRATCH/kubeconfig-outside CONSUL_HTTP_ADDR=http://127.0.0.1:18500

  Its logs: $SCRATCH/logs. Into the node itself:

  nsenter --target $(node_process) --mount --net --pid --ipc --uts env PATH=$SCRATCH/bin:\$PATH bash

  Its end: make e2e-down
END
}
