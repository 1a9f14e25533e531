# Checks whether Envoy can reach the service's port. Precedes lifecycle.sh in pods with a port that
# Consul's agent does not check.
# shellcheck shell=sh disable=SC2034,SC2154
proc=${CONNECT_INJECT_PROC:-/proc/net}
hex=$(printf %04X "$CONNECT_INJECT_LISTENER_PORT")
# The number of checks for a listener between two heartbeats: two per second, for at most ten seconds.
most=20
case ${CONNECT_INJECT_SYNC_PERIOD%%.*} in [1-9]) most=$((${CONNECT_INJECT_SYNC_PERIOD%%.*} * 2)) ;; esac

# Envoy calls 127.0.0.1, so the app must listen there or on all addresses. If it listens on another
# address, $elsewhere is that address.
listening() {
  elsewhere='' addresses=$(sed -n "s/^ *[0-9]*: \([0-9A-F]*\):$hex [^ ]* 0A .*/\1/p" "$proc/tcp" "$proc/tcp6" 2>/dev/null)
  for address in $addresses; do
    # Includes IPv4 addresses of IPv6 sockets.
    case ${address#0000000000000000FFFF0000} in
    0100007F | 00000000 | 00000000000000000000000000000000) return 0 ;;
    *) elsewhere=$address ;;
    esac
  done
  return 1
}

# readable ADDRESS: converts an address of /proc/net, where every four bytes are in reverse order.
readable() {
  address=${1#0000000000000000FFFF0000}
  if [ "${#address}" = 8 ]; then
    bytes=$(echo "$address" | sed 's/\(..\)\(..\)\(..\)\(..\)/0x\4 0x\3 0x\2 0x\1/')
    # shellcheck disable=SC2086
    printf %d.%d.%d.%d $bytes
  else
    echo "$address" | sed 's/\(..\)\(..\)\(..\)\(..\)/\4\3:\2\1:/g; s/:$//'
  fi
}

look() {
  verdict=pass note='' said=$passes
  listening && return
  verdict=fail problem="nothing listens on port $port" remedy="something does"
  if [ -n "$elsewhere" ]; then
    problem="the app listens on port $port only at $(readable "$elsewhere"), but Envoy calls 127.0.0.1"
    remedy="it listens there or on all addresses"
  fi
  note="note=$(echo "$problem" | sed 's/ /+/g')&" said="$problem: the pod gets no traffic until $remedy"
}

# Waits until the next heartbeat, or until something listens.
await_listener() {
  looks=$most
  while [ -z "$ended" ] && [ "$looks" -gt 0 ] && ! listening; do
    nap "${CONNECT_INJECT_PAUSE:-0.5}"
    looks=$((looks - 1))
  done
}
