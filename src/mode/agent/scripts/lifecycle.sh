# The lifecycle sidecar: sends the pod's heartbeat to the agent. acl-lifecycle.sh and listener.sh
# precede it in pods that use these features, and share its variables.
# shellcheck shell=sh disable=SC2034
dir=${CONNECT_INJECT_DIR:-/consul/connect-inject}
umask 077
# shellcheck source=common.sh
. "$dir/common.sh"
period=$CONNECT_INJECT_SYNC_PERIOD
port=${CONNECT_INJECT_LISTENER_PORT:-}
# The proxy's check gets every third heartbeat, so that Consul removes the proxy only with the pod.
spell=0
fail=/v1/agent/check/fail/$check
out="$fail?note=pod+is+terminating&$ns"
ended='' state=start tries=0 again=again
# The state that the heartbeat reports, which look() in listener.sh sets. It is logged when it changes.
passes="the agent accepts the heartbeat: $check passes" verdict=pass note='' said=$passes
registration_due='' registered=''

# nap SECONDS: a sleep that a signal interrupts. If the shell's read has a timeout, it reads from a pipe
# without a writer: a sleep process would double the memory.
timed=''
rm -f "$dir/nap"
if mkfifo "$dir/nap" && exec 9<>"$dir/nap" && echo >&9; then
  # shellcheck disable=SC3045
  ! (read -r -t 0.5 _ <&9) || timed=1
fi 2>/dev/null
nap() {
  if [ -n "$timed" ]; then
    # shellcheck disable=SC3045
    read -r -t "$1" _ <&9
    return
  fi
  sleep "$1" &
  sleeping=$!
  wait "$sleeping" || { kill "$sleeping" && wait "$sleeping"; } 2>/dev/null
  sleeping=''
}

# For preStop: removes the pod from load balancing, and stops heartbeats and registrations.
taken_out() {
  [ -z "$ended" ] || return
  ended=1
  hush
  http PUT "$out"
  if [ -n "$auth" ] && token_again && register_again; then
    http PUT "$out"
  fi
  case $code$body in
  200* | 404* | *"nknown check"* | *"associated TTL"*) log "the pod is terminating: removed from load balancing, heartbeat stopped" ;;
  *) log "the pod is terminating: heartbeat stopped, but the agent could not be notified: $code $body" ;;
  esac
  : >"$dir/lifecycle.ended"
}

ending() {
  trap '' TERM INT USR1
  ended=1
  leave
  rm -f "$dir/lifecycle.pid"
  exit 0
}

# trouble KEY MESSAGE...: logs the message if the KEY is new, then at every 30th try.
trouble() {
  [ -z "$ended" ] || return
  [ "$state" = "$1" ] || tries=0
  state=$1
  shift
  [ $((tries % 30)) != 0 ] || log "$@"
  tries=$((tries + 1))
}

# try STEP: a failed STEP sets $why.
try() {
  "$1" && return
  case $auth:$why in
  ?*:*"ACL not found"*) ! token_gone || return ;;
  esac
  trouble "$1" "$why"
  return 1
}

# Does not replace the registration of a later pod with the same name.
register_again() {
  find_owner "$service_id"
  case $owner in
  this | none) register && return ;;
  another) why="another pod with this name has registered $service_id: this pod gets no traffic until that pod is gone" ;;
  esac
  return 1
}

# beat: runs the steps that are due, then sends one heartbeat. 0: accepted; 1: failed; 2: repeat now.
beat() {
  [ -z "$auth" ] || renew_token || return 1
  if [ -n "$registration_due" ] && [ -z "$ended" ]; then
    try register_again || return 1
    registration_due='' registered=1
  fi
  [ -z "$auth" ] || [ -n "$ended" ] || renew_envoy || return 1
  [ -z "$ended" ] || return
  asked=$check
  http PUT "/v1/agent/check/$verdict/$check?$note$ns"
  if [ "$code" = 200 ] && [ "$spell" = 0 ]; then
    asked=$proxy_check
    http PUT "/v1/agent/check/pass/$proxy_check?$ns"
  fi
  if [ -n "$ended" ]; then
    # A signal arrived during the request: that the pod is terminating must be the last report.
    http PUT "$out"
    return 1
  fi
  case $code$body in
  200*)
    spell=$(((spell + 1) % 3))
    [ "$state" = "$said" ] || log "$said"
    state=$said tries=0 registered='' spared=0 spare=40
    return
    ;;
  404* | *"nknown check"* | *"associated TTL"*)
    registration_due=1 spell=0
    if [ -z "$registered" ]; then
      log "the agent does not know $asked: registering again"
      return 2
    fi
    trouble 404 "the agent does not know $asked right after the registration, retrying: $body"
    ;;
  403*"ACL not found"*)
    [ -z "$auth" ] || ! token_gone || return 2
    trouble 403 "the agent does not know the pod's ACL token: $body"
    ;;
  403*) trouble 403 "the agent rejects the heartbeat: $body (the pod's ACL token must allow service:write for its service)" ;;
  000*) trouble 000 "no answer from the agent $agent, retrying: $body" ;;
  *) trouble http "the agent $agent returns $code for the heartbeat, retrying: $body" ;;
  esac
  # The proxy's check may have expired, too.
  spell=0
  return 1
}

trap taken_out USR1
trap ending TERM INT
rm -f "$dir/lifecycle.ended"
echo $$ >"$dir/lifecycle.pid"
log "heartbeat every $period s to $agent for $check${port:+, while something listens on port $port}"
[ -z "$auth" ] || resume

while [ -z "$ended" ]; do
  [ -z "$port" ] || look
  beat
  case $? in
  0)
    if [ "$verdict" = pass ]; then
      nap "$period"
    else
      await_listener
    fi
    ;;
  1)
    wait_for=$pause
    if [ "$tries" -gt 30 ]; then
      case ${period%%.*} in ?) wait_for=$period ;; *) wait_for=10 ;; esac
    fi
    [ -n "$ended" ] || nap "$wait_for"
    ;;
  esac
done
# Until SIGTERM: the proxy stays registered while Envoy runs, and the service stays critical.
while :; do
  case $code in
  200 | 4*) nap "$period" ;;
  *) nap "$pause" ;;
  esac
  http PUT "/v1/agent/check/pass/$proxy_check?$ns"
  http PUT "$out"
done
