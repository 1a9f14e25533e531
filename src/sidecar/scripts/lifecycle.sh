# The lifecycle sidecar: the pod's heartbeat to the agent.
# shellcheck shell=sh
dir=${CONNECT_INJECT_DIR:-/consul/connect-inject}
umask 077
# shellcheck source=common.sh
. "$dir/common.sh"
period=$CONNECT_INJECT_SYNC_PERIOD
port=${CONNECT_INJECT_LISTENER_PORT:-}
proc=${CONNECT_INJECT_PROC:-/proc/net}
check=$CONNECT_INJECT_CHECK_ID
# Of the proxy, so that its registration goes with the pod, and only then. Every third heartbeat is for it, too.
proxy_check=$CONNECT_INJECT_PROXY_CHECK_ID spell=0
out="/v1/agent/check/fail/$check?note=pod+is+terminating&$ns"
admin=http://127.0.0.1:$CONNECT_INJECT_ENVOY_ADMIN
sleeping='' ended='' state=start tries=0 verdict='' note=''
login_due='' registration_due='' envoy_due='' registered='' spared=0 spare=40
case $port in *[!0-9]*) port='' ;; esac
[ -z "$port" ] || hex=$(printf %04X "$port")

# nap SECONDS: a sleep that a signal ends. A shell whose read has a timeout waits by itself, at a pipe into which
# nobody writes: a process that only sleeps would double the memory.
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

hush() {
  for pid in "$sleeping" "$cli_pid"; do
    [ -z "$pid" ] || kill "$pid"
  done 2>/dev/null
}

# preStop: out of load balancing, and no heartbeat and no registration any more.
taken_out() {
  [ -z "$ended" ] || return
  ended=1
  hush
  patience=${CONNECT_INJECT_PATIENCE:-3}
  http PUT "$out"
  case $code in
  200) log "the pod is terminating: out of load balancing, heartbeat stopped" ;;
  *) log "the pod is terminating: heartbeat stopped, but the agent could not be told: $code $body" ;;
  esac
  : >"$dir/lifecycle.ended"
}

ending() {
  trap '' TERM INT USR1
  ended=1
  hush
  leave
  rm -f "$dir/lifecycle.pid"
  exit 0
}

# trouble KEY MESSAGE...: said when it is new, then once in a while.
trouble() {
  [ -z "$ended" ] || return
  [ "$state" = "$1" ] || tries=0
  state=$1
  shift
  [ $((tries % 30)) != 0 ] || log "$@"
  tries=$((tries + 1))
}

# tcp6 first: there, a listener is not behind the proxy's connections.
listening() {
  for table in tcp6 tcp; do
    [ -r "$proc/$table" ] || continue
    while read -r _ local _ status _; do
      case $local/$status in *:"$hex"/0A) return 0 ;; esac
    done <"$proc/$table"
  done
  return 1
}

# Whether Envoy takes its token from a file.
envoy_follows() {
  case $(cat "$dir/envoy-bootstrap.json" 2>/dev/null) in *credential_injector*) return 0 ;; esac
  return 1
}

# Envoy has its token from the bootstrap: it quits, and the kubelet starts it with the new one.
restart_envoy() {
  http PUT "/v1/agent/check/fail/$check?note=Envoy+restarts+with+a+new+ACL+token&$ns"
  nap "$pause"
  [ -z "$ended" ] || return
  http POST "$admin/quitquitquit"
  log "told Envoy to restart with the new ACL token"
  left=30
  while [ -z "$ended" ] && [ "$left" -gt 0 ]; do
    nap "$pause"
    http GET "$admin/ready"
    [ "$code" != 200 ] || return
    left=$((left - 1))
  done
}

# beat: the due steps, then one heartbeat. 0: the pod passes; 1: trouble; 2: go on at once.
beat() {
  if [ -n "$login_due" ]; then
    login || {
      trouble login "$why"
      return 1
    }
    login_due='' registration_due=1 envoy_due=1
    log "logged in to auth method $auth again"
  fi
  if [ -n "$envoy_due" ] && [ -z "$ended" ]; then
    token_known || {
      trouble token "$why"
      return 1
    }
    ! envoy_follows || envoy_token
  fi
  if [ -n "$registration_due" ] && [ -z "$ended" ]; then
    register || {
      trouble register "$why"
      return 1
    }
    registration_due='' registered=1
    log "registered $CONNECT_INJECT_SERVICE_ID and $CONNECT_INJECT_PROXY_ID again"
  fi
  if [ -n "$envoy_due" ] && [ -z "$ended" ]; then
    if ! envoy_follows; then
      bootstrap || {
        trouble bootstrap "$why"
        return 1
      }
      restart_envoy
    fi
    envoy_due=''
  fi
  [ -z "$ended" ] || return
  asked=$check
  http PUT "/v1/agent/check/$verdict/$check?$note$ns"
  if [ "$code" = 200 ] && [ "$spell" = 0 ]; then
    asked=$proxy_check
    http PUT "/v1/agent/check/pass/$proxy_check?$ns"
  fi
  if [ -n "$ended" ]; then
    # The signal came in between: that the pod is out must be the last word.
    http PUT "$out"
    return 1
  fi
  case $code$body in
  200*)
    spell=$(((spell + 1) % 3))
    case $state/$verdict in
    pass/pass | fail/fail) ;;
    */pass) log "the agent takes the heartbeat: $check passes" ;;
    *) log "nothing listens on port $port: the pod gets no traffic until something does" ;;
    esac
    state=$verdict tries=0 registered='' spared=0 spare=40
    return
    ;;
  404* | *"nknown check"* | *"does not have associated TTL"*)
    registration_due=1 spell=0
    if [ -z "$registered" ]; then
      log "the agent does not know $asked (any more): registering again"
      return 2
    fi
    trouble 404 "the agent does not know $asked right after the registration, trying on: $body"
    ;;
  403*"ACL not found"*)
    if [ -n "$auth" ] && [ "$spared" -le 0 ]; then
      log "the pod's ACL token is gone: logging in again"
      login_due=1 spared=$spare spare=$((spare * 2))
      return 2
    fi
    spared=$((spared - 1))
    trouble 403 "the agent does not know the pod's ACL token: $body"
    ;;
  403*) trouble 403 "the agent refuses the heartbeat: $body (the pod's ACL token must allow service:write for its service)" ;;
  000*) trouble 000 "no answer from the agent $agent, trying on: $body" ;;
  *) trouble "$code" "the agent $agent answers the heartbeat with $code, trying on: $body" ;;
  esac
  return 1
}

# So many looks for a listener to a heartbeat: ten seconds, or the period if that is shorter.
most=20
case ${period%%.*} in [1-9]) most=$((${period%%.*} * 2)) ;; esac

# rest SECONDS: until the next heartbeat. A listener that was missing ends it.
rest() {
  [ "$verdict" = fail ] || {
    nap "$1"
    return
  }
  looks=$most
  while [ -z "$ended" ] && [ "$looks" -gt 0 ] && ! listening; do
    nap "${CONNECT_INJECT_PAUSE:-0.5}"
    looks=$((looks - 1))
  done
}

trap taken_out USR1
trap ending TERM INT
rm -f "$dir/lifecycle.ended"
echo $$ >"$dir/lifecycle.pid"
log "heartbeat every $period s to $agent for $check${port:+, while something listens on port $port}"
if [ -n "$auth" ]; then
  if [ -s "$dir/acl-token" ]; then
    use_token
  else
    login_due=1
  fi
fi

while [ -z "$ended" ]; do
  if [ -z "$port" ] || listening; then
    verdict=pass note=''
  else
    verdict=fail note="note=nothing+listens+on+port+$port&"
  fi
  beat
  case $? in
  0) rest "$period" ;;
  1)
    [ "$tries" -gt 30 ] && wait_for=$period || wait_for=$pause
    [ -n "$ended" ] || nap "$wait_for"
    ;;
  esac
done
# Only TERM is left to come.
while :; do nap 3600; done
