# Common part of init.sh and lifecycle.sh, in POSIX sh. The init container gets it as an argument
# and saves it in the shared volume, which only the injected containers mount. Optional common
# parts follow it: tls.sh, acl.sh, envoy-token.sh. A pod has them only if it uses the feature.
# All input comes from environment variables and is always quoted.
# Only tests set CONNECT_INJECT_DIR, CONNECT_INJECT_PROC, CONNECT_INJECT_PAUSE,
# CONNECT_INJECT_PATIENCE, CONNECT_INJECT_CLI_PATIENCE, CONNECT_INJECT_WAIT,
# CONNECT_INJECT_BEARER_TOKEN_FILE.
# Functions that a trap calls return explicitly: otherwise bash returns the status from before the
# trap. shellcheck does not see that the other parts use these variables.
# shellcheck shell=sh disable=SC2034,SC2154
set -uf
export LC_ALL=C
unset http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY
nl='
'
patience=${CONNECT_INJECT_PATIENCE:-5}
cli_patience=${CONNECT_INJECT_CLI_PATIENCE:-20}
pause=${CONNECT_INJECT_PAUSE:-1}
auth=${CONNECT_INJECT_AUTH_METHOD:-}
ns=${CONNECT_INJECT_NAMESPACE:+ns=$CONNECT_INJECT_NAMESPACE}
service_id=$CONNECT_INJECT_SERVICE_ID proxy_id=$CONNECT_INJECT_SERVICE_ID-sidecar-proxy
# The IDs of the heartbeats' checks contain the pod's address, so that another pod with the same name
# has different ones.
check=$service_id-pod-$POD_IP proxy_check=$proxy_id-pod-$POD_IP
ca='' conf='' again='' sleeping='' cli_pid='' why=''

# Logs a message as one line, without control characters.
# shellcheck disable=SC2048,SC2086
log() {
  set -- $*
  printf 'consul-connect-inject: %.1000s\n' "$*" | sed 's/[[:cntrl:]]//g' >&2
}

die() {
  log "$@"
  exit 1
}

# in_url IP: prints the address as in a URL.
in_url() {
  case $1 in *:*) set -- "[$1]" ;; esac
  printf %s "$1"
}

host=$(in_url "$HOST_IP")
agent=$CONNECT_INJECT_AGENT_SCHEME://$host:$CONNECT_INJECT_AGENT_PORT
# The lifecycle sidecar has this port only if it may write Envoy's bootstrap configuration.
grpc=$CONNECT_INJECT_AGENT_SCHEME://$host:${CONNECT_INJECT_GRPC_PORT:-}
base=$agent
export CONSUL_HTTP_ADDR="$agent" CONSUL_NAMESPACE="${CONNECT_INJECT_NAMESPACE:-}"
export CONSUL_HTTP_TOKEN_FILE='' CONSUL_TLS_SERVER_NAME=''

client=curl
if ! command -v curl >/dev/null; then
  client=wget
  case $(wget --version 2>&1) in
  "GNU Wget"*) ;;
  *) die "the Consul image has neither curl nor GNU wget: use an official image (hashicorp/consul) in the setting imageConsul" ;;
  esac
fi

# http METHOD PATH-OR-URL [FILE]: sets $code (000 means no answer) and $body (the answer or error).
# The token and the CA in requests.conf are used only for paths, which are requests to the agent.
http() {
  method=$1 url=$2 file=${3:-}
  set --
  case $url in
  /*)
    url=$base$url
    [ ! -f "$dir/requests.conf" ] || set -- --config "$dir/requests.conf"
    ;;
  esac
  [ -z "$file" ] || set -- "$@" --header 'Content-Type: application/json'
  if [ "$client" = curl ]; then
    [ -z "$file" ] || set -- "$@" --data-binary "@$file"
    code=000
    body=$(curl "$@" -sS -g --max-time "$patience" -X "$method" -w '\n%{http_code}' "$url" 2>&1) && code=${body##*"$nl"}
    body=${body%"$nl"*}
  else
    [ -z "$file" ] || set -- "$@" --body-file "$file"
    body=$(wget "$@" -nv -S -O - --content-on-error --max-redirect=0 --tries=1 --timeout="$patience" --method="$method" "$url" 2>"$dir/http.err")
    code=000
    while read -r proto status _; do
      case $proto in HTTP/*) code=$status ;; esac
    done <"$dir/http.err"
    [ "$code" != 000 ] || body=$(cat "$dir/http.err")
  fi
}

# cli ARGS...: runs the Consul CLI with a timeout. The output is in cli.out, an error in $why. It runs
# in the background, so that signals are handled immediately.
cli() {
  why=''
  timeout "$cli_patience" consul "$@" >"$dir/cli.out" 2>"$dir/cli.err" &
  cli_pid=$!
  wait "$cli_pid" 2>/dev/null && cli_pid='' && return 0
  case $? in
  137) why="killed: is the container's memory limit lower than the 85 MB that Consul's CLI needs?" ;;
  *) why=$(cat "$dir/cli.err" "$dir/cli.out" 2>/dev/null) ;;
  esac
  cli_pid=''
  [ -n "$why" ] || why="no answer within $cli_patience s"
  return 1
}

# At the pod's end: stops background processes, and shortens the timeout of requests.
hush() {
  patience=${CONNECT_INJECT_PATIENCE:-3}
  for pid in "$sleeping" "$cli_pid"; do
    [ -z "$pid" ] || kill "$pid"
  done 2>/dev/null
}

register() {
  if cli services register "$dir/registration.json"; then
    log "registered $service_id and $proxy_id ${again:-with $agent}"
    return 0
  fi
  case $why in
  *"invalid config key"*namespace*) why="the Consul CLI in imageConsul is not of Consul Enterprise: $why" ;;
  *"ermission denied"*) why="the agent does not allow the pod to register its service: the ServiceAccount must have the same name as the Consul service ($why)" ;;
  *) why="registering with $agent failed: $why" ;;
  esac
  return 1
}

bootstrap() {
  if ! cli connect envoy -proxy-id "$proxy_id" -bootstrap -grpc-addr "$grpc" \
    ${CONNECT_INJECT_SCRAPE_PATH:+-prometheus-scrape-path="$CONNECT_INJECT_SCRAPE_PATH"} \
    -admin-bind "127.0.0.1:$CONNECT_INJECT_ENVOY_ADMIN" || [ ! -s "$dir/cli.out" ]; then
    why="writing Envoy's configuration failed: $why"
    return 1
  fi
  [ -z "$auth" ] || [ -z "${CONNECT_INJECT_ENVOY_TOKEN_FILE:-}" ] || inject_token
  mv "$dir/cli.out" "$dir/envoy-bootstrap.json"
}

# find_owner ID: sets $owner to the pod that registered the ID: this, another (with the same name),
# none, or unknown with the reason in $why.
find_owner() {
  http GET "/v1/agent/service/$1?$ns"
  case $code$body in
  200*"\"$POD_IP\""*) owner=this ;;
  200*) owner=another ;;
  404* | *"nknown service"*) owner=none ;;
  *) owner=unknown why="requesting $1 from $agent failed: $code $body" ;;
  esac
}

# Deregisters proxy and service, then logs out.
leave() {
  hush
  for id in "$proxy_id" "$service_id"; do
    find_owner "$id"
    [ -z "$auth" ] || ! token_again || find_owner "$id"
    [ "$owner" != this ] || http PUT "/v1/agent/service/deregister/$id?$ns"
    case $owner/$code$body in
    another/*) log "$id belongs to another pod, which stays registered" ;;
    */200* | */404* | *"nknown service"*) log "deregistered $id" ;;
    */000*)
      log "the agent does not answer: $id stays registered until its check has been critical for 10 minutes: $body"
      break
      ;;
    *) log "could not deregister $id; Consul removes it after its check has been critical for 10 minutes: $code $body" ;;
    esac
  done
  [ -z "$auth" ] || log_out
}
