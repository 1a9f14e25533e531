#!/usr/bin/env bash
# consul.sh start|stop [secure-]server|[secure-]client|name-server: Consul's agents as in
# the Helm chart: a server, which dataplane mode's pods use, and the client agent of the node, which
# agent mode's pods use. The secure pair has ACLs in default deny, TLS, and other ports.
# The name server replaces the cluster's: a separate Consul with another domain.
set -euo pipefail
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"
# shellcheck source=/dev/null
. "$SCRATCH/components.env"

data=$SCRATCH/consul/$2
pid_file=$SCRATCH/consul-$2.pid

case $1 in
start)
    arguments=(-node "$2" -data-dir "$data" -hcl 'disable_update_check = true' -hcl 'ports { dns = -1 }')
    case $2 in
    server)
        arguments+=(-server -bootstrap-expect 1 -bind "$CONSUL_SERVER_IP" -client "$CONSUL_SERVER_IP"
            -hcl 'connect { enabled = true }' -hcl 'performance { raft_multiplier = 1 }'
            -hcl 'ports { grpc = 8502, grpc_tls = -1 }')
        ;;
    client)
        # The node's ID survives its data, as on a real machine.
        arguments+=(-bind "$NODE_IP" -client "$NODE_IP" -retry-join "$CONSUL_SERVER_IP" -retry-interval 1s
            -node-id e2e00000-0000-4000-8000-000000000001 -hcl 'ports { grpc = 8502 }')
        ;;
    name-server)
        arguments+=(-server -bootstrap-expect 1 -bind "$NODE_IP" -client "$NODE_IP" -domain cluster.local -alt-domain example
            -hcl 'ports { dns = 53, http = -1, grpc = -1, grpc_tls = -1, server = 9400, serf_lan = 9401, serf_wan = -1 }')
        ;;
    secure-*)
        arguments+=(-retry-join "$SECURE_CONSUL_SERVER_IP:8301" -retry-interval 1s
            -hcl "acl { enabled = true, default_policy = \"deny\", token_ttl = \"2s\", tokens {
                initial_management = \"$CONSUL_TOKEN\", agent = \"$CONSUL_TOKEN\" } }"
            -hcl "tls { defaults { ca_file = \"$SCRATCH/pki/ca.crt\", cert_file = \"$SCRATCH/pki/consul.crt\"
                key_file = \"$SCRATCH/pki/server.key\", verify_outgoing = true }
                internal_rpc { verify_server_hostname = true } }"
            -hcl 'connect { enabled = true }' -hcl 'ports { http = -1 }')
        ;;&
    secure-server)
        arguments+=(-server -bootstrap-expect 1 -bind "$SECURE_CONSUL_SERVER_IP" -client "$SECURE_CONSUL_SERVER_IP"
            -hcl 'performance { raft_multiplier = 1 }' -hcl 'ports { https = 9501, grpc = -1, grpc_tls = 8503 }')
        ;;
    secure-client)
        arguments+=(-bind "$NODE_IP" -client "$NODE_IP" -node-id e2e00000-0000-4000-8000-000000000002
            -hcl 'ports { https = 9501, grpc = -1, grpc_tls = 9503, serf_lan = 9301 }')
        ;;
    esac
    mkdir -p "$data"
    # It outlives the test that starts it, which waits for processes that hold its files.
    for file in /proc/self/fd/*; do
        ((${file##*/} <= 2)) || eval "exec ${file##*/}>&-"
    done
    setsid "$CONSUL_DIR/consul" agent "${arguments[@]}" >>"$SCRATCH/logs/consul-$2.log" 2>&1 </dev/null &
    echo $! >"$pid_file"
    ;;
stop)
    kill -KILL "$(cat "$pid_file")"
    until_true 10 test ! -d "/proc/$(cat "$pid_file")"
    ;;
esac
