#!/usr/bin/env bash
# Stops a cluster that a run left running, and cleans up after an interrupted run.
set -euo pipefail
# shellcheck source=lib/common.sh
. "$(dirname "$0")/lib/common.sh"
# shellcheck source=lib/cluster.sh
. "$E2E_DIR/lib/cluster.sh"
stop_cluster
nothing_left
