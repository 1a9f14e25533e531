#!/usr/bin/env bash
# policies.sh MODULE-URL: prints policies.yml with all placeholders filled in.
set -euo pipefail
# shellcheck source=lib/common.sh
. "$(dirname "$0")/lib/common.sh"
# The CA of Consul's agents: the cluster's own, or the file in E2E_CONSUL_CA.
ca=${E2E_CONSUL_CA:-$SCRATCH/pki/ca.crt}
[ -f "$ca" ] || ca=/dev/null
files=("$E2E_DIR/policies.yml")
! with_dataplane || files+=("$E2E_DIR/dataplane/policies.yml")
[ $# = 1 ] || die "which module? policies.sh file:///.../policy.wasm"
sed -e "s|BASE_MODULE|${E2E_BENCH_BASE:+file://}${E2E_BENCH_BASE:-$1}|" -e "s|MODULE|$1|" -e "s|IMAGE_UBI_CONSUL|$IMAGE_CONSUL_UBI|" \
    -e "s|IMAGE_CONSUL|$IMAGE_CONSUL|" -e "s|IMAGE_ENVOY|$IMAGE_ENVOY|" \
    -e "s|SECURE_CONSUL_SERVER_IP|$SECURE_CONSUL_SERVER_IP|" -e "s|CONSUL_SERVER_IP|$CONSUL_SERVER_IP|" -e "s|NODE_IP|$NODE_IP|" \
    -e "s|CONSUL_CA|\"$(sed 's/$/\\\\n/' "$ca" | tr -d '\n')\"|" "${files[@]}"
