# The lifecycle sidecar's postStart hook: waits until Envoy listens, because the kubelet starts the next
# container only after it. Meanwhile the kubelet cannot even delete the pod, so the wait is short, and
# only at the pod's start, not when the sidecar alone restarts.
# shellcheck shell=sh
set -uf
dir=${CONNECT_INJECT_DIR:-/consul/connect-inject}
proc=${CONNECT_INJECT_PROC:-/proc/net}
[ ! -e "$dir/envoy-listened" ] || exit 0
listener=$(printf ':%04X [^ ]* 0A ' "$CONNECT_INJECT_ENVOY_PORT")
deadline=$(($(date +%s) + ${CONNECT_INJECT_ENVOY_WAIT:-20}))
until grep -q "$listener" "$proc/tcp" "$proc/tcp6" 2>/dev/null; do
  if [ "$(date +%s)" -ge "$deadline" ]; then
    echo "Envoy does not listen on port $CONNECT_INJECT_ENVOY_PORT: see the logs of Envoy and of the lifecycle sidecar" >&2
    exit 1
  fi
  sleep 0.1
done
: >"$dir/envoy-listened"
