# The lifecycle sidecar's postStart: waits for Envoy, since the kubelet starts no further container
# before this ends. A restart of the sidecar alone does not wait: meanwhile the kubelet could not
# restart Envoy either.
# shellcheck shell=sh
set -uf
dir=${CONNECT_INJECT_DIR:-/consul/connect-inject}
proc=${CONNECT_INJECT_PROC:-/proc/net}
[ ! -e "$dir/envoy-listened" ] || exit 0
listener=$(printf ':%04X [^ ]* 0A ' "$CONNECT_INJECT_ENVOY_PORT")
tries=${CONNECT_INJECT_ENVOY_TRIES:-400}
until grep -q "$listener" "$proc/tcp" "$proc/tcp6" 2>/dev/null; do
  tries=$((tries - 1))
  if [ "$tries" = 0 ]; then
    echo "Envoy does not listen on port $CONNECT_INJECT_ENVOY_PORT: see its log and the lifecycle sidecar's" >&2
    exit 1
  fi
  sleep 0.1
done
: >"$dir/envoy-listened"
