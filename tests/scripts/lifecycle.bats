#!/usr/bin/env bats
# The lifecycle sidecar's script and its preStop hook, with fakes of the agent, of Envoy's admin interface and of the CLI.
load helper

listen() { # TABLE [ADDRESS:]PORT[/STATE]..., all as in /proc/net but the port
  local table=$1 entry address state n=0
  shift
  {
    echo "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode"
    for entry; do
      address=0100007F state=0A
      [[ $entry != */* ]] || state=${entry#*/} entry=${entry%/*}
      [[ $entry != *:* ]] || address=${entry%:*} entry=${entry#*:}
      printf '%4d: %s:%04X %s:0000 %s 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0\n' \
        "$((n++))" "$address" "$entry" "${address//[!0]/0}" "$state"
    done
  } >"$CONNECT_INJECT_PROC/$table.new"
  mv "$CONNECT_INJECT_PROC/$table.new" "$CONNECT_INJECT_PROC/$table"
}

pass="PUT /v1/agent/check/pass/web-1-web-pod-10.1.2.3?"
fail="PUT /v1/agent/check/fail/web-1-web-pod-10.1.2.3?"
all_ipv6=00000000000000000000000000000000 ipv4_in_ipv6=0000000000000000FFFF0000
proxy="PUT /v1/agent/check/pass/web-1-web-sidecar-proxy-pod-10.1.2.3?"
start="$scripts/lifecycle-post-start.sh"
stop="$scripts/lifecycle-pre-stop.sh"
linger="$scripts/envoy-pre-stop.sh"

token() {
  export CONNECT_INJECT_AUTH_METHOD=k8s
  printf secret-0 >"$CONNECT_INJECT_DIR/acl-token"
}

passes() { [ "$(times_asked "$pass")" -ge "$1" ]; }

ends() { # within 5 seconds, with status 0
  kill -TERM "$lifecycle"
  local status=0
  (sleep 5; kill -9 "$lifecycle" 2>/dev/null) 3>&- &
  wait "$lifecycle" || status=$?
  [ "$status" -eq 0 ]
}

@test "postStart ends when Envoy listens, whatever else there is on its port" {
  export CONNECT_INJECT_ENVOY_PORT=20000 CONNECT_INJECT_ENVOY_WAIT=30
  local table address began took
  for table in tcp tcp6; do
    [ $table = tcp ] && address=0302010A || address=000000FD000000000000000007000000
    rm -f "$CONNECT_INJECT_DIR/envoy-listened" "$CONNECT_INJECT_PROC"/*
    listen $table "$address:8080" "$address:20000/01" "$address:20000/06"
    (sleep 1; listen $table "$address:8080" "$address:20000") 3>&- &
    began=${EPOCHREALTIME/./}
    hook "$start"
    [ "$status" -eq 0 ]
    took=$((${EPOCHREALTIME/./} - began))
    [ "$took" -gt 900000 ] && [ "$took" -lt 4000000 ]
  done
}

@test "postStart gives up when Envoy does not listen for long" {
  listen tcp 8080
  CONNECT_INJECT_ENVOY_PORT=20000 CONNECT_INJECT_ENVOY_WAIT=1 hook "$start"
  [ "$status" -eq 1 ]
  last_line "Envoy does not listen on port 20000"
}

@test "postStart waits at the pod's start, not when the sidecar alone is restarted" {
  export CONNECT_INJECT_ENVOY_PORT=20000 CONNECT_INJECT_ENVOY_WAIT=1
  listen tcp 20000
  hook "$start"
  [ "$status" -eq 0 ]
  listen tcp 8080
  hook "$start"
  [ "$status" -eq 0 ]
}

@test "passes at once, and then every period" {
  CONNECT_INJECT_SYNC_PERIOD=60 start_lifecycle
  eventually passes 1
  logged "heartbeat every 60 s to http://127.0.0.1:$port for web-1-web-pod-10.1.2.3"
  eventually logged "the agent accepts the heartbeat: web-1-web-pod-10.1.2.3 passes"
  ends
  rm "$FAKE/requests"
  CONNECT_INJECT_SYNC_PERIOD=0.3 start_lifecycle
  sleep 1.1
  local n
  n=$(times_asked "$pass")
  [ "$n" -ge 2 ] && [ "$n" -le 4 ]
}

@test "a heartbeat that goes well logs nothing" {
  CONNECT_INJECT_SYNC_PERIOD=0.05 start_lifecycle
  eventually passes 8
  [ "$(wc -l <"$FAKE/log")" -eq 2 ]
}

@test "without ACLs no token is sent, with them the pod's" {
  start_lifecycle
  eventually asked "${pass} -"
  ends
  token
  start_lifecycle
  eventually asked "${pass} secret-0"
}

@test "the heartbeat goes to the pod's Consul namespace" {
  CONNECT_INJECT_NAMESPACE=team start_lifecycle
  eventually asked "${pass}ns=team"
}

@test "IPv6 node: heartbeat, registration again and the end" {
  on_ipv6
  rules "1|PUT|check/pass|404|Unknown check ID"
  start_lifecycle
  eventually passes 2
  grep -Fq "services http=http://[::1]:$port " "$FAKE/consul-env"
  ends
  asked "PUT /v1/agent/service/deregister/web-1-web?"
}

@test "the proxy's own check passes at once, too, and with every third heartbeat" {
  CONNECT_INJECT_SYNC_PERIOD=60 start_lifecycle
  eventually asked "$proxy"
  ends
  rm "$FAKE/requests"
  CONNECT_INJECT_SYNC_PERIOD=0.05 start_lifecycle
  eventually passes 9
  local n
  n=$(times_asked "$proxy")
  [ "$n" -ge 3 ] && [ "$n" -le 4 ]
}

@test "404 for the proxy alone: it is registered again" {
  rules "1|PUT|sidecar-proxy-pod|404|Unknown check ID"
  CONNECT_INJECT_SYNC_PERIOD=60 start_lifecycle
  eventually passes 2
  eventually logged "the agent does not know web-1-web-sidecar-proxy-pod-10.1.2.3: registering again"
  [ "$(grep -c ^services "$FAKE/consul-args")" -eq 1 ]
  eventually logged "the agent accepts the heartbeat: web-1-web-pod-10.1.2.3 passes"
  [ "$(times_asked "$proxy")" -eq 2 ]
}

@test "404: registers again, only then, and passes at once" {
  echo '{"services":["kept"]}' >"$CONNECT_INJECT_DIR/registration.json"
  rules "1|PUT|check/pass|404|Unknown check ID"
  CONNECT_INJECT_SYNC_PERIOD=60 start_lifecycle
  eventually passes 2
  [ "$(cat "$FAKE/registered")" = '{"services":["kept"]}' ]
  [ "$(grep -c ^services "$FAKE/consul-args")" -eq 1 ]
  eventually logged "registered web-1-web and web-1-web-sidecar-proxy again"
}

@test "an older agent's message for an unknown check counts, too" {
  rules '1|PUT|check/pass|500|CheckID "x" does not have associated TTL'
  start_lifecycle
  eventually logged "registered web-1-web and web-1-web-sidecar-proxy again"
}

@test "a check that stays unknown is no storm of registrations" {
  rules "*|PUT|check/pass|404|Unknown check ID"
  start_lifecycle
  sleep 1.5
  [ "$(grep -c ^services "$FAKE/consul-args")" -le 14 ]
  [ "$(wc -l <"$FAKE/log")" -le 20 ]
  logged "does not know web-1-web-pod-10.1.2.3 right after the registration"
}

@test "a registration that fails is retried, and logged once" {
  rules "1|PUT|check/pass|404|Unknown check ID"
  consul_rules "services|boom" "services|boom" "services|boom"
  start_lifecycle
  eventually passes 2
  [ "$(times_logged "registering with http://127.0.0.1:$port failed: boom")" -eq 1 ]
}

@test "an unreachable agent is logged once, and so is its return" {
  rules "12|PUT|check/pass|500|No known Consul servers"
  CONNECT_INJECT_SYNC_PERIOD=60 CONNECT_INJECT_PAUSE=0.05 start_lifecycle
  eventually passes 13
  [ "$(times_logged "returns 500 for the heartbeat, retrying: No known Consul servers")" -eq 1 ]
  eventually logged "the agent accepts the heartbeat"
}

@test "an agent that refuses connections, or hangs" {
  kill "$agent_pid"
  start_lifecycle
  eventually logged "no answer from the agent http://127.0.0.1:$port, retrying: curl: (7)"
  kill -9 "$lifecycle"
  start_agent
  export CONNECT_INJECT_AGENT_PORT=$port
  rules "*|PUT|.*|200|@hang"
  start_lifecycle
  eventually logged "no answer from the agent http://127.0.0.1:$port, retrying: curl: (28)"
}

@test "trouble is repeated once in a while" {
  rules "*|PUT|check/pass|500|no"
  CONNECT_INJECT_PAUSE=0.01 CONNECT_INJECT_SYNC_PERIOD=0.01 start_lifecycle
  eventually passes 35
  [ "$(times_logged "returns 500 for the heartbeat")" -eq 2 ]
}

@test "after long trouble it tries at the sync period" {
  rules "*|PUT|check/pass|500|no"
  CONNECT_INJECT_PAUSE=0.01 CONNECT_INJECT_SYNC_PERIOD=60 start_lifecycle
  eventually passes 31
  sleep 0.5
  [ "$(times_asked "$pass")" -eq 31 ]
}

@test "a token that is gone: login, bootstrap, registration, and Envoy starts again" {
  token
  rules "1|PUT|check/pass|403|ACL not found" "2|GET|^/ready|503|PRE_INITIALIZING"
  start_lifecycle
  eventually passes 2
  sed 's/ .*//' "$FAKE/consul-env" >"$FAKE/steps"
  [ "$(tr '\n' ' ' <"$FAKE/steps")" = "login services connect " ]
  asked "POST /quitquitquit -"
  [ "$(times_asked "GET /ready")" -eq 3 ]
  asked "${pass} secret-1"
  [ -s "$CONNECT_INJECT_DIR/envoy-bootstrap.json" ]
  # The pod leaves load balancing before Envoy stops.
  sed -n '/quitquitquit/q;p' "$FAKE/requests" | grep -q "check/fail/web-1-web-pod-10.1.2.3?note=Envoy+restarts"
  logged "the pod's ACL token no longer exists: logging in again"
}

@test "a token that is gone, and an Envoy that takes it from a file: no restart" {
  token
  echo '{"credential_injector":1}' >"$CONNECT_INJECT_DIR/envoy-bootstrap.json"
  rules "1|PUT|check/pass|403|ACL not found"
  CONNECT_INJECT_ENVOY_TOKEN_FILE=1 start_lifecycle
  eventually passes 2
  grep -q '"secret-1"' "$CONNECT_INJECT_DIR/envoy-token.json"
  ! asked "POST /quitquitquit"
  ! asked "$fail"
  ! grep -q ^connect "$FAKE/consul-args"
}

@test "each login mints a token: a failure behind it does not log in again" {
  token
  rules "1|PUT|check/pass|403|ACL not found" "3|GET|token/self|403|ACL not found" "6|PUT|check/pass|403|ACL not found"
  consul_rules "login|boom" "services|boom" "connect|boom"
  start_lifecycle
  eventually passes 8
  [ "$(grep -c ^login "$FAKE/consul-args")" -eq 2 ]
  [ "$(times_asked "POST /quitquitquit")" -eq 1 ]
  logged "login to auth method k8s failed: boom"
  logged "the ACL token is not usable yet"
  logged "writing Envoy's configuration failed: boom"
}

@test "a start without a token logs in first" {
  export CONNECT_INJECT_AUTH_METHOD=k8s
  start_lifecycle
  eventually passes 1
  asked "${pass} secret-1"
  [ "$(times_asked "$pass")" -eq 1 ]
}

@test "permission denied is no reason for a new token" {
  token
  rules "*|PUT|check/pass|403|Permission denied: token lacks permission service:write"
  start_lifecycle
  eventually logged "the agent rejects the heartbeat: Permission denied"
  sleep 0.5
  [ ! -e "$FAKE/consul-args" ]
}

@test "preStop: out of load balancing for good, while Envoy's registration stays" {
  CONNECT_INJECT_SYNC_PERIOD=0.1 start_lifecycle
  eventually passes 2
  hook "$stop"
  [ "$status" -eq 0 ]
  asked "${fail}note=pod+is+terminating"
  logged "the pod is terminating: removed from load balancing, heartbeat stopped"
  # A heartbeat that was in progress when the signal came is reverted.
  sleep 0.3
  local n
  n=$(times_asked "$pass")
  [[ $(grep -v sidecar-proxy "$FAKE/requests" | tail -1) == "$fail"* ]]
  # The agent keeps the registrations of a pod that drains for long.
  eventually proxy_passes_after_stop 3
  [ "$(times_asked "$pass")" -eq "$n" ]
}
proxy_passes_after_stop() {
  [ "$(sed "1,\|$fail|d" "$FAKE/requests" | grep -c check/pass/web-1-web-sidecar-proxy-pod-10.1.2.3)" -ge "$1" ]
}

@test "preStop: an agent that did not answer gets the critical check when it answers again" {
  rules '2|PUT|check/fail|500|No cluster leader'
  start_lifecycle
  eventually passes 1
  hook "$stop"
  logged "the agent could not be notified: 500 No cluster leader"
  eventually fails_its_check 3
}
fails_its_check() { [ "$(times_asked "${fail}note=pod+is+terminating")" -ge "$1" ]; }

@test "preStop in the middle of a heartbeat: that the pod is out is the last word" {
  start_lifecycle
  eventually passes 1
  # Each heartbeat takes most of its period.
  kill -STOP "$agent_pid"
  sleep 0.5
  kill -USR1 "$lifecycle"
  sleep 0.2
  kill -CONT "$agent_pid"
  eventually asked "$fail"
  sleep 0.5
  [[ $(tail -1 "$FAKE/requests") == "$fail"* ]]
}

@test "preStop is answered at once, in the middle of a sleep" {
  CONNECT_INJECT_SYNC_PERIOD=60 start_lifecycle
  eventually passes 1
  local began=${EPOCHREALTIME/./}
  hook "$stop"
  [ $((${EPOCHREALTIME/./} - began)) -lt 3000000 ]
}

@test "preStop returns although the agent hangs" {
  start_lifecycle
  eventually passes 1
  rules "*|PUT|.*|200|@hang"
  sleep 0.4
  local began=${EPOCHREALTIME/./}
  hook "$stop"
  [ "$status" -eq 0 ]
  [ $((${EPOCHREALTIME/./} - began)) -lt 4000000 ]
  eventually logged "the pod is terminating"
}

@test "preStop without a sidecar that runs" {
  hook "$stop"
  [ "$status" -eq 0 ]
  echo 999999 >"$CONNECT_INJECT_DIR/lifecycle.pid"
  hook "$stop"
  [ "$status" -eq 0 ]
}

@test "nothing is registered after preStop, even if it comes while a registration hangs" {
  rules "*|PUT|check/pass|404|Unknown check ID"
  consul_rules "services|hang"
  CONNECT_INJECT_CLI_PATIENCE=30 start_lifecycle
  eventually test -s "$FAKE/consul-args"
  hook "$stop"
  eventually asked "$fail"
  sleep 0.5
  [ "$(grep -c ^services "$FAKE/consul-args")" -eq 1 ]
  [ ! -e "$FAKE/registered" ]
  [ "$(times_asked "$pass")" -eq 1 ]
  [ "$(times_logged "failed")" -eq 0 ]
}

@test "TERM: deregisters the proxy, then the service, and ends with 0" {
  start_lifecycle
  eventually passes 1
  hook "$stop"
  ends
  [ "$(grep deregister "$FAKE/requests" | head -1)" = "PUT /v1/agent/service/deregister/web-1-web-sidecar-proxy? -" ]
  asked "PUT /v1/agent/service/deregister/web-1-web? -"
  ! asked "POST /v1/acl/logout"
  logged "deregistered web-1-web"
}

@test "TERM with ACLs: logs out last" {
  token
  CONNECT_INJECT_LOGIN_NAMESPACE=default start_lifecycle
  eventually passes 1
  ends
  [ "$(tail -1 "$FAKE/requests")" = "POST /v1/acl/logout?ns=default secret-0" ]
  [ ! -e "$CONNECT_INJECT_DIR/acl-token" ]
  logged "logged out of auth method k8s"
}

@test "ACLs: a token that goes while a registration is due is replaced" {
  token
  rules "1|PUT|check/pass|404|Unknown check ID"
  consul_rules 'services|Error registering service "web": Unexpected response code: 403 (ACL not found)'
  start_lifecycle
  eventually passes 2
  grep -q ^login "$FAKE/consul-args"
  logged "the pod's ACL token no longer exists: logging in again"
}

@test "ACLs: what an earlier start of the sidecar has left undone is done" {
  token
  : >"$CONNECT_INJECT_DIR/renewing"
  start_lifecycle
  eventually passes 1
  sed 's/ .*//' "$FAKE/consul-env" >"$FAKE/steps"
  [ "$(tr '\n' ' ' <"$FAKE/steps")" = "services connect " ]
  asked "POST /quitquitquit -"
  [ ! -e "$CONNECT_INJECT_DIR/renewing" ]
}

@test "ACLs: a token that is gone at preStop and at TERM does not leave the pod registered" {
  token
  start_lifecycle
  eventually passes 1
  rules "1|PUT|check/fail|403|ACL not found"
  hook "$stop"
  eventually fails_its_check 2
  eventually grep -q ^services "$FAKE/consul-args"
  rules "1|GET|agent/service|403|ACL not found"
  ends
  [ "$(grep -c ^login "$FAKE/consul-args")" -eq 2 ]
  logged "deregistered web-1-web-sidecar-proxy"
  logged "deregistered web-1-web"
}

@test "TERM with ACLs: the logout is retried when a server is busy" {
  token
  rules "1|POST|acl/logout|500|No cluster leader"
  start_lifecycle
  eventually passes 1
  ends
  logged "logged out of auth method k8s"
  [ "$(times_asked "POST /v1/acl/logout")" -eq 2 ]
}

@test "TERM: an unknown service counts as done" {
  start_lifecycle
  eventually passes 1
  rules '1|GET|agent/service|404|unknown service ID: web-1-web-sidecar-proxy' '*|PUT|deregister|404|Unknown service ID "web-1-web"'
  ends
  logged "deregistered web-1-web-sidecar-proxy"
  [ "$(times_asked "PUT /v1/agent/service/deregister")" -eq 1 ]
}

@test "TERM: an agent that is away or hangs does not hold the pod" {
  start_lifecycle
  eventually passes 1
  rules "*|PUT|.*|200|@hang"
  ends
  logged "the agent does not answer: web-1-web-sidecar-proxy stays registered until its check"
  start_lifecycle
  kill "$agent_pid"
  eventually logged "curl: (7)"
  ends
}

@test "TERM ends it at once in the middle of anything, and no process stays" {
  rules "*|PUT|check/pass|404|Unknown check ID"
  consul_rules "services|hang"
  CONNECT_INJECT_CLI_PATIENCE=31 start_lifecycle
  eventually test -s "$FAKE/consul-args"
  local began=${EPOCHREALTIME/./}
  ends
  [ $((${EPOCHREALTIME/./} - began)) -lt 1500000 ]
  eventually no_process "timeout 31"
  rm "$FAKE/rules" "$FAKE/requests"
  CONNECT_INJECT_SYNC_PERIOD=61 start_lifecycle
  eventually asked "$pass"
  ends
  eventually no_process "sleep 61"
}

no_process() { ! pgrep -f "^[^ ]*$1" >/dev/null; }

@test "TERM during a hanging preStop" {
  start_lifecycle
  eventually passes 1
  rules "*|PUT|.*|200|@hang"
  kill -USR1 "$lifecycle"
  ends
}

another='200|{"Address":"10.1.2.9"}'

@test "404, and another pod of the same name is registered: not registered over it, but when it is gone" {
  rules "4|PUT|check/pass|404|Unknown check ID" "3|GET|agent/service/web-1-web.$|$another"
  start_lifecycle
  eventually logged "another pod with this name has registered web-1-web: this pod gets no traffic until that pod is gone"
  [ ! -e "$FAKE/consul-args" ]
  eventually logged "registered web-1-web and web-1-web-sidecar-proxy again"
  eventually logged "the agent accepts the heartbeat"
  [ "$(times_logged "another pod with this name")" -eq 1 ]
}

@test "404, and the owner of the registration is unknown: nothing is registered until it is known" {
  rules "3|PUT|check/pass|404|Unknown check ID" "2|GET|agent/service/web-1-web.$|500|No cluster leader"
  start_lifecycle
  eventually logged "requesting web-1-web from http://127.0.0.1:$port failed: 500 No cluster leader"
  [ ! -e "$FAKE/consul-args" ]
  eventually logged "registered web-1-web and web-1-web-sidecar-proxy again"
}

@test "preStop and TERM, and another pod of the same name is registered: its registration stays" {
  token
  start_lifecycle
  eventually passes 1
  rules "*|PUT|agent/check|404|Unknown check ID" "*|GET|agent/service|$another"
  hook "$stop"
  logged "the pod is terminating: removed from load balancing, heartbeat stopped"
  ends
  ! asked "PUT /v1/agent/service/deregister"
  [ ! -e "$FAKE/consul-args" ]
  logged "web-1-web-sidecar-proxy belongs to another pod, which stays registered"
  logged "web-1-web belongs to another pod, which stays registered"
  logged "logged out of auth method k8s"
}

@test "only the sidecar is restarted: it starts over" {
  token
  start_lifecycle
  eventually passes 1
  hook "$stop"
  ends
  rm "$FAKE/requests"
  rules "1|PUT|check/pass|404|Unknown check ID"
  start_lifecycle
  eventually passes 1
  [ "$(cat "$CONNECT_INJECT_DIR/lifecycle.pid")" = "$lifecycle" ]
  asked "${pass} secret-1"
  [ -e "$FAKE/registered" ]
}

@test "a listener that is not there yet: critical with a note, and passing as soon as it is" {
  listen tcp 20000 8080/01
  CONNECT_INJECT_LISTENER_PORT=8080 CONNECT_INJECT_SYNC_PERIOD=60 start_lifecycle
  eventually asked "${fail}note=nothing+listens+on+port+8080"
  sleep 0.5
  [ "$(times_asked "$pass")" -eq 0 ]
  [ "$(times_asked "$fail")" -eq 1 ]
  listen tcp 20000 8080
  eventually passes 1
  [ "$(times_logged "nothing listens on port 8080")" -eq 1 ]
}

@test "without a listener the pod is tended all the same: registration, and login" {
  token
  listen tcp
  rules "1|PUT|check/fail|404|Unknown check ID" "1|PUT|check/fail|403|ACL not found"
  CONNECT_INJECT_LISTENER_PORT=8080 CONNECT_INJECT_SYNC_PERIOD=60 start_lifecycle
  eventually logged "registered web-1-web and web-1-web-sidecar-proxy again"
  eventually logged "logged in to auth method k8s again"
  eventually asked "${fail}note=nothing+listens+on+port+8080& secret-1"
  eventually asked "${proxy} secret-1"
  [ "$(times_asked "$pass")" -eq 0 ]
  listen tcp 8080
  eventually passes 1
}

@test "without a listener the agent gets a critical check repeatedly" {
  listen tcp
  CONNECT_INJECT_PAUSE=0.01 CONNECT_INJECT_LISTENER_PORT=8080 CONNECT_INJECT_SYNC_PERIOD=60 start_lifecycle
  fails_twice() { [ "$(times_asked "$fail")" -ge 2 ]; }
  eventually fails_twice
  [ "$(times_logged "nothing listens on port 8080")" -eq 1 ]
}

@test "without a listener a short period is kept, too, and the proxy's check is not forgotten" {
  listen tcp
  # A pause represents half a second.
  CONNECT_INJECT_PAUSE=0.1 CONNECT_INJECT_LISTENER_PORT=8080 CONNECT_INJECT_SYNC_PERIOD=1.5 start_lifecycle
  sleep 2.5
  [ "$(times_asked "$fail")" -ge 4 ]
  [ "$(times_asked "$proxy")" -ge 2 ]
}

# The addresses 127.0.0.1, 0.0.0.0 and ::, and the first two as those of IPv6 sockets.
@test "a listener that 127.0.0.1 reaches counts, another port does not" {
  local address
  for address in 0100007F 00000000 "$all_ipv6" "${ipv4_in_ipv6}0100007F" "${ipv4_in_ipv6}00000000"; do
    local table=tcp
    [ "${#address}" -eq 8 ] || table=tcp6
    rm -f "$CONNECT_INJECT_PROC"/* "$FAKE/requests"
    listen $table "$address:18080" "$address:80" "$address:808"
    CONNECT_INJECT_LISTENER_PORT=8080 start_lifecycle
    eventually asked "$fail"
    [ "$(times_asked "$pass")" -eq 0 ]
    listen $table "$address:808" "$address:8080"
    eventually passes 1
    ends
  done
}

@test "a listener on another address does not count, and log and check name the address" {
  local address readable table
  while read -r address readable; do
    table=tcp
    [ "${#address}" -eq 8 ] || table=tcp6
    rm -f "$CONNECT_INJECT_PROC"/* "$FAKE/log" "$FAKE/requests"
    listen tcp
    listen tcp6
    CONNECT_INJECT_LISTENER_PORT=8080 start_lifecycle
    eventually logged "nothing listens on port 8080: the pod gets no traffic until something does"
    listen $table "$address:8080"
    eventually logged "the app listens on port 8080 only at $readable, but Envoy calls 127.0.0.1: the pod gets no traffic until it listens there or on all addresses"
    asked "${fail}note=the+app+listens+on+port+8080+only+at+$readable,+but+Envoy+calls+127.0.0.1&"
    [ "$(times_asked "$pass")" -eq 0 ]
    listen $table "$address:8080" "${address//[!0]/0}:8080"
    eventually passes 1
    ends
  done <<END
0302010A 10.1.2.3
7F00000A 10.0.0.127
0200007F 127.0.0.2
${ipv4_in_ipv6}0302010A 10.1.2.3
000000FD000000000000000007000000 FD00:0000:0000:0000:0000:0000:0000:0007
00000000000000000000000001000000 0000:0000:0000:0000:0000:0000:0000:0001
END
}

@test "a listener that goes away takes the pod out, and its return brings it back" {
  listen tcp 8080
  CONNECT_INJECT_LISTENER_PORT=8080 start_lifecycle
  eventually passes 1
  listen tcp
  eventually asked "$fail"
  local n
  n=$(times_asked "$pass")
  sleep 0.5
  [ "$(times_asked "$pass")" -eq "$n" ]
  listen tcp 8080
  eventually passes $((n + 1))
}

@test "preStop and TERM while it waits for the listener" {
  listen tcp
  CONNECT_INJECT_LISTENER_PORT=8080 start_lifecycle
  eventually asked "$fail"
  hook "$stop"
  logged "the pod is terminating"
  listen tcp 8080
  sleep 0.4
  [ "$(times_asked "$pass")" -eq 0 ]
  ends
}

@test "files and processes do not grow" {
  token
  CONNECT_INJECT_SYNC_PERIOD=0.01 start_lifecycle
  eventually passes 5
  local files anon
  files=$(ls -l "$CONNECT_INJECT_DIR" | wc)
  anon=$(awk '/RssAnon/ { print $2 }' "/proc/$lifecycle/status")
  eventually passes 60
  [ "$(ls -l "$CONNECT_INJECT_DIR" | wc)" = "$files" ]
  [ "$(awk '/RssAnon/ { print $2 }' "/proc/$lifecycle/status")" -le $((anon + 64)) ]
  [ "$(pgrep -P "$lifecycle" | wc -l)" -le 1 ]
  # The process's private memory, without the shell's binary in the page cache.
  [ "$anon" -le 512 ] || [[ $SH == bash* ]]
}

@test "between heartbeats it is one process, where the shell can wait by itself" {
  CONNECT_INJECT_SYNC_PERIOD=60 start_lifecycle
  eventually passes 1
  eventually logged "the agent accepts the heartbeat"
  sleep 0.5
  local children=0
  [[ $SH != dash ]] || children=1
  [ "$(pgrep -P "$lifecycle" | wc -l)" -eq "$children" ]
}

@test "no secret is on a command line" {
  token
  rules "1|PUT|check/pass|403|ACL not found"
  start_lifecycle
  eventually passes 2
  ends
  ! grep -q -e secret- -e "bearer token" "$FAKE/consul-args" "$FAKE/http-args"
}

@test "Envoy's preStop lingers while the port has a listener or a connection" {
  listen tcp 8080
  export CONNECT_INJECT_LINGER=20 CONNECT_INJECT_LINGER_PORT=8080
  (sleep 0.5; listen tcp 8080/01; sleep 1.2; listen tcp 8080/06) 3>&- &
  local began=${EPOCHREALTIME/./} took
  hook "$linger"
  [ "$status" -eq 0 ]
  took=$((${EPOCHREALTIME/./} - began))
  [ "$took" -gt 1500000 ] && [ "$took" -lt 4000000 ]
}

@test "Envoy's preStop lingers for its bound, with and without a port" {
  listen tcp 8080
  local began=${EPOCHREALTIME/./} took
  CONNECT_INJECT_LINGER=1 CONNECT_INJECT_LINGER_PORT=8080 hook "$linger"
  [ "$status" -eq 0 ]
  CONNECT_INJECT_LINGER=1 hook "$linger"
  [ "$status" -eq 0 ]
  took=$((${EPOCHREALTIME/./} - began))
  [ "$took" -gt 1900000 ] && [ "$took" -lt 4000000 ]
}

@test "both hooks one after the other, as the sidecar has them without native sidecars" {
  listen tcp 8080
  start_lifecycle
  eventually passes 1
  CONNECT_INJECT_LINGER=1 CONNECT_INJECT_LINGER_PORT=8080 hook "$stop" "$linger"
  [ "$status" -eq 0 ]
  logged "the pod is terminating"
}
