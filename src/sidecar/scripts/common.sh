# What init.sh and lifecycle.sh share: POSIX sh. Init is given it as its argument and
# leaves it in the shared volume, which only the injected containers have.
# Whatever varies arrives as an environment variable and is only ever used quoted.
# Set by tests alone: CONNECT_INJECT_DIR, CONNECT_INJECT_PROC, CONNECT_INJECT_PAUSE,
# CONNECT_INJECT_PATIENCE, CONNECT_INJECT_CLI_PATIENCE, CONNECT_INJECT_WAIT,
# CONNECT_INJECT_BEARER_TOKEN_FILE.
# What it sets is used by those that read it, and the other way round.
# shellcheck shell=sh disable=SC2034,SC2154
set -uf
export LC_ALL=C
unset http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY
nl='
'
bearer=${CONNECT_INJECT_BEARER_TOKEN_FILE:-/var/run/secrets/kubernetes.io/serviceaccount/token}
patience=${CONNECT_INJECT_PATIENCE:-5}
cli_patience=${CONNECT_INJECT_CLI_PATIENCE:-20}
pause=${CONNECT_INJECT_PAUSE:-1}
auth=${CONNECT_INJECT_AUTH_METHOD:-}
name=${CONNECT_INJECT_TLS_SERVER_NAME:-}
cli_pid='' code='' body='' why=''

# One line a message, whatever an agent or a tool says in it.
# shellcheck disable=SC2048,SC2086
log() {
  set -- $*
  printf 'consul-connect-inject: %.1000s\n' "$*" >&2
}

die() {
  log "$@"
  exit 1
}

case $HOST_IP in
*:*) host="[$HOST_IP]" ;;
*) host=$HOST_IP ;;
esac
agent=$CONNECT_INJECT_AGENT_SCHEME://$host:$CONNECT_INJECT_AGENT_PORT
grpc=$CONNECT_INJECT_AGENT_SCHEME://$host:$CONNECT_INJECT_GRPC_PORT
ca=''
if [ "$CONNECT_INJECT_AGENT_SCHEME" = https ]; then
  ca=$dir/ca.pem
  export CONSUL_CACERT="$ca" CONSUL_GRPC_CACERT="$ca"
else
  name=''
fi
base=$agent
[ -z "$name" ] || base=https://$name:$CONNECT_INJECT_AGENT_PORT
export CONSUL_HTTP_ADDR="$agent" CONSUL_TLS_SERVER_NAME="$name"
export CONSUL_NAMESPACE="${CONNECT_INJECT_NAMESPACE:-}" CONSUL_HTTP_TOKEN_FILE=''
ns=${CONSUL_NAMESPACE:+ns=$CONSUL_NAMESPACE}
login_ns=${CONNECT_INJECT_LOGIN_NAMESPACE:+ns=$CONNECT_INJECT_LOGIN_NAMESPACE}

if command -v curl >/dev/null; then
  client=curl
else
  client=wget
  case $(wget --version 2>&1) in
  "GNU Wget"*) ;;
  *) die "the Consul image has neither curl nor GNU wget: use an official image (hashicorp/consul) in the setting imageConsul" ;;
  esac
  [ -z "$name" ] || die "tls.serverName needs curl in the Consul image, which has only wget: use hashicorp/consul in the setting imageConsul, or give the agents certificates with their node's address"
fi

# http METHOD PATH-OR-URL [FILE]: $code (000: no answer) and $body (the answer, or the error).
# The agent's token and CA go only with a path.
http() {
  method=$1 url=$2 file=${3:-} own=''
  case $url in
  /*) own=1 url=$base$url ;;
  esac
  if [ "$client" = curl ]; then
    set -- -sS -g --max-time "$patience" -X "$method" -w '\n%{http_code}'
    if [ -n "$own" ]; then
      [ -z "$ca" ] || set -- "$@" --cacert "$ca"
      [ -z "$name" ] || set -- "$@" --connect-to "::$host:"
      [ ! -f "$dir/http-headers" ] || set -- "$@" -H "@$dir/http-headers"
    fi
    [ -z "$file" ] || set -- "$@" -H 'Content-Type: application/json' --data-binary "@$file"
    if body=$(curl "$@" "$url" 2>&1); then
      code=${body##*"$nl"}
    else
      code=000
    fi
    body=${body%"$nl"*}
  else
    set -- -nv -S -O - --content-on-error --max-redirect=0 --tries=1 --timeout="$patience" --method="$method"
    if [ -n "$own" ]; then
      [ -z "$ca" ] || set -- "$@" --ca-certificate="$ca"
      [ ! -f "$dir/wgetrc" ] || set -- "$@" --config="$dir/wgetrc"
    fi
    [ -z "$file" ] || set -- "$@" --header='Content-Type: application/json' --body-file="$file"
    body=$(wget "$@" "$url" 2>"$dir/http.err")
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
  timeout "$cli_patience" consul "$@" >"$dir/cli.out" 2>"$dir/cli.err" &
  cli_pid=$!
  wait "$cli_pid" && cli_pid='' && return
  cli_pid='' why=$(cat "$dir/cli.err" "$dir/cli.out" 2>/dev/null)
  [ -n "$why" ] || why="no answer within $cli_patience s"
  return 1
}

# The token as curl and wget take it, so that it is on no command line.
use_token() {
  CONSUL_HTTP_TOKEN_FILE=$dir/acl-token
  read -r token <"$dir/acl-token" || [ -n "$token" ] || return
  printf 'X-Consul-Token: %s\n' "$token" >"$dir/http-headers"
  printf 'header = X-Consul-Token: %s\n' "$token" >"$dir/wgetrc"
  token=''
}

drop_token() {
  rm -f "$dir/acl-token" "$dir/http-headers" "$dir/wgetrc"
  CONSUL_HTTP_TOKEN_FILE=''
}

login() {
  CONSUL_HTTP_TOKEN_FILE='' CONSUL_NAMESPACE=${CONNECT_INJECT_LOGIN_NAMESPACE:-}
  cli login -method "$auth" -bearer-token-file "$bearer" -token-sink-file "$dir/acl-token.new" \
    -meta "pod=$POD_NAMESPACE/$POD_NAME" && mv "$dir/acl-token.new" "$dir/acl-token"
  set -- $?
  CONSUL_NAMESPACE=${CONNECT_INJECT_NAMESPACE:-}
  if [ "$1" = 0 ]; then
    use_token
    return
  fi
  case $why in
  *amespace*"does not exist"*) why="the Consul namespace ${CONNECT_INJECT_LOGIN_NAMESPACE:-}, where the pod logs in, does not exist. ${operator:-} ($why)" ;;
  *"code: 403"*) why="Consul refuses the pod's service account in auth method $auth: the ServiceAccount must have the same name as the Consul service, and a binding rule of the auth method must match it ($why)" ;;
  *) why="login to auth method $auth failed: $why" ;;
  esac
  return 1
}

# A token is used only once servers know it: agents remember for 30 s that one is unknown.
token_known() {
  http GET "/v1/acl/token/self?stale&$login_ns"
  why="the ACL token is not usable yet: $code $body"
  [ "$code" = 200 ]
}

register() {
  cli services register "$dir/registration.json" && return
  case $why in
  *"invalid config key"*namespace*) why="the Consul CLI of imageConsul is not Consul Enterprise's: $why" ;;
  *"ermission denied"*) why="the agent does not let the pod register its service: the ServiceAccount must have the same name as the Consul service ($why)" ;;
  *) why="registering with $agent failed: $why" ;;
  esac
  return 1
}

# The token as Envoy takes it: a secret in a file that it watches for a move.
envoy_token() {
  read -r token <"$dir/acl-token" || [ -n "$token" ] || return
  printf '{"resources":[{"@type":"type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret","name":"consul-token","generic_secret":{"secret":{"inline_string":"%s"}}}]}' "$token" >"$dir/envoy-token.new"
  token=''
  mv "$dir/envoy-token.new" "$dir/envoy-token.json"
}

# Consul writes the token into the bootstrap. With CONNECT_INJECT_ENVOY_TOKEN_FILE, for an Envoy that can (1.34 and
# later), the connection to the agent gets a filter that takes it from the file: a new token needs no restart. The
# agent's cluster is the first; no other one may be sent the token.
bootstrap() {
  if ! cli connect envoy -proxy-id "$CONNECT_INJECT_PROXY_ID" -bootstrap -grpc-addr "$grpc" \
    -admin-bind "127.0.0.1:$CONNECT_INJECT_ENVOY_ADMIN" || [ ! -s "$dir/cli.out" ]; then
    why="writing Envoy's configuration failed: $why"
    return 1
  fi
  set -- "$dir/cli.out"
  if [ -n "$auth" ] && [ -n "${CONNECT_INJECT_ENVOY_TOKEN_FILE:-}" ]; then
    envoy_token
    types=type.googleapis.com/envoy.extensions
    options='"@type": "'$types'.upstreams.http.v3.HttpProtocolOptions"'
    sed '1,\|'"$options"'|s|'"$options"'|&,"http_filters":[{"name":"envoy.filters.http.credential_injector","typed_config":{"@type":"'"$types"'.filters.http.credential_injector.v3.CredentialInjector","overwrite":true,"allow_request_without_credential":true,"credential":{"name":"envoy.http.injected_credentials.generic","typed_config":{"@type":"'"$types"'.http.injected_credentials.generic.v3.Generic","header":"x-consul-token","credential":{"name":"consul-token","sds_config":{"resource_api_version":"V3","path_config_source":{"path":"'"$dir"'/envoy-token.json"}}}}}}},{"name":"envoy.filters.http.upstream_codec","typed_config":{"@type":"'"$types"'.filters.http.upstream_codec.v3.UpstreamCodec"}}]|' \
      "$1" >"$dir/envoy-bootstrap.new" && set -- "$dir/envoy-bootstrap.new"
  fi
  mv "$1" "$dir/envoy-bootstrap.json"
}

# The pod ends: both registrations go, then the token.
leave() {
  [ -z "$cli_pid" ] || kill "$cli_pid" 2>/dev/null
  patience=${CONNECT_INJECT_PATIENCE:-3}
  for id in "$CONNECT_INJECT_PROXY_ID" "$CONNECT_INJECT_SERVICE_ID"; do
    http PUT "/v1/agent/service/deregister/$id?$ns"
    case $code$body in
    200* | 404* | *"nknown service"*) log "deregistered $id" ;;
    000*)
      log "the agent does not answer, so $id stays registered until Consul removes it (its check has been critical for 10 minutes): $body"
      return
      ;;
    *) log "could not deregister $id, Consul removes it when its check has been critical for 10 minutes: $code $body" ;;
    esac
  done
  if [ -n "$auth" ] && [ -s "$dir/acl-token" ]; then
    http POST "/v1/acl/logout?$login_ns"
    case $code in
    200) log "logged out of auth method $auth" ;;
    *) log "could not log out of auth method $auth: $code $body" ;;
    esac
    drop_token
  fi
}
