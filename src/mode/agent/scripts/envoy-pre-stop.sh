# Envoy's preStop hook without native sidecars: Envoy must outlive the app. Waits until nothing
# listens on the service's port and it has no connection, for at most CONNECT_INJECT_LINGER
# seconds. Without a port, it waits for all of that time.
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
