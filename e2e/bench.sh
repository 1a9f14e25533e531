#!/usr/bin/env bash
# What an injected pod costs by itself, on the suite's own cluster. As root. Fails
# when an aim is missed. From the environment:
#
#   JSON=1                  the figures for a program
#   KEEP=1                  leave the cluster up, and use it again the next time
#   E2E_BENCH_PODS=10       how many pods are started, one at a time
#   E2E_BENCH_IDLE_PODS=5   how many are idle side by side, of each kind
#   E2E_BENCH_SECONDS=60    how long they are looked at
#   E2E_BENCH_BASE=FILE     the module of another revision, whose pods are started in turn
#   POLICY_WASM, POLICY_HOST the module and the development host, if elsewhere
set -euo pipefail
# shellcheck source=lib/common.sh
. "$(dirname "$0")/lib/common.sh"
# shellcheck source=lib/session.sh
. "$E2E_DIR/lib/session.sh"

[ -z "$EXISTING" ] || die "the pod's cost is read on the node: this is for the suite's own cluster"
begin_session
# In the background, so that a Ctrl-C is answered at once.
inside env KUBECONFIG="$KUBECONFIG" E2E_SCRATCH="$SCRATCH" "$E2E_DIR/lib/pod-cost.sh" "$work" 9>&- &
wait $!
