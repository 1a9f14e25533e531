# The lifecycle sidecar's preStop hook: removes the pod from load balancing. Without native sidecars,
# envoy-pre-stop.sh follows it, so that it waits for the app like Envoy.
# shellcheck shell=sh
set -uf
dir=${CONNECT_INJECT_DIR:-/consul/connect-inject}
rm -f "$dir/lifecycle.ended"
if read -r pid <"$dir/lifecycle.pid" && kill -USR1 "$pid"; then
  tries=20
  while [ ! -e "$dir/lifecycle.ended" ] && [ "$tries" -gt 0 ]; do
    sleep 0.1
    tries=$((tries - 1))
  done
fi 2>/dev/null
