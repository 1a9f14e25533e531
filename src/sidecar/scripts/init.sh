# The init container: waits for the agent, logs in, registers, writes Envoy's bootstrap.
# shellcheck shell=sh
dir=${CONNECT_INJECT_DIR:-/consul/connect-inject}
umask 077
{ printf %s "$1" >"$dir/common.sh"; } 2>/dev/null || {
  echo "consul-connect-inject: cannot write to the volume at $dir" >&2
  exit 1
}
# shellcheck source=common.sh
. "$dir/common.sh"
limit=${CONNECT_INJECT_WAIT:-120}
operator="An operator runs once: echo '${CONNECT_INJECT_NAMESPACE_DOCUMENT:-}' | consul namespace write -"

# retry SECONDS STEP...: until it succeeds. A STEP leaves in $why what is wrong, and returns 2 if there is no hope.
retry() {
  bound=$1 tries=0 began=$(date +%s)
  shift
  until "$@"; do
    hopeless=$?
    tries=$((tries + 1)) spent=$(($(date +%s) - began))
    [ "$hopeless" != 2 ] || die "$why"
    [ "$spent" -lt "$bound" ] || die "gave up after $spent s: $why"
    if [ "$tries" -le 5 ] || [ $((tries % 10)) = 0 ]; then
      log "waiting ($spent of at most $bound s): $why"
    fi
    sleep "$pause"
  done
}

agent_answers() {
  http GET /v1/status/leader
  case $code$body in
  200*:*) return ;;
  200*) why="the agent $agent knows no leader of its Consul servers yet" ;;
  400*HTTPS*) why="the agent $agent wants HTTPS: set tls.enabled and tls.caCert" ;;
  000*ertificate* | 000*SSL*) why="no TLS connection with the agent $agent: $body (tls.caCert must be the CA of the agent's certificate; if that carries a name instead of the node's address, set tls.serverName)" ;;
  000*) why="no Consul agent at $agent: $body (is a client agent running on this node, with its HTTP port open on the node's address?)" ;;
  *) why="the agent $agent answers $code: $body" ;;
  esac
  return 1
}

token_ready() {
  if [ -s "$dir/acl-token" ]; then
    use_token
    token_known && log "the ACL token of an earlier start still works" && return
    case $code in
    401 | 403 | 404) drop_token ;;
    *) return 1 ;;
    esac
  fi
  login && log "logged in to auth method $auth"
}

namespace_exists() {
  http GET "/v1/namespace/$CONNECT_INJECT_NAMESPACE"
  if [ "$code" = 404 ]; then
    case $body in
    *"Invalid URL path"*)
      why="the agent $agent has no namespaces: they need Consul Enterprise, without it set enableConsulNamespaces to false"
      return 2
      ;;
    esac
    printf %s "$CONNECT_INJECT_NAMESPACE_DOCUMENT" >"$dir/namespace.json"
    http PUT /v1/namespace "$dir/namespace.json"
    [ "$code" != 200 ] || log "created the Consul namespace $CONNECT_INJECT_NAMESPACE"
  fi
  case $code$body in
  200*) return ;;
  403*"ACL not found"*) ;;
  403*)
    why="the Consul namespace $CONNECT_INJECT_NAMESPACE does not exist or may not be read, and this pod may not create it. $operator ($body)"
    return 2
    ;;
  esac
  why="asking for the Consul namespace $CONNECT_INJECT_NAMESPACE: $code $body"
  return 1
}

# Any answer counts as one: gRPC is neither curl's nor wget's language.
grpc_answers() {
  hint="Envoy gets its configuration there: the agent needs gRPC on (Helm client.grpc: true, or ports.grpc in its configuration), and agent.grpcPort must be its port"
  if [ "$client" = curl ]; then
    why=$(curl -sS -g -o /dev/null --max-time "$patience" ${ca:+--cacert "$ca"} "$grpc" 2>&1)
    case $? in
    7 | 28) why="nothing answers on the agent's gRPC port $CONNECT_INJECT_GRPC_PORT of $HOST_IP: $why. $hint" ;;
    52)
      # What a TLS port does; not proof enough to stop the pod.
      [ -n "$ca" ] || log "the agent's gRPC port $CONNECT_INJECT_GRPC_PORT of $HOST_IP closes the connection: if it is ports.grpc_tls, set tls.enabled, or agent.grpcPort to ports.grpc"
      return 0
      ;;
    35) why="no TLS on the agent's gRPC port $CONNECT_INJECT_GRPC_PORT of $HOST_IP: $why. Set agent.grpcPort to the agent's ports.grpc_tls, usually 8503" ;;
    *) return 0 ;;
    esac
  else
    why=$(wget -O /dev/null --tries=1 --timeout="$patience" ${ca:+--ca-certificate="$ca"} "$grpc" 2>&1)
    case $why in
    *connected.*) return 0 ;;
    *) why="nothing answers on the agent's gRPC port $CONNECT_INJECT_GRPC_PORT of $HOST_IP: $why. $hint" ;;
    esac
  fi
  return 1
}

# json_string KEY DOCUMENT: the first string of that key, in $value.
json_string() {
  value=${2#*\""$1"\":}
  [ "$value" != "$2" ] || value=''
  value=${value#*\"}
  value=${value%%\"*}
}

# Best effort: somebody else's service-defaults stay, and a refusal does not stop the pod.
service_defaults() {
  printf %s "$CONNECT_INJECT_SERVICE_DEFAULTS" >"$dir/service-defaults.json"
  json_string Name "$CONNECT_INJECT_SERVICE_DEFAULTS"
  service=$value
  json_string Protocol "$CONNECT_INJECT_SERVICE_DEFAULTS"
  wanted=$value
  http PUT "/v1/config?cas=0&$ns" "$dir/service-defaults.json"
  case $code$body in
  200*true*) log "service-defaults of $service say protocol $wanted" ;;
  200*)
    http GET "/v1/config/service-defaults/$service?$ns"
    json_string Protocol "$body"
    if [ "$code" != 200 ]; then
      log "service-defaults of $service exist and are left alone; they cannot be read: $code $body"
    elif [ "$value" != "$wanted" ]; then
      log "service-defaults of $service exist with protocol ${value:-tcp (none given)}, this pod asks for $wanted: the existing ones stay and apply; change them with consul config write"
    fi
    ;;
  *) log "service-defaults of $service with protocol $wanted could not be written, the pod goes on without: $code $body" ;;
  esac
}

trap 'leave; exit 143' TERM INT

[ -z "$ca" ] || printf '%s\n' "$CONNECT_INJECT_TLS_CA" >"$ca"
case $POD_IP in
*:*) printf %s "$CONNECT_INJECT_REGISTRATION_IPV6" >"$dir/registration.json" ;;
*) printf %s "$CONNECT_INJECT_REGISTRATION" >"$dir/registration.json" ;;
esac

retry "$limit" agent_answers
limit=$((limit / 2))
if [ -n "$auth" ]; then
  retry "$limit" token_ready
  retry "$limit" token_known
fi
[ -z "$ns" ] || retry "$limit" namespace_exists
retry "$limit" grpc_answers
[ -z "${CONNECT_INJECT_SERVICE_DEFAULTS:-}" ] || service_defaults
retry "$limit" register
log "registered $CONNECT_INJECT_SERVICE_ID and $CONNECT_INJECT_PROXY_ID with $agent"
retry "$limit" bootstrap
log "wrote Envoy's configuration, done"
