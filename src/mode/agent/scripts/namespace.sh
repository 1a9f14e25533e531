# Consul namespaces: init looks for the pod's, and creates it. Stands before init.sh in pods with
# the setting enableConsulNamespaces.
# shellcheck shell=sh disable=SC2034,SC2154
operator="An operator runs once: echo '$CONNECT_INJECT_NAMESPACE_DOCUMENT' | consul namespace write -"

namespace_exists() {
  http GET "/v1/namespace/$CONNECT_INJECT_NAMESPACE"
  if [ "$code" = 404 ]; then
    case $body in
    *"Invalid URL path"*) die "the agent $agent has no namespaces: they need Consul Enterprise, without it set enableConsulNamespaces to false" ;;
    esac
    printf %s "$CONNECT_INJECT_NAMESPACE_DOCUMENT" >"$dir/namespace.json"
    http PUT /v1/namespace "$dir/namespace.json"
    [ "$code" != 200 ] || log "created the Consul namespace $CONNECT_INJECT_NAMESPACE"
  fi
  case $code$body in
  200*) return ;;
  403*"ACL not found"*) ;;
  403*) die "the Consul namespace $CONNECT_INJECT_NAMESPACE does not exist or may not be read, and this pod may not create it. $operator ($body)" ;;
  esac
  why="asking for the Consul namespace $CONNECT_INJECT_NAMESPACE: $code $body"
  return 1
}
