# Replaces a token that no longer exists. Precedes lifecycle.sh in pods with acls.enabled, and
# requires acl.sh.
# shellcheck shell=sh disable=SC2034,SC2154
login_due='' envoy_due='' spared=0 spare=40
admin=http://127.0.0.1:$CONNECT_INJECT_ENVOY_ADMIN

# Continues what an earlier start of the sidecar did not finish.
resume() {
  use_token || login_due=1
  [ ! -e "$dir/renewing" ] || registration_due=1 envoy_due=1
}

# Each login creates a token. If new tokens are rejected, the time until the next login doubles.
token_gone() {
  if [ "$spared" -gt 0 ]; then
    spared=$((spared - 1))
    return 1
  fi
  log "the pod's ACL token no longer exists: logging in again"
  login_due=1 spared=$spare spare=$((spare * 2))
}

# Runs before the registration, which needs the token.
renew_token() {
  if [ -n "$login_due" ]; then
    : >"$dir/renewing"
    try login || return
    login_due='' registration_due=1 envoy_due=1
    [ "$spared" -gt 0 ] || spared=$spare
  fi
  if [ -n "$envoy_due" ] && [ -z "$ended" ]; then
    try token_known || return
    ! envoy_follows || envoy_token
  fi
  return 0
}

# Runs after the registration, which the bootstrap configuration requires.
renew_envoy() {
  [ -n "$envoy_due" ] || return 0
  if ! envoy_follows; then
    try bootstrap || return
    restart_envoy
  fi
  envoy_due=''
  rm -f "$dir/renewing"
}

# Whether Envoy reads its token from a file.
envoy_follows() {
  case ${CONNECT_INJECT_ENVOY_TOKEN_FILE:+$(cat "$dir/envoy-bootstrap.json" 2>/dev/null)} in
  *credential_injector*) return 0 ;;
  esac
  return 1
}

# Envoy has its token from the bootstrap configuration. It quits, and the kubelet restarts it.
restart_envoy() {
  http PUT "$fail?note=Envoy+restarts+with+a+new+ACL+token&$ns"
  nap "$pause"
  [ -z "$ended" ] || return
  http POST "$admin/quitquitquit"
  log "restarting Envoy with the new ACL token"
  left=30
  while [ -z "$ended" ] && [ "$left" -gt 0 ]; do
    nap "$pause"
    http GET "$admin/ready"
    [ "$code" != 200 ] || return
    left=$((left - 1))
  done
}
