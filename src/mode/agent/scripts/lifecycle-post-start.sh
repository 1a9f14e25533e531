# The lifecycle sidecar's postStart: waits for Envoy's listener, since the kubelet starts no further
# container before this ends. The kubelet does nothing else for the pod meanwhile, not even delete
# it: so the wait is short, and only the pod's start has it, not a restart of the sidecar alone.
# shellcheck shell=sh
set -uf
dir=${CONNECT_INJECT_DIR:-/consul/connect-inject}
proc=${CONNECT_INJECT_PROC:-/proc/net}
[ ! -e "$dir/envoy-listened" ] || exit 0
listener=$(printf ':%04X [^ ]* 0A ' "$CONNECT_INJECT_ENVOY_PORT")
deadline=$(($(date +%s) + ${CONNECT_INJECT_ENVOY_WAIT:-20}))
until grep -q "$listener" "$proc/tcp" "$proc/tcp6" 2>/dev/null; do
  if [ "$(date +%s)" -ge "$deadline" ]; then
    echo "Envoy does not listen on port $CONNECT_INJECT_ENVOY_PORT: see its log and the lifecycle sidecar's" >&2
    exit 1
  fi
  sleep 0.1
done
: >"$dir/envoy-listened"
