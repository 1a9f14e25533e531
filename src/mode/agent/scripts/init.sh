# The init container: waits for the agent, logs in, registers, writes Envoy's bootstrap configuration.
# namespace.sh and service-defaults.sh precede it in pods that use these features.
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

# retry STEP: runs STEP until it succeeds, for $limit seconds. A failed STEP sets $why.
retry() {
  tries=0 began=$(date +%s)
  until "$1"; do
    tries=$((tries + 1)) spent=$(($(date +%s) - began))
    [ "$spent" -lt "$limit" ] || die "gave up after $spent s: $why"
    if [ "$tries" -le 5 ] || [ $((tries % 10)) = 0 ]; then
      log "waiting ($spent of at most $limit s): $why"
    fi
    sleep "$pause"
  done
}

agent_answers() {
  http GET /v1/status/leader
  case $code$body in
  200*:*) return ;;
  200*) why="the agent $agent does not know a leader of its Consul servers yet" ;;
  400*HTTPS*) why="the agent $agent requires HTTPS: set tls.enabled and tls.caCert" ;;
  000*)
    why="no Consul agent at $agent: $body (is a client agent running on this node, with its HTTP port open on the node's address?)"
    [ -z "$ca" ] || tls_trouble
    ;;
  *) why="the agent $agent returns $code: $body" ;;
  esac
  return 1
}

# Any answer is sufficient: curl and wget do not support gRPC.
grpc_answers() {
  where="the agent's gRPC port $CONNECT_INJECT_GRPC_PORT of $HOST_IP"
  if [ "$client" = curl ]; then
    why=$(curl -sS -g -o /dev/null --max-time "$patience" ${ca:+--cacert "$ca"} "$grpc" 2>&1)
    answer=$?
  else
    # As curl's exit codes: 7 is no connection, 56 a connection without a valid answer.
    why=$(wget -O /dev/null --tries=1 --timeout="$patience" ${ca:+--ca-certificate="$ca"} "$grpc" 2>&1)
    case $why in *connected.*) answer=56 ;; *) answer=7 ;; esac
  fi
  case $answer${ca:+ with TLS} in
  7* | 28*)
    why="nothing answers on $where: $why. Envoy gets its configuration there: enable gRPC in the agent (Helm client.grpc: true, or ports.grpc in its configuration), and set agent.grpcPort to its port"
    return 1
    ;;
  "35 with TLS")
    certificate_asked "$grpc" "$where"
    grpc_in_clear
    return 1
    ;;
  # Typical of a TLS port, but not certain enough to stop the pod.
  52) log "$where closes the connection: if it is ports.grpc_tls, set tls.enabled, or set agent.grpcPort to ports.grpc" ;;
  "0 with TLS" | "52 with TLS") ;;
  *" with TLS") certificate_asked "$grpc" "$where" ;;
  esac
  return 0
}

# Removes the registration of an earlier pod with the same name: its heartbeat check would stay and
# expire.
register_anew() {
  find_owner "$service_id"
  [ "$owner" != unknown ] || return 1
  if [ "$owner" = another ]; then
    http PUT "/v1/agent/service/deregister/$proxy_id?$ns"
    http PUT "/v1/agent/service/deregister/$service_id?$ns"
    log "removed the registration of an earlier pod with this name"
  fi
  register
}

trap 'leave; exit 143' TERM INT

# In the targets of checks, IPv6 addresses need brackets before the port.
case $POD_IP in
*:*) printf %s "$CONNECT_INJECT_REGISTRATION" | sed 's|\(["/]\)'"$POD_IP"':|\1['"$POD_IP"']:|g' ;;
*) printf %s "$CONNECT_INJECT_REGISTRATION" ;;
esac >"$dir/registration.json"

retry agent_answers
limit=$((limit / 2))
if [ -n "$auth" ]; then
  retry token_ready
  retry token_known
fi
[ -z "$ns" ] || retry namespace_exists
retry grpc_answers
[ -z "${CONNECT_INJECT_SERVICE_DEFAULTS:-}" ] || service_defaults
retry register_anew
retry bootstrap
log "wrote Envoy's configuration, done"
