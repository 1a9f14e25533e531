#!/usr/bin/env bats

# What the policy promises, seen through kwctl or, in its place, through the
# development host: KWCTL=/path/to/kwctl bats e2e.bats

run_policy() {
  request=$1
  settings=${2:-"{}"}
  run "${KWCTL:-kwctl}" run policy.wasm -r "test_data/requests/$request.json" --settings-json "$settings"
  echo "output = $output"
}

# The response is the only JSON line on the output.
response() {
  printf '%s\n' "$output" | grep '^{' | jq -e "$1"
}

patch_of() {
  printf '%s\n' "$output" | grep '^{' | jq -r .patch | base64 -d
}

# Whatever the patch adds, as one text.
added() {
  patch_of | jq -r '.. | strings'
}

@test "the documentation's static-server is injected" {
  run_policy static-server
  [ "$status" -eq 0 ]
  response '.allowed == true and .patchType == "JSONPatch"'
  added | grep -qx consul-connect-inject-init
  added | grep -qx consul-connect-envoy-sidecar
  added | grep -qx consul-connect-lifecycle-sidecar
  added | grep -qx injected
}

@test "the documentation's static-client finds its upstream by variables" {
  run_policy static-client
  [ "$status" -eq 0 ]
  response '.allowed == true'
  added | grep -qx STATIC_SERVER_CONNECT_SERVICE_HOST
  added | grep -qx STATIC_SERVER_CONNECT_SERVICE_PORT
}

@test "a pod that does not ask is left as it is" {
  run_policy no-annotation
  [ "$status" -eq 0 ]
  response '.allowed == true and (.patch == null)'
}

@test "a pod that does not ask is injected with default: true" {
  run_policy no-annotation '{"default": true}'
  [ "$status" -eq 0 ]
  response '.allowed == true and .patchType == "JSONPatch"'
}

@test "a pod that opts out is left as it is, whatever the default" {
  run_policy opted-out '{"default": true}'
  [ "$status" -eq 0 ]
  response '.allowed == true and (.patch == null)'
}

@test "kube-system is never injected, and a pod that requests it gets a warning" {
  run_policy kube-system
  [ "$status" -eq 0 ]
  response '.allowed == true and (.patch == null) and (.warnings[0] | contains("kube-system"))'
}

@test "the deny list wins over the allow list" {
  run_policy static-server '{"k8sAllowNamespaces": ["*", "default"], "k8sDenyNamespaces": ["default"]}'
  [ "$status" -eq 0 ]
  response '.allowed == true and (.patch == null)'
}

@test "only allowed namespaces are injected" {
  run_policy static-server '{"k8sAllowNamespaces": ["my-ns-1"]}'
  [ "$status" -eq 0 ]
  response '.allowed == true and (.patch == null)'
}

@test "all problems of a pod are reported at once, with what to write instead" {
  run_policy several-problems
  [ "$status" -eq 0 ]
  response '.allowed == false'
  response '.status.message | contains("(4 problems):") and contains("\"htpp\": must be a port number")
    and contains("\"db\": a local port is required") and contains("already used by upstream \"cache:1234\"")
    and contains("must be tcp, http, http2 or grpc")'
}

@test "with ACLs on, a foreign service account is refused with the remedy" {
  run_policy no-annotation '{"acls": {"enabled": true}, "default": true}'
  response '.allowed == true and (.patch == null)'
  run_policy several-problems '{"acls": {"enabled": true}}'
  response '.status.message | contains("spec.serviceAccountName")'
}

@test "the common mistake, an annotation on the Deployment itself, gets a warning" {
  run_policy common-mistake
  [ "$status" -eq 0 ]
  response '.allowed == true and (.patch == null) and (.warnings[0] | contains("template: {metadata: {annotations:"))'
}

@test "settings are refused with every problem and the nearest known key" {
  run_policy static-server '{"defualt": true, "k8sAllowNamespaces": "shop"}'
  [ "$status" -ne 0 ]
  [[ "$output" == *"did you mean default?"* ]]
  [[ "$output" == *"k8sAllowNamespaces"* ]]
}
