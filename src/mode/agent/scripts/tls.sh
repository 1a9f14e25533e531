# TLS for connections to the agent. Follows common.sh in pods with tls.enabled.
# shellcheck shell=sh disable=SC2034,SC2154
ca=$dir/ca.pem
name=${CONNECT_INJECT_TLS_SERVER_NAME:-}
export CONSUL_CACERT="$ca" CONSUL_GRPC_CACERT="$ca" CONSUL_TLS_SERVER_NAME="$name"
if [ "$client" = curl ]; then
  conf="cacert = \"$ca\"$nl"
else
  conf="ca_certificate = $ca$nl"
  [ -z "$name" ] || die "tls.serverName requires curl in the Consul image, which has only wget: use hashicorp/consul in the setting imageConsul, or give the agents certificates with their node's address"
fi
if [ -n "$name" ]; then
  base=https://$name:$CONNECT_INJECT_AGENT_PORT
  conf="${conf}connect-to = \"::$host:\"$nl"
fi
# The init container gets the CA from the policy, and saves it in the volume for the lifecycle sidecar.
[ -z "${CONNECT_INJECT_TLS_CA:-}" ] || printf '%s\n' "$CONNECT_INJECT_TLS_CA" >"$ca"
printf %s "$conf" >"$dir/requests.conf"

# Sets $why, if TLS is the reason that the agent does not answer.
tls_trouble() {
  case $body in
  *"wrong version number"*) why="the agent $agent does not use TLS on this port: $body (agent.httpsPort must be the agent's ports.https)" ;;
  *refused* | *"(7)"* | *"timed out"*) ;;
  *)
    certificate_asked "$agent" "the agent $agent"
    case $body in
    *ertificate* | *SSL*) why="no TLS connection to the agent $agent: $body (tls.caCert must be the CA of the agent's certificate; if it contains a name instead of the node's address, set tls.serverName)" ;;
    esac
    ;;
  esac
}

# certificate_asked URL WHERE: ends the script if the server requires a client certificate. The server
# reports it after the handshake, and a client that is already sending may miss it: curl and wget
# nearly always, the CLI sometimes.
certificate_asked() {
  set -- "$1" "$2" "$why"
  for _ in 1 2 3 4 5; do
    cli info -http-addr "$1"
    case $why in
    *"certificate required"* | *"bad certificate"*)
      die "$2 requires a client certificate, which pods do not have: turn off verify_incoming in the agent's configuration for HTTPS and gRPC (tls.https and tls.grpc; before Consul 1.12, set verify_incoming_rpc instead)"
      ;;
    *"broken pipe"* | *"connection reset"* | *"could not be established"* | *EOF*) ;;
    *) break ;;
    esac
  done
  why=$3
}

grpc_in_clear() {
  why="no TLS on the agent's gRPC port $CONNECT_INJECT_GRPC_PORT of $HOST_IP: $why. Set agent.grpcPort to the agent's ports.grpc_tls, usually 8503"
}
