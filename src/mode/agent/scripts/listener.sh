# Whether the service's port has a listener, which the heartbeat tells the agent. Stands before
# lifecycle.sh in pods with a port and without a readiness probe.
# shellcheck shell=sh disable=SC2034,SC2154
proc=${CONNECT_INJECT_PROC:-/proc/net}
hex=$(printf %04X "$CONNECT_INJECT_LISTENER_PORT")
# So many looks for a listener to a heartbeat: ten seconds, or the period if that is shorter.
most=20
case ${CONNECT_INJECT_SYNC_PERIOD%%.*} in [1-9]) most=$((${CONNECT_INJECT_SYNC_PERIOD%%.*} * 2)) ;; esac

# tcp6 first: there, a listener is not behind the proxy's connections.
listening() {
  for table in tcp6 tcp; do
    [ -r "$proc/$table" ] || continue
    while read -r _ local _ status _; do
      case $local/$status in *:"$hex"/0A) return 0 ;; esac
    done <"$proc/$table"
  done
  return 1
}

look() {
  verdict=pass note=''
  listening || verdict=fail note="note=nothing+listens+on+port+$port&"
}

# Until the next heartbeat, or until something listens.
await_listener() {
  looks=$most
  while [ -z "$ended" ] && [ "$looks" -gt 0 ] && ! listening; do
    nap "${CONNECT_INJECT_PAUSE:-0.5}"
    looks=$((looks - 1))
  done
}
