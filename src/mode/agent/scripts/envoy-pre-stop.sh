# preStop of Envoy among ordinary containers (no native sidecars): Envoy outlives the app.
# Until nobody listens on the service's port nor has a connection there, at most
# CONNECT_INJECT_LINGER seconds, which is also the time if no port is known.
# shellcheck shell=sh
set -uf
proc=${CONNECT_INJECT_PROC:-/proc/net}
port=${CONNECT_INJECT_LINGER_PORT:-}
left=${CONNECT_INJECT_LINGER:-0}
hex=$(printf %04X "${port:-0}")
in_use() {
  [ -n "$port" ] || return 0
  for table in tcp6 tcp; do
    [ -r "$proc/$table" ] || continue
    while read -r _ local _ status _; do
      case $local/$status in *:"$hex"/0[1A]) return 0 ;; esac
    done <"$proc/$table"
  done
  return 1
}
while [ "$left" -gt 0 ] && in_use; do
  sleep 1
  left=$((left - 1))
done
