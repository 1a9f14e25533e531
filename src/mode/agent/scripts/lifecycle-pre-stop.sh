# The lifecycle sidecar's preStop: the sidecar takes the pod out of load balancing.
# With CONNECT_INJECT_LINGER (ordinary containers instead of native sidecars) it then
# stays as long as the app does, as Envoy does: see envoy-pre-stop.sh.
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
