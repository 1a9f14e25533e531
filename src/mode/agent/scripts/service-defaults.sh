# Writes the service's protocol as service-defaults. Precedes init.sh in pods with a protocol.
# shellcheck shell=sh disable=SC2034,SC2154

# json_string KEY DOCUMENT: sets $value to the first string with that key.
json_string() {
  value=${2#*\""$1"\":}
  [ "$value" != "$2" ] || value=''
  value=${value#*\"}
  value=${value%%\"*}
}

# Best effort: existing service-defaults are not changed, and an error does not stop the pod.
service_defaults() {
  printf %s "$CONNECT_INJECT_SERVICE_DEFAULTS" >"$dir/service-defaults.json"
  json_string Name "$CONNECT_INJECT_SERVICE_DEFAULTS"
  service=$value
  json_string Protocol "$CONNECT_INJECT_SERVICE_DEFAULTS"
  wanted=$value
  http PUT "/v1/config?cas=0&$ns" "$dir/service-defaults.json"
  case $code$body in
  200*true*) log "wrote service-defaults of $service with protocol $wanted" ;;
  200*)
    http GET "/v1/config/service-defaults/$service?$ns"
    json_string Protocol "$body"
    if [ "$code" != 200 ]; then
      log "service-defaults of $service exist and cannot be read; not changed: $code $body"
    elif [ "$value" != "$wanted" ]; then
      log "service-defaults of $service exist with protocol ${value:-tcp (the default)}, but this pod requests $wanted: the existing protocol applies; to change it, use consul config write"
    fi
    ;;
  *) log "service-defaults of $service with protocol $wanted could not be written; the pod starts without them: $code $body" ;;
  esac
}
