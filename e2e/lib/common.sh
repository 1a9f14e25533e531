# Where things are and how to talk; sourced by every script of the suite.
# shellcheck shell=bash disable=SC2034

E2E_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
PROJECT_DIR=$(dirname "$E2E_DIR")

# shellcheck source=../versions.env
. "$E2E_DIR/versions.env"

# What is built or fetched, kept between runs. Every component's folder carries
# a digest of what it was made from, so a changed version is a new folder.
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/consul-connect-injector/e2e

# What a run makes, removed at its end. Two runs at once need two of them.
SCRATCH=${E2E_SCRATCH:-${TMPDIR:-/tmp}/consul-connect-injector-e2e}

# The network namespace holds one bridge, for the node and its pods alike. The
# range is the one set apart for tests of networks (RFC 2544).
NETWORK=198.18.0.0/16
NODE_IP=198.18.0.1
CONSUL_SERVER_IP=198.18.0.2
SECURE_CONSUL_SERVER_IP=198.18.0.3
REGISTRY_IP=198.18.0.4
WEBHOOK_IP=198.18.0.5
NODE_NAME=e2e-node

# The token that may do anything in the Consul with ACLs: a secret of no machine but this.
CONSUL_TOKEN=e2e00000-0000-4000-8000-0000000000ac

WEBHOOK_PORT=8443
READINESS_PORT=8081

say() { printf '%s\n' "e2e: $*" >&2; }

die() {
    say "$*"
    exit 1
}

# until_true SECONDS COMMAND...: the command's success, waited for.
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
