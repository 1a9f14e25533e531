# Paths and helpers; sourced by every script of the suite.
# shellcheck shell=bash disable=SC2034

E2E_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
PROJECT_DIR=$(dirname "$E2E_DIR")

# shellcheck source=../versions.env
. "$E2E_DIR/versions.env"

# Built and downloaded components, kept between runs. Each folder's name has a digest of the
# component's inputs, so a changed version gets a new folder.
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/consul-connect-injector/e2e

# The files of a run, removed at its end. Concurrent runs need different folders.
SCRATCH=${E2E_SCRATCH:-${TMPDIR:-/tmp}/consul-connect-injector-e2e}

# The network namespace holds one bridge, for the node and its pods alike. The
# range is reserved for network tests (RFC 2544).
NETWORK=198.18.0.0/16
NODE_IP=198.18.0.1
CONSUL_SERVER_IP=198.18.0.2
SECURE_CONSUL_SERVER_IP=198.18.0.3
REGISTRY_IP=198.18.0.4
WEBHOOK_IP=198.18.0.5
NODE_NAME=e2e-node

# The management token of the Consul with ACLs, which is only used on this machine.
CONSUL_TOKEN=e2e00000-0000-4000-8000-0000000000ac

WEBHOOK_PORT=8443
READINESS_PORT=8081

say() { printf '%s\n' "e2e: $*" >&2; }

die() {
    say "$*"
    exit 1
}

# until_true SECONDS COMMAND...: waits for the command to succeed.
until_true() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        ((SECONDS < deadline)) || return 1
        sleep 0.1
    done
}

# The programs of dataplane mode, wherever the scripts go.
for program in E2E_CONSUL_K8S E2E_CONSUL_DATAPLANE E2E_CONSUL_CNI; do
    [ -n "${!program:-}" ] || continue
    [ -f "${!program}" ] || die "$program: there is no ${!program}"
    export "$program=$(realpath "${!program}")"
done

# with_dataplane: both programs are given, or Docker Hub's images of them are to be used.
with_dataplane() {
    [ -z "${E2E_EXISTING:-}" ] || return 1
    [ -n "${E2E_DOCKER_HUB:-}" ] || { [ -n "${E2E_CONSUL_K8S:-}" ] && [ -n "${E2E_CONSUL_DATAPLANE:-}" ]; }
}
