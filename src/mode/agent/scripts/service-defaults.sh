# The protocol of the service, which init writes as service-defaults. Stands before init.sh in pods
# that ask for one.
# shellcheck shell=sh disable=SC2034,SC2154

# json_string KEY DOCUMENT: the first string of that key, in $value.
json_string() {
  value=${2#*\""$1"\":}
  [ "$value" != "$2" ] || value=''
  value=${value#*\"}
  value=${value%%\"*}
}

# Best effort: somebody else's service-defaults stay, and a refusal does not stop the pod.
service_defaults() {
  printf %s "$CONNECT_INJECT_SERVICE_DEFAULTS" >"$dir/service-defaults.json"
  json_string Name "$CONNECT_INJECT_SERVICE_DEFAULTS"
  service=$value
  json_string Protocol "$CONNECT_INJECT_SERVICE_DEFAULTS"
  wanted=$value
  http PUT "/v1/config?cas=0&$ns" "$dir/service-defaults.json"
  case $code$body in
  200*true*) log "service-defaults of $service say protocol $wanted" ;;
  200*)
    http GET "/v1/config/service-defaults/$service?$ns"
    json_string Protocol "$body"
    if [ "$code" != 200 ]; then
      log "service-defaults of $service exist and are left alone; they cannot be read: $code $body"
    elif [ "$value" != "$wanted" ]; then
      log "service-defaults of $service exist with protocol ${value:-tcp (none given)}, this pod asks for $wanted: the existing ones stay and apply; change them with consul config write"
    fi
    ;;
  *) log "service-defaults of $service with protocol $wanted could not be written, the pod goes on without: $code $body" ;;
  esac
}
