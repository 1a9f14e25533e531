#!/usr/bin/env bats
# The address of a pod that vanished is given to another one. Addresses are handed
# out in turn: no other scenario may ask for one.

load ../../lib/helpers

ADDRESSES=/var/lib/cni/networks/e2e

@test "address-again: a vanished pod is not connected to, though another has its address" {
    needs_node
    server gone-server "connect-sync-period: 1s"
    ready gone-server
    eventually 60 routable gone-server
    local address
    address=$(pod_ip gone-server)
    afterwards consul_put agent/service/deregister/gone-server-gone-server-sidecar-proxy
    afterwards consul_put agent/service/deregister/gone-server-gone-server
    # It says nothing at its end.
    kill -STOP "$(container_process gone-server consul-connect-lifecycle-sidecar)"
    k delete pod gone-server --force --grace-period=0
    eventually 60 test ! -e "$ADDRESSES/$address"
    registered gone-server-gone-server

    before "$address" >"$ADDRESSES/last_reserved_ip.0"
    server heir
    ready heir
    equal "its address" "$address" "$(pod_ip heir)"
    eventually 60 routable heir
    eventually 60 check_is gone-server-gone-server-sidecar-proxy "Proxy Public Listener" passing
    eventually 60 check_is gone-server-gone-server Pod critical
    eventually 10 not_routable gone-server
}

# before ADDRESS: the one before it.
before() { awk -F. '{n = $3 * 256 + $4 - 1; printf "%d.%d.%d.%d", $1, $2, int(n / 256), n % 256}' <<<"$1"; }
