#!/usr/bin/env bash
# The end-to-end suite: a real Kubernetes, Consul and Envoy on this machine, the
# policy at its API server, and the scenarios. As root. From the environment:
#
#   SCENARIO=name            only this scenario, or this file of scenarios
#   KEEP=1                   leave the cluster up, and use it again the next time
#   E2E_JOBS=4               how many scenarios run side by side
#   E2E_RETRIES=0            how often a failed scenario is tried again, and told so
#   E2E_EXISTING=1           run against the cluster of your own KUBECONFIG
#   E2E_POLICY_SERVER=URL    a policy server that serves what policies.sh prints
#   E2E_CA_BUNDLE=BASE64     the authority of its certificate
#   POLICY_WASM, POLICY_HOST the module and the development host, if elsewhere
set -euo pipefail
# shellcheck source=lib/common.sh
. "$(dirname "$0")/lib/common.sh"
# shellcheck source=lib/cluster.sh
. "$E2E_DIR/lib/cluster.sh"
# shellcheck source=lib/admission.sh
. "$E2E_DIR/lib/admission.sh"
# shellcheck source=lib/relay.sh
. "$E2E_DIR/lib/relay.sh"

POLICY_WASM=${POLICY_WASM:-$PROJECT_DIR/policy.wasm}
POLICY_HOST=${POLICY_HOST:-${CARGO_TARGET_DIR:-$PROJECT_DIR/target}/release/policy-host}
JOBS=${E2E_JOBS:-4}
EXISTING=${E2E_EXISTING:-}
started=$SECONDS

# anywhere COMMAND...: where the cluster's addresses are reached.
anywhere() { if [ -n "$EXISTING" ]; then "$@"; else inside "$@"; fi; }

# ---- what is left at the end ---------------------------------------------------

finish() {
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

# ---- the scenarios -------------------------------------------------------------

# names FILE...: of the scenarios in them.
names() { sed -n 's/^@test "\([^:"]*\):.*/\1/p' "$@"; }

# run_bats [BATS ARGUMENT...] FILE...: a line for each scenario, as it ends; a
# failed one's diagnosis follows it.
run_bats() {
    anywhere env KUBECONFIG="$KUBECONFIG" BATS_TMPDIR="$work" TMPDIR="$work" PARALLEL_HOME="$work/parallel" \
        E2E_SCRATCH="$SCRATCH" bats --formatter tap --timing "$@" 2>&1 </dev/null | tee -a "$work/tap" |
        sed -u -e '/^1\.\.[0-9]*$/d' -e 's/^ok [0-9]* /ok   /' -e 's/^not ok [0-9]* /FAIL /' -e 's/^# /     /'
}

run_scenarios() {
    local beside=("$E2E_DIR"/scenarios/*.bats) alone=("$E2E_DIR"/scenarios/alone/*.bats) filter=()
    if [ -n "${SCENARIO:-}" ]; then
        if [ -f "$E2E_DIR/scenarios/$SCENARIO.bats" ]; then
            beside=("$E2E_DIR/scenarios/$SCENARIO.bats") alone=()
        elif [ -f "$E2E_DIR/scenarios/alone/$SCENARIO.bats" ]; then
            beside=() alone=("$E2E_DIR/scenarios/alone/$SCENARIO.bats")
        else
            [[ " $(names "${beside[@]}" "${alone[@]}" | paste -sd' ') " == *" $SCENARIO "* ]] ||
                die "no scenario is called $SCENARIO; there are: $(names "${beside[@]}" "${alone[@]}" | paste -sd' ')"
            filter=(--filter "^${SCENARIO//./\\.}:")
        fi
    fi
    mkdir -p "$work/parallel"
    touch "$work/parallel/will-cite" "$work/tap"
    # What bats returns is counted below, from what it printed.
    ((${#beside[@]} == 0)) || run_bats --jobs "$JOBS" "${filter[@]}" "${beside[@]}" || true
    ((${#alone[@]} == 0)) || run_bats "${filter[@]}" "${alone[@]}" || true
}

# count: the closing line; fails when a scenario did, or none ran.
count() {
    local planned passed failed skipped
    planned=$(awk -F'[.]+' '/^1\.\.[0-9]+$/ {n += $2} END {print n + 0}' "$work/tap")
    skipped=$(grep -c '^ok .* # skip' "$work/tap" || true)
    passed=$(($(grep -c '^ok ' "$work/tap" || true) - skipped))
    # One that bats has lost, say because its set-up broke, has not passed either.
    failed=$((planned - passed - skipped))
    say "$((SECONDS - started)) s"
    if ((skipped)); then
        echo "$passed passed, $failed failed, $skipped skipped"
    else
        echo "$passed passed, $failed failed"
    fi
    ((failed == 0 && passed > 0))
}

# ---- the run -------------------------------------------------------------------

[ -f "$POLICY_WASM" ] || die "there is no $POLICY_WASM; make policy.wasm builds it"
exec 9>"$SCRATCH.lock"
flock --nonblock 9 || die "another run is under way in $SCRATCH; E2E_SCRATCH chooses another folder"

if [ -n "$EXISTING" ]; then
    [ -n "${KUBECONFIG:-}" ] || die "E2E_EXISTING=1 needs KUBECONFIG"
    work=$(mktemp -d)
    trap finish EXIT
else
    [ "$(id -u)" = 0 ] || die "the cluster needs root"
    "$E2E_DIR/components.sh"
    if [ -n "${KEEP:-}" ] && node_process >/dev/null && cmp -s "$CACHE/components.env" "$SCRATCH/components.env"; then
        say "using the cluster that is up"
    else
        stop_cluster
        rm -f "$SCRATCH.before" "$SCRATCH.namespace"
        trap finish EXIT
        start_cluster
    fi
    trap finish EXIT
    export KUBECONFIG=$SCRATCH/kubeconfig
    work=$SCRATCH/work
    rm -rf "$work"
    mkdir -p "$work"
fi
trap 'exit 130' INT
trap 'exit 143' TERM

start_admission
# In the background, so that a Ctrl-C is answered at once.
run_scenarios 9>&- &
wait $!
count
