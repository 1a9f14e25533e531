# Forwards connections into and out of the node's network through a Unix socket. Both
# processes run in the node's PID namespace, so they end with it. Sourced by session.sh.
# shellcheck shell=bash

# relay FROM-NETWORK FROM-ADDRESS TO-ADDRESS: FROM-NETWORK is `node` or `machine`.
relay() {
    local from=$1 listen=$2 connect=$3 socket=$SCRATCH/relay-${2//[^0-9]/-}.sock
    [ ! -e "$socket" ] || return 0 # a kept cluster has it
    half "$([ "$from" = node ] && echo machine || echo node)" "UNIX-LISTEN:$socket,fork" "TCP:$connect"
    until_true 5 test -e "$socket"
    half "$from" "TCP-LISTEN:${listen##*:},bind=${listen%:*},fork,reuseaddr" "UNIX-CONNECT:$socket"
    until_true 5 in_network "$from" bash -c "exec 3<>/dev/tcp/${listen%:*}/${listen##*:}"
}

# in_network node|machine COMMAND...: in that network, but always in the node's other namespaces.
in_network() {
    local network=()
    [ "$1" = machine ] || network=(--net)
    shift
    nsenter --target "$(node_process)" --mount --pid --ipc --uts "${network[@]}" -- "$@"
}

half() {
    in_network "$1" setsid socat "$2" "$3" >>"$SCRATCH/logs/relay.log" 2>&1 </dev/null 9>&- &
    disown
}
