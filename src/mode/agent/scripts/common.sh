# What init.sh and lifecycle.sh share: POSIX sh. Init is given it as its argument and
# leaves it in the shared volume, which only the injected containers have. The parts of
# features that both need follow it: tls.sh, acl.sh, envoy-token.sh, each in the pods
# that have the feature, and only called there.
# Whatever varies arrives as an environment variable and is only ever used quoted.
# Set by tests alone: CONNECT_INJECT_DIR, CONNECT_INJECT_PROC, CONNECT_INJECT_PAUSE,
# CONNECT_INJECT_PATIENCE, CONNECT_INJECT_CLI_PATIENCE, CONNECT_INJECT_WAIT,
# CONNECT_INJECT_BEARER_TOKEN_FILE.
# A function that a trap may call returns a number: without one, bash returns what came
# before the trap.
# What it sets is used by those that read it, and the other way round.
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
# The heartbeats' checks. With the pod's address in their ids, no other pod of this name has them.
check=$service_id-pod-$POD_IP proxy_check=$proxy_id-pod-$POD_IP
ca='' conf='' again='' sleeping='' cli_pid='' why=''

# One line a message, whatever an agent or a tool says in it.
# shellcheck disable=SC2048,SC2086
log() {
  set -- $*
  printf 'consul-connect-inject: %.1000s\n' "$*" | sed 's/[[:cntrl:]]//g' >&2
}

die() {
  log "$@"
  exit 1
}

# in_url IP: as it stands before a port.
in_url() {
  case $1 in *:*) set -- "[$1]" ;; esac
  printf %s "$1"
}

host=$(in_url "$HOST_IP")
agent=$CONNECT_INJECT_AGENT_SCHEME://$host:$CONNECT_INJECT_AGENT_PORT
# The lifecycle sidecar has the port if it may have to write Envoy's bootstrap again.
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

# http METHOD PATH-OR-URL [FILE]: $code (000: no answer) and $body (the answer, or the error).
# The agent's token and CA, which are in requests.conf, go only with a path.
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

# cli ARGS...: the Consul CLI, bounded, its output in cli.out, its complaint in $why.
# In the background, so that a signal is answered at once.
cli() {
  why=''
  timeout "$cli_patience" consul "$@" >"$dir/cli.out" 2>"$dir/cli.err" &
  cli_pid=$!
  wait "$cli_pid" 2>/dev/null && cli_pid='' && return 0
  case $? in
  137) why="killed: does the container's memory limit hold the 85 MB of Consul's CLI?" ;;
  *) why=$(cat "$dir/cli.err" "$dir/cli.out" 2>/dev/null) ;;
  esac
  cli_pid=''
  [ -n "$why" ] || why="no answer within $cli_patience s"
  return 1
}

# The pod ends: so does what runs in the background, and what hangs has less time.
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
  *"invalid config key"*namespace*) why="the Consul CLI of imageConsul is not Consul Enterprise's: $why" ;;
  *"ermission denied"*) why="the agent does not let the pod register its service: the ServiceAccount must have the same name as the Consul service ($why)" ;;
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

# find_owner ID: $owner is the pod that has registered it: this, another of the same name, none, or
# unknown, with what is wrong in $why.
find_owner() {
  http GET "/v1/agent/service/$1?$ns"
  case $code$body in
  200*"\"$POD_IP\""*) owner=this ;;
  200*) owner=another ;;
  404* | *"nknown service"*) owner=none ;;
  *) owner=unknown why="asking $agent for $1 failed: $code $body" ;;
  esac
}

# Both registrations go, then the token.
leave() {
  hush
  for id in "$proxy_id" "$service_id"; do
    find_owner "$id"
    [ -z "$auth" ] || ! token_again || find_owner "$id"
    [ "$owner" != this ] || http PUT "/v1/agent/service/deregister/$id?$ns"
    case $owner/$code$body in
    another/*) log "another pod has registered $id, which stays" ;;
    */200* | */404* | *"nknown service"*) log "deregistered $id" ;;
    */000*)
      log "the agent does not answer, so $id stays registered until Consul removes it (its check has been critical for 10 minutes): $body"
      break
      ;;
    *) log "could not deregister $id, Consul removes it when its check has been critical for 10 minutes: $code $body" ;;
    esac
  done
  [ -z "$auth" ] || log_out
}
