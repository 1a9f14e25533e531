# Shared by the tests. SH is the shell under test: dash, "busybox sh", "bash --posix".
# With busybox, its own timeout, sleep and so on are used too, as in the Alpine image.
bats_require_minimum_version 1.5.0
here=$BATS_TEST_DIRNAME
scripts=$here/../../src/mode/agent/scripts
: "${SH:=dash}"
# Many tests measure times, which depend on the machine's load.
BATS_TEST_RETRIES=2

setup() {
  rm -rf "$BATS_TEST_TMPDIR" && mkdir "$BATS_TEST_TMPDIR"
  export FAKE=$BATS_TEST_TMPDIR/fake BIN=$BATS_TEST_TMPDIR/bin
  export CONNECT_INJECT_DIR=$BATS_TEST_TMPDIR/volume CONNECT_INJECT_PROC=$BATS_TEST_TMPDIR/proc
  read -ra shell <<<"$SH"
  shell[0]=$(command -v "${shell[0]}")
  mkdir -p "$FAKE" "$BIN" "$CONNECT_INJECT_DIR" "$CONNECT_INJECT_PROC"
  # The PATH contains only the commands that the scripts may use.
  local tool
  for tool in cat cp date grep mkfifo mv rm sed sleep timeout; do
    case $SH in
    busybox*) ln -s "$(command -v busybox)" "$BIN/$tool" ;;
    *) ln -s "$(command -v "$tool")" "$BIN/$tool" ;;
    esac
  done
  ln -s "$here/consul" "$BIN/consul"
  recorded curl
  : >"$FAKE/children"
  export POD_NAME=web-1 POD_NAMESPACE=team POD_IP=10.1.2.3 HOST_IP=127.0.0.1
  start_agent
  echo "the pod's bearer token" >"$FAKE/bearer"
  export CONNECT_INJECT_BEARER_TOKEN_FILE=$FAKE/bearer
  export CONNECT_INJECT_PAUSE=0.1 CONNECT_INJECT_PATIENCE=1 CONNECT_INJECT_CLI_PATIENCE=2 CONNECT_INJECT_WAIT=20
  export CONNECT_INJECT_AGENT_SCHEME=http CONNECT_INJECT_AGENT_PORT=$port CONNECT_INJECT_GRPC_PORT=$port
  export CONNECT_INJECT_SERVICE_ID=web-1-web
  # As the kubelet sets it.
  export CONNECT_INJECT_REGISTRATION='{"services":[{"address":"10.1.2.3","tcp":"10.1.2.3:20000","id":"a:1"}]}'
  export CONNECT_INJECT_ENVOY_ADMIN=$port CONNECT_INJECT_SYNC_PERIOD=0.3
}

teardown() {
  local pid
  while read -r pid; do
    kill -9 "$pid" && wait "$pid"
  done <"$FAKE/children" 2>/dev/null
  [ ! -e "$FAKE/log" ] || nothing_missing <"$FAKE/log"
}

# Shells continue after an unknown command: it would be a part that the pod does not have.
nothing_missing() { ! grep -E ': [[:alnum:]_-]+: (command )?not found$'; }

# Removes comments and blank lines, like build.rs.
strip() { sed -E '/^ *(#|$)/d'; }

# put_together NAME...: joins these scripts, like the policy.
put_together() { for name; do cat "$scripts/$name.sh"; done | strip; }

# The parts that the variables enable, like src/mode/agent/scripts.rs, so that other tests fail
# if they need one.
common_script() {
  local tls=
  [ "$CONNECT_INJECT_AGENT_SCHEME" = http ] || tls=tls
  put_together common $tls ${CONNECT_INJECT_AUTH_METHOD:+acl} ${CONNECT_INJECT_ENVOY_TOKEN_FILE:+envoy-token}
}

init_script() {
  put_together ${CONNECT_INJECT_NAMESPACE:+namespace} ${CONNECT_INJECT_SERVICE_DEFAULTS:+service-defaults} init
}

lifecycle_script() {
  put_together ${CONNECT_INJECT_AUTH_METHOD:+acl-lifecycle} ${CONNECT_INJECT_LISTENER_PORT:+listener} lifecycle
}

# A client that records its arguments.
recorded() {
  printf '#!/bin/sh\nprintf "%%s\\n" "$@" >>"$FAKE/http-args"\nexec %s "$@"\n' "$(command -v "$1")" >"$BIN/$1"
  chmod +x "$BIN/$1"
}

start_agent() {
  rm -f "$FAKE/port"
  python3 "$here/agent.py" "$FAKE" "$@" 3>&- &
  echo $! >>"$FAKE/children"
  agent_pid=$!
  eventually test -s "$FAKE/port"
  port=$(cat "$FAKE/port")
}

# on_ipv6: the agent is on a node that has only an IPv6 address.
on_ipv6() {
  grep -qs . /proc/net/if_inet6 || skip "this machine has no IPv6"
  export AGENT_ADDRESS=::1 HOST_IP=::1
  start_agent
  export CONNECT_INJECT_AGENT_PORT=$port CONNECT_INJECT_GRPC_PORT=$port CONNECT_INJECT_ENVOY_ADMIN=$port
}

rules() { printf '%s\n' "$@" >"$FAKE/rules"; }
consul_rules() { printf '%s\n' "$@" >"$FAKE/consul-rules"; }

# without_init: unsets the variables that the lifecycle sidecar does not get (src/mode/agent/lifecycle.rs).
without_init() {
  local names=(CONNECT_INJECT_REGISTRATION CONNECT_INJECT_TLS_CA CONNECT_INJECT_SERVICE_DEFAULTS CONNECT_INJECT_NAMESPACE_DOCUMENT)
  [ -n "${CONNECT_INJECT_AUTH_METHOD:-}" ] || names+=(POD_NAMESPACE CONNECT_INJECT_GRPC_PORT CONNECT_INJECT_ENVOY_ADMIN)
  unset "${names[@]}"
}

# script init|lifecycle: runs the script in the shell under test, like the container.
script() {
  [ "$1" = init ] || without_init
  exec env PATH="$BIN" "${shell[@]}" -c "$("$1_script")" sh "$(common_script)"
}

init() {
  run timeout 60 env PATH="$BIN" "${shell[@]}" -c "$(init_script)" sh "$(common_script)"
  # Printed if the test fails.
  echo "init: $status" && echo "$output"
  nothing_missing <<<"$output"
}

start_lifecycle() {
  # As the init container leaves them.
  common_script >"$CONNECT_INJECT_DIR/common.sh"
  [ -e "$CONNECT_INJECT_DIR/registration.json" ] || printf %s "$CONNECT_INJECT_REGISTRATION" >"$CONNECT_INJECT_DIR/registration.json"
  script lifecycle 2>>"$FAKE/log" 3>&- &
  lifecycle=$!
  echo $! >>"$FAKE/children"
}

hook() { run env PATH="$BIN" "${shell[@]}" -c "$(cat "$@" | strip)"; }

# eventually COMMAND...: the command succeeds within 5 seconds.
eventually() {
  local n=0
  until "$@"; do
    n=$((n + 1))
    if [ "$n" -ge 100 ]; then
      echo "never: $*"
      cat "$FAKE/log" "$FAKE/requests" 2>/dev/null
      return 1
    fi
    sleep 0.05
  done
}

logged() { grep -qF -- "$1" "$FAKE/log" || { [ -z "${log_shown-}" ] || cat "$FAKE/log"; return 1; }; }
times_logged() { grep -cF -- "$1" "$FAKE/log"; }
asked() { grep -qs -- "^$1" "$FAKE/requests"; }
times_asked() { cat "$FAKE/requests" 2>/dev/null | grep -c -- "^$1" || true; }
printed() { [[ $output == *"$1"* ]] || { echo "not said: $1"; echo "$output"; return 1; }; }
last_line() { [[ ${lines[-1]} == *"$1"* ]] || { echo "last line: ${lines[-1]}"; return 1; }; }
