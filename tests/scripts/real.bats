#!/usr/bin/env bats
# The scripts with a real Consul agent. Skipped if there is no consul in the PATH (make e2e builds one).
load helper

agent_setup() {
  real=$(PATH=${PATH//$here/} command -v consul) || skip "no consul on the PATH"
  kill "$agent_pid"
  rm "$BIN/consul"
  # Records its arguments, like the fake.
  printf '#!/bin/sh\nprintf "%%s\\n" "$@" >>"$FAKE/consul-args"\nexec %s "$@"\n' "$real" >"$BIN/consul"
  chmod +x "$BIN/consul"
  ports
  export POD_IP=127.0.0.1 CONNECT_INJECT_AGENT_PORT=$http CONNECT_INJECT_GRPC_PORT=$grpc CONNECT_INJECT_CLI_PATIENCE=20 CONNECT_INJECT_WAIT=40
  export CONSUL_HTTP_ADDR=http://127.0.0.1:$http CONNECT_INJECT_PATIENCE=5
  export CONNECT_INJECT_REGISTRATION='{"services":[{"id":"web-1-web","name":"web","address":"127.0.0.1","port":8080,
    "meta":{"pod-name":"web-1","odd":"$HOME `id` \"q\" '\''s'\'' a  b"},"tags":["a b"],
    "checks":[{"id":"web-1-web-pod-127.0.0.1","name":"Pod","ttl":"3s","deregister_critical_service_after":"10m"}]},
   {"id":"web-1-web-sidecar-proxy","name":"web-sidecar-proxy","kind":"connect-proxy","address":"127.0.0.1","port":20000,
    "proxy":{"destination_service_name":"web","destination_service_id":"web-1-web","local_service_address":"127.0.0.1","local_service_port":8080,
     "upstreams":[{"destination_type":"prepared_query","destination_name":"q","local_bind_address":"127.0.0.1","local_bind_port":1234}]},
    "checks":[{"name":"Proxy Public Listener","tcp":
":20000","interval":"1s"},
     {"name":"Destination Alias","alias_service":"web-1-web"},
     {"id":"web-1-web-sidecar-proxy-pod-127.0.0.1","name":"Pod","ttl":"9s","deregister_critical_service_after":"10m"}]}]}'
}

ports() {
  read -r http https grpc grpc_tls serf server < <(python3 -c "
import socket; s=[socket.create_server(('127.0.0.1',0)) for _ in range(6)]; print(*[x.getsockname()[1] for x in s])")
}

start_consul() { # CONFIGURATION
  cat >"$FAKE/agent.hcl" <<END
ports { http = $http, https = ${https_port:--1}, grpc = $grpc, grpc_tls = $grpc_tls, serf_lan = $serf, serf_wan = -1, server = $server, dns = -1 }
bind_addr = "127.0.0.1"
log_level = "warn"
$*
END
  "$real" agent -dev -config-file "$FAKE/agent.hcl" >"$FAKE/agent.log" 2>&1 3>&- &
  agent_pid=$!
  echo $! >>"$FAKE/children"
}

stop_consul() {
  kill -9 "$agent_pid"
  wait "$agent_pid" || true
}

leads() { get /v1/acl/policies >/dev/null && get /v1/status/leader | grep -q :; }
get() { curl -sf ${management:+-H "X-Consul-Token: $management"} "http://127.0.0.1:$http$1"; }
passing() { get /v1/agent/checks | python3 -c "import json,sys; sys.exit(json.load(sys.stdin)['web-1-web-pod-127.0.0.1']['Status']!='$1')"; }
registered() { get "/v1/agent/service/$1" >/dev/null; }
unregistered() { ! registered "$1"; }

@test "real: waits for the agent, registers every byte, and the bootstrap has every address" {
  agent_setup
  start_consul
  export CONNECT_INJECT_SERVICE_DEFAULTS='{"Kind":"service-defaults","Name":"web","Protocol":"http"}'
  init
  [ "$status" -eq 0 ]
  get /v1/agent/service/web-1-web | python3 -c '
import json, sys
s = json.load(sys.stdin)
assert s["Meta"]["odd"] == """$HOME `id` "q" '"'s'"' a  b""", s["Meta"]
assert s["Tags"] == ["a b"]'
  get /v1/agent/checks | python3 -c '
import json, sys
c = json.load(sys.stdin)
assert c["web-1-web-pod-127.0.0.1"]["Type"] == "ttl" and c["web-1-web-pod-127.0.0.1"]["Status"] == "critical", c'
  python3 - "$CONNECT_INJECT_DIR/envoy-bootstrap.json" "$grpc" "$CONNECT_INJECT_ENVOY_ADMIN" <<'END'
import json, sys
b = json.load(open(sys.argv[1]))
admin = b["admin"]["address"]["socket_address"]
assert (admin["address"], admin["port_value"]) == ("127.0.0.1", int(sys.argv[3])), admin
agent = json.dumps(b["static_resources"]["clusters"][0]["loadAssignment"])
assert '"127.0.0.1"' in agent and sys.argv[2] in agent, agent
assert b["node"]["id"] == "web-1-web-sidecar-proxy"
END
  get /v1/config/service-defaults/web | grep -q '"Protocol": "http"'
  CONNECT_INJECT_SERVICE_DEFAULTS='{"Kind":"service-defaults","Name":"web","Protocol":"http"}' init
  printed "wrote service-defaults of web with protocol http"
  CONNECT_INJECT_SERVICE_DEFAULTS='{"Kind":"service-defaults","Name":"web","Protocol":"grpc"}' init
  [ "$status" -eq 0 ]
  printed "exist with protocol http, but this pod requests grpc"
}

@test "real: a Consul without namespaces is reported" {
  agent_setup
  start_consul
  CONNECT_INJECT_NAMESPACE=team CONNECT_INJECT_NAMESPACE_DOCUMENT='{"Name":"team"}' init
  [ "$status" -eq 1 ]
  last_line "does not support namespaces, which require Consul Enterprise"
}

@test "real: gRPC off, and a gRPC port that speaks TLS" {
  agent_setup
  start_consul
  stop_consul
  off=$grpc
  grpc=-1 start_consul
  CONNECT_INJECT_WAIT=6 CONNECT_INJECT_GRPC_PORT=$off init
  [ "$status" -eq 1 ]
  last_line "nothing answers on the agent's gRPC port $off of 127.0.0.1"
  CONNECT_INJECT_WAIT=6 CONNECT_INJECT_GRPC_PORT=$grpc_tls init
  printed "gRPC port $grpc_tls of 127.0.0.1 closes the connection"
}

@test "real: heartbeat, preStop, TERM; a restart of the agent without its data" {
  agent_setup
  start_consul
  init
  [ "$status" -eq 0 ]
  start_lifecycle
  eventually passing passing
  stop_consul
  eventually logged "no answer from the agent"
  start_consul
  for _ in 1 2 3; do eventually passing passing && break; done
  logged "registered web-1-web and web-1-web-sidecar-proxy again"
  registered web-1-web-sidecar-proxy
  hook "$scripts/lifecycle-pre-stop.sh"
  passing critical
  get /v1/agent/checks | grep -q "pod is terminating"
  kill -TERM "$lifecycle"
  wait "$lifecycle"
  unregistered web-1-web
  unregistered web-1-web-sidecar-proxy
}

@test "real: an expired heartbeat is revived, registered or not" {
  agent_setup
  start_consul
  init
  start_lifecycle
  eventually passing passing
  kill -STOP "$lifecycle"
  eventually passing critical
  kill -CONT "$lifecycle"
  eventually passing passing
  curl -sf -X PUT "http://127.0.0.1:$http/v1/agent/service/deregister/web-1-web"
  eventually passing passing
}

@test "real: a pod that is not ready for long stays registered, one without a heartbeat goes" {
  [ "$SH" = dash ] || skip "takes minutes, and is Consul's doing"
  agent_setup
  # Consul's minimum. Consul checks every 30 s.
  CONNECT_INJECT_REGISTRATION=${CONNECT_INJECT_REGISTRATION//10m/1m}
  local pod='"checks":[{"id":"web-1-web-pod-127.0.0.1"' unready='{"name":"Readiness","tcp":"127.0.0.1:1","interval":"1s"}'
  CONNECT_INJECT_REGISTRATION=${CONNECT_INJECT_REGISTRATION/"$pod"/'"checks":['"$unready,"'{"id":"web-1-web-pod-127.0.0.1"'}
  start_consul
  init
  CONNECT_INJECT_SYNC_PERIOD=1 start_lifecycle
  eventually passing passing
  # Registered after the pod: when Consul has removed these, it would have removed the pod's.
  printf %s "${CONNECT_INJECT_REGISTRATION//web-1-web/lost}" >"$FAKE/lost.json"
  "$real" services register "$FAKE/lost.json"
  for _ in $(seq 30); do eventually unregistered lost && eventually unregistered lost-sidecar-proxy && break; done
  unregistered lost
  unregistered lost-sidecar-proxy
  passing passing
  get /v1/agent/checks | python3 -c '
import json, sys
for check in json.load(sys.stdin).values():
    assert check["Status"] == ("passing" if check["Name"] == "Pod" else "critical"), check'
  registered web-1-web
  registered web-1-web-sidecar-proxy
  ! logged "registering again"
}

# A JWT auth method instead of the Kubernetes one: both are a login with a bearer token.
acl_setup() {
  agent_setup
  management=11111111-2222-3333-4444-555555555555
  start_consul 'acl { enabled = true, default_policy = "deny", tokens { initial_management = "'$management'", agent = "'$management'" } }'
  eventually leads
  openssl genrsa -out "$FAKE/jwt.key" 2048 2>/dev/null
  openssl rsa -in "$FAKE/jwt.key" -pubout -out "$FAKE/jwt.pub" 2>/dev/null
  python3 -c 'import json,sys; print(json.dumps({"JWTValidationPubKeys":[open(sys.argv[1]).read()],"BoundIssuer":"test","ClaimMappings":{"sub":"name"}}))' "$FAKE/jwt.pub" >"$FAKE/method.json"
  export CONSUL_HTTP_TOKEN=$management
  "$real" acl auth-method create -type jwt -name k8s -max-token-ttl "${1:-0s}" -config "@$FAKE/method.json" >/dev/null
  "$real" acl binding-rule create -method k8s -bind-type service -bind-name '${value.name}' >/dev/null
  unset CONSUL_HTTP_TOKEN
  bearer web
  export CONNECT_INJECT_AUTH_METHOD=k8s
}

bearer() { # SUBJECT
  local part
  part=$(printf '{"alg":"RS256","typ":"JWT"}' | url64).$(printf '{"iss":"test","sub":"%s","nbf":%d,"exp":%d}' "$1" $(($(date +%s) - 60)) $(($(date +%s) + 600)) | url64)
  printf '%s.%s' "$part" "$(printf %s "$part" | openssl dgst -sha256 -sign "$FAKE/jwt.key" | url64)" >"$CONNECT_INJECT_BEARER_TOKEN_FILE"
}

url64() { base64 -w0 | tr '+/' '-_' | tr -d =; }
tokens() { get /v1/acl/tokens | grep -c '"AuthMethod": "k8s"'; }
fewer_tokens() { [ "$(tokens)" -le "$1" ]; }

@test "real ACLs, default deny: login, registration, heartbeat, logout" {
  acl_setup
  export CONNECT_INJECT_SERVICE_DEFAULTS='{"Kind":"service-defaults","Name":"web","Protocol":"http"}'
  init
  [ "$status" -eq 0 ]
  printed "logged in to auth method k8s"
  [ "$(tokens)" -eq 1 ]
  grep -q "$(cat "$CONNECT_INJECT_DIR/acl-token")" "$CONNECT_INJECT_DIR/envoy-bootstrap.json"
  get /v1/acl/tokens | grep -q 'pod\\":\\"team/web-1'
  init
  printed "using the ACL token of an earlier start"
  [ "$(tokens)" -eq 1 ]
  ! grep -qF -e "$(cat "$CONNECT_INJECT_DIR/acl-token")" -e "$(cat "$CONNECT_INJECT_BEARER_TOKEN_FILE")" "$FAKE/consul-args" "$FAKE/http-args"
  start_lifecycle
  eventually passing passing
  kill -TERM "$lifecycle"
  wait "$lifecycle"
  logged "logged out of auth method k8s"
  fewer_tokens 0
  unregistered web-1-web
}

@test "real ACLs: a foreign service account is refused by Consul" {
  acl_setup
  bearer other
  CONNECT_INJECT_WAIT=4 init
  [ "$status" -eq 1 ]
  last_line "the ServiceAccount must have the same name as the Consul service"
}

@test "real ACLs: a bearer token that Consul does not accept" {
  acl_setup
  echo "a.b.c" >"$CONNECT_INJECT_BEARER_TOKEN_FILE"
  CONNECT_INJECT_WAIT=4 init
  [ "$status" -eq 1 ]
  last_line "auth method k8s"
}

@test "real ACLs: a token that is deleted is replaced" {
  acl_setup
  init
  [ "$status" -eq 0 ]
  start_agent_stand_in
  start_lifecycle
  eventually passing passing
  old=$(cat "$CONNECT_INJECT_DIR/acl-token")
  CONSUL_HTTP_TOKEN=$old "$real" logout
  for _ in 1 2 3 4; do eventually asked "POST /quitquitquit -" && break; done
  for _ in 1 2 3 4; do eventually logged "logged in to auth method k8s again" && break; done
  eventually passing passing
  [ "$(cat "$CONNECT_INJECT_DIR/acl-token")" != "$old" ]
  grep -q "$(cat "$CONNECT_INJECT_DIR/acl-token")" "$CONNECT_INJECT_DIR/envoy-bootstrap.json"
  [ "$(tokens)" -eq 1 ]
}

@test "real ACLs and a real Envoy: a new token needs no restart, and updates go on" {
  local envoy
  envoy=$(command -v envoy) || skip "no envoy on the PATH"
  acl_setup
  read -r CONNECT_INJECT_ENVOY_ADMIN public < <(python3 -c "
import socket; s=[socket.create_server(('127.0.0.1',0)) for _ in range(2)]; print(*[x.getsockname()[1] for x in s])")
  export CONNECT_INJECT_ENVOY_ADMIN CONNECT_INJECT_REGISTRATION=${CONNECT_INJECT_REGISTRATION//20000/$public} CONNECT_INJECT_ENVOY_TOKEN_FILE=1
  CONNECT_INJECT_REGISTRATION=${CONNECT_INJECT_REGISTRATION/\"local_bind_port\":1234/\"local_bind_port\":$(free_port)}
  CONNECT_INJECT_REGISTRATION=${CONNECT_INJECT_REGISTRATION/prepared_query/service}
  init
  [ "$status" -eq 0 ]
  "$envoy" -c "$CONNECT_INJECT_DIR/envoy-bootstrap.json" --disable-hot-restart --concurrency 1 >"$FAKE/envoy.log" 2>&1 3>&- &
  local pid=$!
  echo $! >>"$FAKE/children"
  for _ in 1 2 3; do eventually envoy_live && break; done
  start_lifecycle
  eventually passing passing
  old=$(cat "$CONNECT_INJECT_DIR/acl-token")
  CONSUL_HTTP_TOKEN=$old "$real" logout
  for _ in 1 2 3 4; do eventually logged "registered web-1-web and web-1-web-sidecar-proxy again" && break; done
  eventually passing passing
  for _ in 1 2 3; do eventually envoy_stat "credential_injector.injected: 2" && break; done
  CONSUL_HTTP_TOKEN=$management "$real" config write - <<<'{"Kind":"service-defaults","Name":"q","Protocol":"http"}' >/dev/null
  eventually envoy_stat "listener_manager.listener_in_place_updated: [1-9]\|listener_manager.listener_modified: [1-9]"
  envoy_stat "control_plane.connected_state: 1"
  kill -0 "$pid"
}

envoy_live() { [ "$(curl -s "http://127.0.0.1:$CONNECT_INJECT_ENVOY_ADMIN/ready")" = LIVE ]; }
envoy_stat() { curl -s "http://127.0.0.1:$CONNECT_INJECT_ENVOY_ADMIN/stats" | grep -q "$1"; }
free_port() { python3 -c "import socket; print(socket.create_server(('127.0.0.1',0)).getsockname()[1])"; }

@test "real ACLs and a real Envoy: its metrics are served on a port and a path of their own" {
  local envoy metrics
  envoy=$(command -v envoy) || skip "no envoy on the PATH"
  acl_setup
  metrics=$(free_port)
  export CONNECT_INJECT_ENVOY_ADMIN CONNECT_INJECT_ENVOY_TOKEN_FILE=1 CONNECT_INJECT_SCRAPE_PATH=/st-ats
  CONNECT_INJECT_ENVOY_ADMIN=$(free_port)
  CONNECT_INJECT_REGISTRATION=${CONNECT_INJECT_REGISTRATION/\"proxy\":{/\"proxy\":{\"config\":{\"envoy_prometheus_bind_addr\":\"127.0.0.1:$metrics\"\},}
  init
  [ "$status" -eq 0 ]
  "$envoy" -c "$CONNECT_INJECT_DIR/envoy-bootstrap.json" --disable-hot-restart --concurrency 1 >"$FAKE/envoy.log" 2>&1 3>&- &
  echo $! >>"$FAKE/children"
  for _ in 1 2 3; do eventually scraped "$metrics/st-ats" && break; done
  for _ in 1 2 3; do eventually envoy_stat "credential_injector.injected: 1" && break; done
  [ "$(curl -s -o /dev/null -w '%{http_code}' "http://127.0.0.1:$metrics/metrics")" = 404 ]
}
scraped() { curl -s "http://127.0.0.1:$1" | grep -q '^envoy_server_live{'; }

# Envoy's admin interface.
start_agent_stand_in() {
  local agent=$agent_pid
  start_agent
  agent_pid=$agent
  export CONNECT_INJECT_ENVOY_ADMIN=$port
}

@test "real TLS with ACLs: a server name, HTTPS and gRPC with the CA" {
  agent_setup
  (cd "$FAKE" && "$real" tls ca create && "$real" tls cert create -server -dc dc1 && "$real" tls ca create -domain other) >/dev/null
  https_port=$https start_consul 'tls { defaults { ca_file = "'$FAKE'/consul-agent-ca.pem", cert_file = "'$FAKE'/dc1-server-consul-0.pem", key_file = "'$FAKE'/dc1-server-consul-0-key.pem" } }'
  CONNECT_INJECT_TLS_CA=$(cat "$FAKE/other-agent-ca.pem" "$FAKE/consul-agent-ca.pem")
  export CONNECT_INJECT_TLS_CA CONNECT_INJECT_TLS_SERVER_NAME=server.dc1.consul CONNECT_INJECT_AGENT_SCHEME=https
  export CONNECT_INJECT_AGENT_PORT=$https CONNECT_INJECT_GRPC_PORT=$grpc_tls
  init
  [ "$status" -eq 0 ]
  python3 - "$CONNECT_INJECT_DIR/envoy-bootstrap.json" <<'END'
import json, sys
c = json.load(open(sys.argv[1]))["static_resources"]["clusters"][0]
ca = c["transport_socket"]["typed_config"]["common_tls_context"]["validation_context"]["trusted_ca"]["inline_string"]
assert ca.count("BEGIN CERTIFICATE") == 2, ca
END
  start_lifecycle
  eventually passing passing
  kill -TERM "$lifecycle"
  wait "$lifecycle"
  unregistered web-1-web
  # The plaintext gRPC port, although TLS is on.
  CONNECT_INJECT_WAIT=4 CONNECT_INJECT_GRPC_PORT=$grpc init
  [ "$status" -eq 1 ]
  last_line "no TLS on the agent's gRPC port $grpc"
}

@test "real TLS: an agent with verify_incoming, on either port, with curl and with wget" {
  agent_setup
  (cd "$FAKE" && "$real" tls ca create && "$real" tls cert create -server -dc dc1 -additional-ipaddress 127.0.0.1) >/dev/null
  local tls="ca_file = \"$FAKE/consul-agent-ca.pem\", cert_file = \"$FAKE/dc1-server-consul-0.pem\", key_file = \"$FAKE/dc1-server-consul-0-key.pem\""
  CONNECT_INJECT_TLS_CA=$(cat "$FAKE/consul-agent-ca.pem")
  export CONNECT_INJECT_TLS_CA CONNECT_INJECT_AGENT_SCHEME=https CONNECT_INJECT_AGENT_PORT=$https CONNECT_INJECT_GRPC_PORT=$grpc_tls
  for client in curl wget; do
    [ "$client" = curl ] || { rm "$BIN/curl" && recorded wget; }
    https_port=$https start_consul "tls { defaults { $tls, verify_incoming = true } }"
    init
    [ "$status" -eq 1 ]
    last_line "the agent https://127.0.0.1:$https requires a client certificate, which pods do not have: turn off verify_incoming"
    stop_consul
    https_port=$https start_consul "tls { defaults { $tls }, grpc { verify_incoming = true }, internal_rpc { verify_incoming = true } }"
    init
    [ "$status" -eq 1 ]
    last_line "the agent's gRPC port $grpc_tls of 127.0.0.1 requires a client certificate"
    stop_consul
    https_port=$https start_consul "tls { defaults { $tls }, internal_rpc { verify_incoming = true } }"
    init
    [ "$status" -eq 0 ]
    stop_consul
  done
}
