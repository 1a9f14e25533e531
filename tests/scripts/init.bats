#!/usr/bin/env bats
# The init container's script, with fakes of the agent and the CLI.
load helper

# document ADDRESS TARGET: a registration with the pod's address, without and with a port.
document() { printf '{"services":[{"address":"%s","tcp":"%s:20000","id":"a:1"}]}' "$1" "$2"; }
# init_at ADDRESS: runs the script in a pod with this address.
init_at() { POD_IP=$1 CONNECT_INJECT_REGISTRATION=$(document "$1" "$1") init; }
# registered ADDRESS [TARGET]
registered() { [ "$(cat "$FAKE/registered")" = "$(document "$1" "${2:-$1}")" ]; }

@test "without ACLs, TLS and namespaces: registers and writes Envoy's bootstrap" {
  init
  [ "$status" -eq 0 ]
  [ "$(head -1 "$CONNECT_INJECT_DIR/envoy-bootstrap.json")" = '{"bootstrap":true,' ]
  registered 10.1.2.3
  printed "registered web-1-web and web-1-web-sidecar-proxy with http://127.0.0.1:$port"
  ! grep -q login "$FAKE/consul-args"
}

@test "every log line begins with consul-connect-inject" {
  init
  for line in "${lines[@]}"; do [[ $line == "consul-connect-inject: "* ]]; done
}

@test "Envoy's bootstrap is requested with every address in it" {
  init
  grep -Fxq -- -proxy-id "$FAKE/consul-args"
  grep -Fxq -- "http://127.0.0.1:$port" "$FAKE/consul-args"
  grep -Fxq -- "127.0.0.1:$CONNECT_INJECT_ENVOY_ADMIN" "$FAKE/consul-args"
}

@test "the path of Envoy's metrics is part of the bootstrap if the pod sets one" {
  init
  run ! grep -q -- -prometheus-scrape-path "$FAKE/consul-args"
  CONNECT_INJECT_SCRAPE_PATH='/a*$(id)' init
  grep -Fxq -- '-prometheus-scrape-path=/a*$(id)' "$FAKE/consul-args"
}

@test "the pod's address gets brackets where Envoy's metrics are, if it is an IPv6 address" {
  export CONNECT_INJECT_REGISTRATION='{"config":{"envoy_prometheus_bind_addr":"fd00::7:20200"}}' POD_IP=fd00::7
  init
  grep -Fq '"envoy_prometheus_bind_addr":"[fd00::7]:20200"' "$CONNECT_INJECT_DIR/registration.json"
}

@test "files in the volume are for the pod's own user only" {
  export CONNECT_INJECT_AUTH_METHOD=k8s
  init
  [ "$status" -eq 0 ]
  [ -z "$(find "$CONNECT_INJECT_DIR" -type f -perm /077)" ]
}

@test "spaces, newlines, quotes, backslashes and dollars arrive byte for byte" {
  weird=$'{"a": "b  c\n\t\\n $HOME $(touch x) `touch x` \'q\' \\"d\\" * %s ü"}\n\n'
  export CONNECT_INJECT_REGISTRATION=$weird CONNECT_INJECT_SERVICE_DEFAULTS="$weird{\"Name\":\"web\",\"Protocol\":\"http\"}"
  export CONNECT_INJECT_AUTH_METHOD=$'m $HOME "x" \'y\' *' POD_NAME=$'p $(id)\n"q' POD_NAMESPACE='n * s'
  export CONNECT_INJECT_NAMESPACE=team CONNECT_INJECT_NAMESPACE_DOCUMENT=$weird
  rules '1|GET|/v1/namespace|404|'
  init
  [ "$status" -eq 0 ]
  printf %s "$weird" | cmp - "$FAKE/registered"
  printf %s "$CONNECT_INJECT_SERVICE_DEFAULTS" | cmp - "$FAKE/body.$(grep -n 'PUT /v1/config' "$FAKE/requests" | cut -d: -f1)"
  printf %s "$weird" | cmp - "$FAKE/body.$(grep -n 'PUT /v1/namespace' "$FAKE/requests" | cut -d: -f1)"
  grep -Fq -- "$CONNECT_INJECT_AUTH_METHOD" "$FAKE/consul-args"
  [[ $(cat "$FAKE/consul-args") == *"pod=n * s/$POD_NAME"* ]]
  [ ! -e x ]
}

@test "the pod's address gets brackets where a port follows it, and only if it is an IPv6 address" {
  local document='{"address":"IP","http":"http://IP:8080/x?y=IP","grpc":"IP:9000/s.S","tcp":"IP:20000","meta":{"ip":"IP","a":"10x1x2x3:1"}}'
  POD_IP=10.1.2.3 CONNECT_INJECT_REGISTRATION=${document//IP/10.1.2.3} init
  [ "$status" -eq 0 ]
  printf %s "${document//IP/10.1.2.3}" | cmp - "$FAKE/registered"
  POD_IP=fd00::7 CONNECT_INJECT_REGISTRATION=${document//IP/fd00::7} init
  [ "$status" -eq 0 ]
  document=${document//IP:/[fd00::7]:}
  printf %s "${document//IP/fd00::7}" | cmp - "$FAKE/registered"
}

@test "IPv6 node: the address is in brackets" {
  HOST_IP=::1 CONNECT_INJECT_WAIT=0 init
  [ "$status" -eq 1 ]
  last_line "no Consul agent at http://[::1]:$port"
  grep -Fxq "http://[::1]:$port/v1/status/leader" "$FAKE/http-args"
}

@test "IPv6 only: the whole start, with brackets before every port" {
  on_ipv6
  CONNECT_INJECT_AUTH_METHOD=k8s CONNECT_INJECT_NAMESPACE=team init_at fd00::7
  [ "$status" -eq 0 ]
  registered fd00::7 '[fd00::7]'
  grep -Fxq "http://[::1]:$port" "$FAKE/consul-args"
  ! grep -v "http=http://\[::1\]:$port " "$FAKE/consul-env"
  asked "GET /v1/namespace/team"
}

@test "dual stack: the pod's own address is registered, the node's is the agent's" {
  init_at fd00::7
  [ "$status" -eq 0 ]
  registered fd00::7 '[fd00::7]'
  on_ipv6
  init_at 10.1.2.3
  [ "$status" -eq 0 ]
  registered 10.1.2.3
}

@test "waits for the agent, a line a try with address and error" {
  kill "$agent_pid"
  (
    sleep 0.7
    AGENT_PORT=$port exec python3 "$here/agent.py" "$FAKE" 3>&-
  ) 3>&- &
  echo $! >>"$FAKE/children"
  init
  [ "$status" -eq 0 ]
  printed "of at most 20 s): no Consul agent at http://127.0.0.1:$port: curl: (7)"
}

@test "waiting is logged every time at first, then less often" {
  kill "$agent_pid"
  # A clock that advances a second each time it is read.
  rm "$BIN/date"
  printf '#!/bin/sh\necho x >>"$FAKE/clock"\nexec grep -c x "$FAKE/clock"\n' >"$BIN/date"
  chmod +x "$BIN/date"
  CONNECT_INJECT_PAUSE=0 CONNECT_INJECT_WAIT=60 init
  [ "$status" -eq 1 ]
  # Tries 1 to 5, 10, 20, 30, 40, 50, and the last one.
  [ "${#lines[@]}" -eq 11 ]
}

@test "gives up with the reason as the last line" {
  export CONNECT_INJECT_WAIT=2
  kill "$agent_pid"
  init
  [ "$status" -eq 1 ]
  last_line "gave up after 2 s: no Consul agent at http://127.0.0.1:$port: curl: (7)"
  last_line "is a client agent running on this node"
}

@test "an agent that hangs is an agent that does not answer" {
  export CONNECT_INJECT_WAIT=2
  rules '*|*|.*|200|@hang'
  init
  [ "$status" -eq 1 ]
  last_line "no Consul agent at http://127.0.0.1:$port: curl: (28)"
}

@test "an agent that answers wrongly is quoted" {
  export CONNECT_INJECT_WAIT=2
  rules '*|GET|leader|500|No known Consul servers'
  init
  [ "$status" -eq 1 ]
  last_line "returns 500: No known Consul servers"
}

@test "an agent without a leader is waited for" {
  rules '2|GET|leader|200|""'
  init
  [ "$status" -eq 0 ]
  printed "does not know a leader of its Consul servers yet"
}

@test "an agent that wants HTTPS" {
  export CONNECT_INJECT_WAIT=2
  rules '*|GET|leader|400|Client sent an HTTP request to an HTTPS server.'
  init
  last_line "requires HTTPS: set tls.enabled and tls.caCert"
}

@test "ACLs: logs in, and every later call has the token" {
  export CONNECT_INJECT_AUTH_METHOD=k8s CONNECT_INJECT_SERVICE_DEFAULTS='{"Name":"web","Protocol":"http"}'
  init
  [ "$status" -eq 0 ]
  printed "logged in to auth method k8s"
  asked "PUT /v1/config?cas=0& secret-1"
  grep -Fxq "login http=http://127.0.0.1:$port ns= token= name=" "$FAKE/consul-env"
  grep -Fq "services http=http://127.0.0.1:$port ns= token=acl-token" "$FAKE/consul-env"
  grep -Fxq "pod=team/web-1" "$FAKE/consul-args"
  grep -Fxq "$CONNECT_INJECT_BEARER_TOKEN_FILE" "$FAKE/consul-args"
}

@test "no secret is on a command line" {
  export CONNECT_INJECT_AUTH_METHOD=k8s
  init
  [ "$status" -eq 0 ]
  ! grep -q -e secret- -e "bearer token" "$FAKE/consul-args" "$FAKE/http-args"
}

@test "ACLs: a token that still works is used again" {
  export CONNECT_INJECT_AUTH_METHOD=k8s
  init
  init
  [ "$status" -eq 0 ]
  printed "using the ACL token of an earlier start"
  [ "$(grep -c ^login "$FAKE/consul-args")" -eq 1 ]
}

@test "ACLs: a token that is gone is replaced" {
  export CONNECT_INJECT_AUTH_METHOD=k8s
  init
  rules '1|GET|token/self|403|ACL not found'
  init
  [ "$status" -eq 0 ]
  [ "$(cat "$CONNECT_INJECT_DIR/acl-token")" = secret-2 ]
  asked "GET /v1/acl/token/self?stale& secret-2"
}

@test "ACLs: servers that are away do not cost the token" {
  export CONNECT_INJECT_AUTH_METHOD=k8s
  init
  rules '3|GET|token/self|500|No known Consul servers'
  init
  [ "$status" -eq 0 ]
  [ "$(cat "$CONNECT_INJECT_DIR/acl-token")" = secret-1 ]
}

@test "ACLs: login is tried again" {
  export CONNECT_INJECT_AUTH_METHOD=k8s
  consul_rules 'login|Error logging in: Unexpected response code: 500 (No cluster leader)'
  init
  [ "$status" -eq 0 ]
  printed "login to auth method k8s failed: Error logging in: Unexpected response code: 500 (No cluster leader)"
}

@test "ACLs: a refused login names the remedy" {
  export CONNECT_INJECT_WAIT=2
  export CONNECT_INJECT_AUTH_METHOD=k8s
  for _ in $(seq 50); do echo 'login|Error logging in: Unexpected response code: 403 (Permission denied)'; done >"$FAKE/consul-rules"
  init
  [ "$status" -eq 1 ]
  last_line "gave up after 1 s: Consul rejects the pod's service account in auth method k8s: the ServiceAccount must have the same name as the Consul service"
}

@test "ACLs: a CLI that hangs is ended" {
  export CONNECT_INJECT_AUTH_METHOD=k8s CONNECT_INJECT_CLI_PATIENCE=1 CONNECT_INJECT_WAIT=6
  consul_rules 'login|hang' 'services|late'
  init
  [ "$status" -eq 0 ]
  printed "login to auth method k8s failed: no answer within 1 s"
}

@test "ACLs: a fresh token is waited for" {
  export CONNECT_INJECT_AUTH_METHOD=k8s
  rules '3|GET|token/self|403|ACL not found'
  init
  [ "$status" -eq 0 ]
  printed "the ACL token is not usable yet: 403 ACL not found"
  [ "$(grep -c ^login "$FAKE/consul-args")" -eq 1 ]
}

@test "ACLs: no answer with a token in it is logged" {
  export CONNECT_INJECT_AUTH_METHOD=k8s
  rules '2|GET|token/self|500|{"AccessorID":"a","SecretID":"secret-9"}'
  init
  [ "$status" -eq 0 ]
  printed 'the ACL token is not usable yet: 500 {"AccessorID":"a","'
  [[ $output != *secret-9* ]]
}

@test "ACLs with namespaces: the login is made where the auth method lives, the rest in the pod's" {
  export CONNECT_INJECT_AUTH_METHOD=k8s CONNECT_INJECT_LOGIN_NAMESPACE=default CONNECT_INJECT_NAMESPACE=team
  export CONNECT_INJECT_SERVICE_DEFAULTS='{"Name":"web","Protocol":"http"}'
  init
  [ "$status" -eq 0 ]
  grep -q "^login .* ns=default " "$FAKE/consul-env"
  grep -q "^services .* ns=team " "$FAKE/consul-env"
  grep -q "^connect .* ns=team " "$FAKE/consul-env"
  asked "GET /v1/acl/token/self?stale&ns=default"
  asked "PUT /v1/config?cas=0&ns=team"
}

@test "namespace: an existing one is kept" {
  export CONNECT_INJECT_NAMESPACE=team CONNECT_INJECT_NAMESPACE_DOCUMENT='{"Name":"team"}'
  init
  [ "$status" -eq 0 ]
  asked "GET /v1/namespace/team"
  ! asked "PUT /v1/namespace"
}

@test "namespace: a missing one is created" {
  export CONNECT_INJECT_NAMESPACE=team CONNECT_INJECT_NAMESPACE_DOCUMENT='{"Name":"team"}'
  rules '1|GET|/v1/namespace|404|'
  init
  [ "$status" -eq 0 ]
  printed "created the Consul namespace team"
}

@test "namespace: without the right to create it, the operator's command is the last line" {
  export CONNECT_INJECT_NAMESPACE=team CONNECT_INJECT_NAMESPACE_DOCUMENT='{"Name":"team"}'
  rules '*|GET|/v1/namespace|404|' '*|PUT|/v1/namespace|403|Permission denied'
  init
  [ "$status" -eq 1 ]
  last_line "To create it, an operator runs: echo '{\"Name\":\"team\"}' | consul namespace write -"
}

@test "namespace: Consul without namespaces is distinguished from a missing namespace" {
  export CONNECT_INJECT_NAMESPACE=team CONNECT_INJECT_NAMESPACE_DOCUMENT='{"Name":"team"}'
  rules '*|GET|/v1/namespace|404|Invalid URL path: not a recognized HTTP API endpoint'
  init
  [ "$status" -eq 1 ]
  last_line "does not support namespaces, which require Consul Enterprise: set enableConsulNamespaces to false"
}

@test "namespace: a token that is not known yet, or a failing server, is tried again" {
  export CONNECT_INJECT_NAMESPACE=team CONNECT_INJECT_NAMESPACE_DOCUMENT='{"Name":"team"}'
  rules '1|GET|/v1/namespace|403|ACL not found' '1|GET|/v1/namespace|500|no leader'
  init
  [ "$status" -eq 0 ]
  printed "reading the Consul namespace team failed: 403 ACL not found"
}

@test "gRPC that is off is the reason given" {
  export CONNECT_INJECT_WAIT=2
  CONNECT_INJECT_GRPC_PORT=1 init
  [ "$status" -eq 1 ]
  last_line "gave up after 1 s: nothing answers on the agent's gRPC port 1 of 127.0.0.1: curl: (7)"
  last_line "enable gRPC in the agent (Helm client.grpc: true, or ports.grpc in its configuration)"
}

@test "service-defaults: written if there are none" {
  CONNECT_INJECT_SERVICE_DEFAULTS='{"Kind":"service-defaults","Name":"web","Protocol":"http"}' init
  [ "$status" -eq 0 ]
  printed "wrote service-defaults of web with protocol http"
}

@test "service-defaults: an operator's stay, and the log has both protocols" {
  rules '*|PUT|/v1/config|200|false' '*|GET|/v1/config/service-defaults/web|200|{ "Kind": "service-defaults", "Name": "web", "Protocol": "tcp" }'
  CONNECT_INJECT_SERVICE_DEFAULTS='{"Kind":"service-defaults","Name":"web","Protocol":"http"}' init
  [ "$status" -eq 0 ]
  printed "service-defaults of web exist with protocol tcp, but this pod requests http"
}

@test "service-defaults: a refusal or an error does not stop the pod" {
  rules '*|PUT|/v1/config|403|Permission denied'
  CONNECT_INJECT_SERVICE_DEFAULTS='{"Kind":"service-defaults","Name":"web","Protocol":"http"}' init
  [ "$status" -eq 0 ]
  printed "could not be written; the pod starts without them: 403 Permission denied"
  rules '*|PUT|/v1/config|200|@hang'
  CONNECT_INJECT_SERVICE_DEFAULTS='{"Kind":"service-defaults","Name":"web","Protocol":"http"}' init
  [ "$status" -eq 0 ]
}

@test "registration is tried again, and a refusal names the remedy" {
  consul_rules 'services|Error registering service "web": Unexpected response code: 403 (ACL not found)'
  init
  [ "$status" -eq 0 ]
  export CONNECT_INJECT_WAIT=2
  for _ in $(seq 50); do echo 'services|Error registering service "web": Unexpected response code: 403 (Permission denied: ...)'; done >"$FAKE/consul-rules"
  init
  [ "$status" -eq 1 ]
  last_line "the ServiceAccount must have the same name as the Consul service"
}

@test "what an earlier pod of the same name has left registered goes first" {
  rules '1|GET|agent/service/web-1-web\?|200|{"Address":"10.1.2.9"}'
  init
  [ "$status" -eq 0 ]
  printed "removed the registration of an earlier pod with this name"
  asked "PUT /v1/agent/service/deregister/web-1-web-sidecar-proxy?"
  asked "PUT /v1/agent/service/deregister/web-1-web?"
  registered 10.1.2.3
}

@test "what an earlier start of this pod has left registered stays" {
  init
  [ "$status" -eq 0 ]
  ! asked "PUT /v1/agent/service/deregister"
}

@test "a namespace that is missing at login is reported with what to do" {
  export CONNECT_INJECT_AUTH_METHOD=k8s CONNECT_INJECT_NAMESPACE=team CONNECT_INJECT_LOGIN_NAMESPACE=team
  export CONNECT_INJECT_NAMESPACE_DOCUMENT='{"Name":"team"}' CONNECT_INJECT_WAIT=2
  for _ in $(seq 50); do echo 'login|Error logging in: Unexpected response code: 500 (Namespace "team" does not exist)'; done >"$FAKE/consul-rules"
  init
  [ "$status" -eq 1 ]
  last_line "the Consul namespace team, where the pod logs in, does not exist. To create it, an operator runs: echo '{\"Name\":\"team\"}' | consul namespace write -"
}

@test "with an Envoy that can, its token is in a file that it watches" {
  export CONNECT_INJECT_AUTH_METHOD=k8s
  CONNECT_INJECT_ENVOY_TOKEN_FILE=1 init
  [ "$status" -eq 0 ]
  python3 - "$CONNECT_INJECT_DIR" <<'END'
import json, sys
bootstrap = json.load(open(sys.argv[1] + "/envoy-bootstrap.json"))
injector = bootstrap["http_filters"][0]["typed_config"]["credential"]["typed_config"]
assert injector["credential"]["sds_config"]["path_config_source"]["path"] == sys.argv[1] + "/envoy-token.json"
secret = json.load(open(sys.argv[1] + "/envoy-token.json"))["resources"][0]
assert secret["name"] == injector["credential"]["name"]
assert secret["generic_secret"]["secret"]["inline_string"] == "secret-1"
END
  # In the agent's cluster, not in an operator's.
  [ "$(grep -c http_filters "$CONNECT_INJECT_DIR/envoy-bootstrap.json")" -eq 1 ]
  init
  ! grep -q credential_injector "$CONNECT_INJECT_DIR/envoy-bootstrap.json"
  unset CONNECT_INJECT_AUTH_METHOD
  CONNECT_INJECT_ENVOY_TOKEN_FILE=1 init
  ! grep -q credential_injector "$CONNECT_INJECT_DIR/envoy-bootstrap.json"
}

@test "an empty bootstrap is not taken, and the old one stays" {
  export CONNECT_INJECT_WAIT=2
  echo old >"$CONNECT_INJECT_DIR/envoy-bootstrap.json"
  for _ in $(seq 50); do echo 'connect|empty'; done >"$FAKE/consul-rules"
  init
  [ "$status" -eq 1 ]
  [ "$(cat "$CONNECT_INJECT_DIR/envoy-bootstrap.json")" = old ]
}

@test "a long or many-line error is one bounded line" {
  rules "*|GET|leader|500|$(printf 'x%.0s' $(seq 5000))"
  CONNECT_INJECT_WAIT=0 init
  [ "${#lines[@]}" -eq 1 ]
  [ "${#lines[0]}" -lt 1100 ]
}

@test "a volume that cannot be written is reported" {
  CONNECT_INJECT_DIR=/nowhere init
  [ "$status" -eq 1 ]
  last_line "cannot write to the volume at /nowhere"
}

@test "a pod that is deleted while it starts leaves nothing behind" {
  export CONNECT_INJECT_AUTH_METHOD=k8s CONNECT_INJECT_WAIT=20
  consul_rules 'connect|hang'
  script init 2>>"$FAKE/log" 3>&- &
  pid=$!
  eventually grep -q ^connect "$FAKE/consul-args"
  kill -TERM $pid
  wait $pid && false
  asked "PUT /v1/agent/service/deregister/web-1-web-sidecar-proxy? secret-1"
  asked "PUT /v1/agent/service/deregister/web-1-web? secret-1"
  asked "POST /v1/acl/logout? secret-1"
}
