# ACLs: login, logout and the pod's token. Follows common.sh in pods with acls.enabled.
# shellcheck shell=sh disable=SC2034,SC2154
login_ns=${CONNECT_INJECT_LOGIN_NAMESPACE:+ns=$CONNECT_INJECT_LOGIN_NAMESPACE}
bearer=${CONNECT_INJECT_BEARER_TOKEN_FILE:-/var/run/secrets/kubernetes.io/serviceaccount/token}

# The CLI reads the token from a file, curl and wget from requests.conf, so that it is on no command
# line.
use_token() {
  [ -s "$dir/acl-token" ] || return 1
  CONSUL_HTTP_TOKEN_FILE=$dir/acl-token
  printf '%sheader = X-Consul-Token:%s\n' "$conf" "$(cat "$dir/acl-token")" >"$dir/requests.conf"
}

drop_token() {
  rm -f "$dir/acl-token"
  printf %s "$conf" >"$dir/requests.conf"
  CONSUL_HTTP_TOKEN_FILE=''
}

login() {
  CONSUL_HTTP_TOKEN_FILE='' CONSUL_NAMESPACE=${CONNECT_INJECT_LOGIN_NAMESPACE:-}
  cli login -method "$auth" -bearer-token-file "$bearer" -token-sink-file "$dir/acl-token.new" \
    -meta "pod=$POD_NAMESPACE/$POD_NAME" && mv "$dir/acl-token.new" "$dir/acl-token"
  set -- $?
  CONSUL_NAMESPACE=${CONNECT_INJECT_NAMESPACE:-}
  if [ "$1" = 0 ] && use_token; then
    log "logged in to auth method $auth${again:+ $again}"
    return 0
  fi
  case $why in
  *amespace*"does not exist"*) why="the Consul namespace ${CONNECT_INJECT_LOGIN_NAMESPACE:-}, where the pod logs in, does not exist. ${operator:-} ($why)" ;;
  *"code: 403"*) why="Consul rejects the pod's service account in auth method $auth: the ServiceAccount must have the same name as the Consul service, and a binding rule of the auth method must match it ($why)" ;;
  *) why="login to auth method $auth failed: $why" ;;
  esac
  return 1
}

# Waits until the servers know the token: agents cache for 30 s that a token is unknown.
token_known() {
  http GET "/v1/acl/token/self?stale&$login_ns"
  # The answer contains the token.
  body=${body%%SecretID*}
  [ "$code" != 200 ] || return 0
  why="the ACL token is not usable yet: $code $body"
  return 1
}

# Logs in again at the pod's end, if the last answer was that the token does not exist.
token_again() {
  case $code$body in
  403*"ACL not found"*) login && token_known ;;
  *) return 1 ;;
  esac
}

# For the init container: reuses the token that an earlier start left in the volume.
token_ready() {
  if use_token; then
    token_known && log "using the ACL token of an earlier start" && return
    case $code in
    401 | 403 | 404) drop_token ;;
    *) return 1 ;;
    esac
  fi
  login
}

log_out() {
  # The login was interrupted before its last step.
  [ -s "$dir/acl-token" ] || mv "$dir/acl-token.new" "$dir/acl-token" 2>/dev/null
  use_token || return
  for _ in 1 2 3; do
    http POST "/v1/acl/logout?$login_ns"
    case $code in
    200)
      log "logged out of auth method $auth"
      drop_token
      return
      ;;
    429 | 5*) sleep 1 ;;
    *) break ;;
    esac
  done
  log "could not log out of auth method $auth: $code $body"
}
