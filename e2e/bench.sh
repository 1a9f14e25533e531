#!/usr/bin/env bash
# Measures the cost of an injected pod on the suite's cluster, as root. Fails if a
# limit is exceeded. Environment:
#
#   JSON=1                  print the figures as JSON
#   KEEP=1                  leave the cluster running, and reuse it the next time
#   E2E_BENCH_PODS=10       the number of pods to start, one at a time
#   E2E_BENCH_IDLE_PODS=5   the number of idle pods of each kind
#   E2E_BENCH_SECONDS=60    how long the idle pods are measured
#   E2E_BENCH_BASE=FILE     the module of another revision, to compare with
#   POLICY_WASM, POLICY_HOST paths of the module and the development host
set -euo pipefail
# shellcheck source=lib/common.sh
. "$(dirname "$0")/lib/common.sh"
# shellcheck source=lib/session.sh
. "$E2E_DIR/lib/session.sh"

[ -z "$EXISTING" ] || die "the pod's cost is read on the node: this is for the suite's own cluster"
begin_session
# In the background, so that Ctrl-C takes effect at once.
inside env KUBECONFIG="$KUBECONFIG" E2E_SCRATCH="$SCRATCH" "$E2E_DIR/lib/pod-cost.sh" "$work" 9>&- &
wait $!
