#!/usr/bin/env bats
# How the scripts use curl and GNU wget (of the UBI image), with and without TLS.
load helper

only_wget() {
  rm "$BIN/curl"
  recorded wget
}

certificate() { # SUBJECT-ALT-NAME
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj "/CN=agent" \
    -addext "subjectAltName=$1" -keyout "$FAKE/key.pem" -out "$FAKE/cert.pem" 2>/dev/null
  kill "$agent_pid"
  start_agent "$FAKE/cert.pem" "$FAKE/key.pem"
  export CONNECT_INJECT_AGENT_SCHEME=https CONNECT_INJECT_AGENT_PORT=$port CONNECT_INJECT_GRPC_PORT=$port
  CONNECT_INJECT_TLS_CA=$(cat "$FAKE/cert.pem")
  export CONNECT_INJECT_TLS_CA
}

@test "wget: the whole start, with ACLs, namespaces and service-defaults" {
  only_wget
  export CONNECT_INJECT_AUTH_METHOD=k8s CONNECT_INJECT_NAMESPACE=team CONNECT_INJECT_NAMESPACE_DOCUMENT=$'{"Name": "t  $x \n"}'
  export CONNECT_INJECT_SERVICE_DEFAULTS='{"Kind":"service-defaults","Name":"web","Protocol":"http"}'
  rules '1|GET|/v1/namespace|404|' '*|PUT|/v1/config|200|false' '*|GET|/v1/config|200|{"Protocol":"tcp"}'
  init
  [ "$status" -eq 0 ]
  printed "created the Consul namespace team"
  printed "exist with protocol tcp, but this pod requests http"
  asked "GET /v1/namespace/team secret-1"
  printf %s "$CONNECT_INJECT_NAMESPACE_DOCUMENT" | cmp - "$FAKE/body.$(grep -n 'PUT /v1/namespace' "$FAKE/requests" | cut -d: -f1)"
  ! grep -q -e secret- "$FAKE/http-args" "$FAKE/consul-args"
}

@test "wget: errors are read as with curl" {
  export CONNECT_INJECT_WAIT=2
  only_wget
  rules '1|GET|leader|500|No known Consul servers' '1|GET|leader|400|Client sent an HTTP request to an HTTPS server.'
  CONNECT_INJECT_WAIT=20 init
  [ "$status" -eq 0 ]
  printed "returns 500: No known Consul servers"
  printed "requires HTTPS"
  rules '*|GET|leader|200|@hang'
  init
  [ "$status" -eq 1 ]
  last_line "no Consul agent at http://127.0.0.1:$port: Read error"
  kill "$agent_pid"
  init
  last_line "Connection refused"
}

@test "wget: gRPC that is off" {
  export CONNECT_INJECT_WAIT=2
  only_wget
  CONNECT_INJECT_GRPC_PORT=1 init
  [ "$status" -eq 1 ]
  last_line "nothing answers on the agent's gRPC port 1 of 127.0.0.1"
}

@test "wget: the heartbeat, the forgotten pod, the lost token, the end" {
  only_wget
  export CONNECT_INJECT_AUTH_METHOD=k8s
  printf secret-0 >"$CONNECT_INJECT_DIR/acl-token"
  rules "1|PUT|check/pass|404|Unknown check ID" "1|PUT|check/pass|403|ACL not found"
  start_lifecycle
  eventually logged "the agent accepts the heartbeat"
  asked "PUT /v1/agent/check/pass/web-1-web-pod-10.1.2.3? secret-1"
  asked "POST /quitquitquit -"
  hook "$scripts/lifecycle-pre-stop.sh"
  kill -TERM "$lifecycle"
  wait "$lifecycle"
  asked "PUT /v1/agent/service/deregister/web-1-web? secret-1"
  asked "POST /v1/acl/logout? secret-1"
  ! grep -q -e secret- "$FAKE/http-args"
}

@test "neither curl nor GNU wget" {
  rm "$BIN/curl"
  printf '#!/bin/sh\necho "BusyBox v1.36" >&2\n' >"$BIN/wget"
  chmod +x "$BIN/wget"
  init
  [ "$status" -eq 1 ]
  last_line "the Consul image has neither curl nor GNU wget"
}

@test "TLS: the agent's address in its certificate" {
  certificate IP:127.0.0.1
  init
  [ "$status" -eq 0 ]
  printed "with https://127.0.0.1:$port"
  grep -Fxq "https://127.0.0.1:$port" "$FAKE/consul-args"
  only_wget
  init
  [ "$status" -eq 0 ]
}

@test "TLS with ACLs: the token goes with the CA, and only to the agent" {
  certificate IP:127.0.0.1
  export CONNECT_INJECT_AUTH_METHOD=k8s
  init
  [ "$status" -eq 0 ]
  asked "GET /v1/acl/token/self?stale& secret-1"
  only_wget
  init
  [ "$status" -eq 0 ]
  printed "using the ACL token of an earlier start"
  ! grep -q -e secret- "$FAKE/http-args"
  # Again without its files, as after a restart of only the sidecar.
  rm "$CONNECT_INJECT_DIR/requests.conf"
  unset CONNECT_INJECT_TLS_CA
  start_lifecycle
  eventually asked "PUT /v1/agent/check/pass/web-1-web-pod-10.1.2.3? secret-1"
}

@test "TLS: several CA certificates" {
  certificate IP:127.0.0.1
  other=$(openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=other -keyout /dev/null 2>/dev/null)
  CONNECT_INJECT_TLS_CA="$other"$'\n'"$CONNECT_INJECT_TLS_CA" init
  [ "$status" -eq 0 ]
}

@test "TLS: a server name in the certificate, the node's address to connect to" {
  certificate DNS:client.dc1.consul
  export CONNECT_INJECT_TLS_SERVER_NAME=client.dc1.consul
  init
  [ "$status" -eq 0 ]
  grep -Fq "name=client.dc1.consul" "$FAKE/consul-env"
  grep -Fq "http=https://127.0.0.1:$port" "$FAKE/consul-env"
  start_lifecycle
  eventually asked "PUT /v1/agent/check/pass"
}

@test "TLS: a server name needs curl" {
  certificate DNS:client.dc1.consul
  only_wget
  CONNECT_INJECT_TLS_SERVER_NAME=client.dc1.consul init
  [ "$status" -eq 1 ]
  last_line "tls.serverName requires curl in the Consul image"
}

@test "TLS: a certificate of another CA, or for another name, is reported with the remedy" {
  export CONNECT_INJECT_WAIT=2
  certificate DNS:client.dc1.consul
  init
  [ "$status" -eq 1 ]
  last_line "no TLS connection to the agent https://127.0.0.1:$port: curl: (60)"
  last_line "if it contains a name instead of the node's address, set tls.serverName"
  CONNECT_INJECT_TLS_CA=$(openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=other -keyout /dev/null 2>/dev/null) init
  last_line "tls.caCert must be the CA of the agent's certificate"
  only_wget
  init
  last_line "no TLS connection to the agent"
}

@test "TLS: an agent in clear text, and a gRPC port in clear text" {
  export CONNECT_INJECT_WAIT=2
  local clear=$port
  certificate IP:127.0.0.1
  CONNECT_INJECT_AGENT_PORT=$clear init
  [ "$status" -eq 1 ]
  kill -9 "$(head -1 "$FAKE/children")" || true
  python3 -m http.server --bind 127.0.0.1 0 >"$FAKE/clear" 2>&1 3>&- &
  echo $! >>"$FAKE/children"
  eventually grep -q port "$FAKE/clear"
  clear=$(sed -n 's/.* port \([0-9]*\) .*/\1/p' "$FAKE/clear")
  CONNECT_INJECT_GRPC_PORT=$clear init
  [ "$status" -eq 1 ]
  last_line "no TLS on the agent's gRPC port $clear of 127.0.0.1"
  last_line "Set agent.grpcPort to the agent's ports.grpc_tls, usually 8503"
}

@test "TLS: an agent that requires a client certificate, on either port, is the last line" {
  local asks none
  AGENT_ASKS_FOR_CERTIFICATE=1 certificate IP:127.0.0.1
  asks=$port
  start_agent "$FAKE/cert.pem" "$FAKE/key.pem"
  none=$port
  # The CLI's message, which it does not always print.
  local lost='info|Error querying agent: Get "https://127.0.0.1:1/v1/agent/self": write tcp 127.0.0.1:2->127.0.0.1:1: write: broken pipe'
  local alert='info|Error querying agent: Get "https://127.0.0.1:1/v1/agent/self": remote error: tls: certificate required'
  for client in curl wget; do
    [ "$client" = curl ] || only_wget
    consul_rules "$lost" "$lost" "$alert"
    CONNECT_INJECT_AGENT_PORT=$asks init
    [ "$status" -eq 1 ]
    last_line "the agent https://127.0.0.1:$asks requires a client certificate, which pods do not have: turn off verify_incoming"
    consul_rules "$lost" "$lost" "$alert"
    CONNECT_INJECT_AGENT_PORT=$none CONNECT_INJECT_GRPC_PORT=$asks init
    [ "$status" -eq 1 ]
    last_line "the agent's gRPC port $asks of 127.0.0.1 requires a client certificate"
  done
}
