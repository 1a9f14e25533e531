#!/usr/bin/env bash
# Ends the cluster that a run left up, or what an interrupted run left.
set -euo pipefail
# shellcheck source=lib/common.sh
. "$(dirname "$0")/lib/common.sh"
# shellcheck source=lib/cluster.sh
. "$E2E_DIR/lib/cluster.sh"
stop_cluster
nothing_left
