#!/usr/bin/env bash
set -euo pipefail
. "$(dirname "$0")/lib/common.sh"
. "$E2E_DIR/lib/cluster.sh"
"$E2E_DIR/components.sh"
stop_cluster
start_cluster
