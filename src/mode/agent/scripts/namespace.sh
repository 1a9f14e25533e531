# Consul namespaces: creates the pod's, if it does not exist. Precedes init.sh in pods with
# enableConsulNamespaces.
# shellcheck shell=sh disable=SC2034,SC2154
operator="To create it, an operator runs: echo '$CONNECT_INJECT_NAMESPACE_DOCUMENT' | consul namespace write -"

namespace_exists() {
  http GET "/v1/namespace/$CONNECT_INJECT_NAMESPACE"
  if [ "$code" = 404 ]; then
    case $body in
    *"Invalid URL path"*) die "the agent $agent does not support namespaces, which require Consul Enterprise: set enableConsulNamespaces to false" ;;
    esac
    printf %s "$CONNECT_INJECT_NAMESPACE_DOCUMENT" >"$dir/namespace.json"
    http PUT /v1/namespace "$dir/namespace.json"
    [ "$code" != 200 ] || log "created the Consul namespace $CONNECT_INJECT_NAMESPACE"
  fi
  case $code$body in
  200*) return ;;
  403*"ACL not found"*) ;;
  403*) die "the Consul namespace $CONNECT_INJECT_NAMESPACE does not exist or cannot be read, and this pod is not allowed to create it. $operator ($body)" ;;
  esac
  why="reading the Consul namespace $CONNECT_INJECT_NAMESPACE failed: $code $body"
  return 1
}
