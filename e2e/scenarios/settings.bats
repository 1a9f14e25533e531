#!/usr/bin/env bats
# What annotations and settings say is what Consul and Envoy have.

load ../lib/helpers

service() { consul_get "agent/service/$1" | jq -c "$2"; }
envoy() { k exec "$1" -- curl -s "http://127.0.0.1:19000/$2"; }
forbidden() { equal "HTTP code" 403 "$(get "$1" "$2" -o /dev/null -w '%{http_code}')"; }
defaults_of() { consul_get "config/service-defaults/$1" | jq -r .Protocol; }

@test "tags-and-meta: on the service and its proxy, the pod's own values filled in" {
    server tagged "service-tags: foo,bar" "service-meta-team: blue" 'service-meta-who: $POD_NAME' 'service-meta-odd: a $(x) `y` "z"'
    ready tagged
    local id
    for id in tagged-tagged tagged-tagged-sidecar-proxy; do
        equal "tags" '["bar","foo"]' "$(service "$id" '.Tags | sort')"
        equal "metadata" '["blue","tagged","a $(x) `y` \"z\""]' "$(service "$id" '.Meta | [.team, .who, .odd]')"
    done
}

@test "protocol: http in service-defaults, and Envoy then answers by path" {
    server paths "connect-service-protocol: http"
    client paths-client paths:1234
    ready paths paths-client
    equal "protocol" http "$(defaults_of paths)"
    eventually 60 answers paths-client http://127.0.0.1:1234/ "I am paths"
    # Only a listener that reads HTTP can tell that its upstream said so.
    contains "headers" "x-envoy-upstream-service-time" "$(get paths-client http://127.0.0.1:1234/ -i)"
    deny_path paths-client paths /private
    eventually 60 forbidden paths-client http://127.0.0.1:1234/private
    answers paths-client http://127.0.0.1:1234/public "I am paths"
}

# deny_path SOURCE DESTINATION PATH, until the scenario ends.
deny_path() {
    afterwards allow_again "$2"
    consul_put config "$(jq -nc --arg source "$1" --arg destination "$2" --arg path "$3" '
        {Kind: "service-intentions", Name: $destination, Sources: [{Name: $source, Permissions: [
            {Action: "deny", HTTP: {PathExact: $path}}, {Action: "allow", HTTP: {PathPrefix: "/"}}]}]}')" >/dev/null
}

@test "protocol-kept: an operator's service-defaults are not overwritten, and the log says so" {
    consul_put config '{"Kind": "service-defaults", "Name": "kept", "Protocol": "grpc"}'
    afterwards consul_delete config/service-defaults/kept
    server kept "connect-service-protocol: http"
    ready kept
    equal "protocol" grpc "$(defaults_of kept)"
    contains "log" grpc "$(k logs kept -c consul-connect-inject-init)"
}

@test "envoy-extra-args: the documentation's own reach Envoy" {
    server extra 'envoy-extra-args: "--log-level debug --disable-hot-restart"'
    client extra-client extra:1234 'envoy-extra-args: "--component-log-level upstream:debug --concurrency 1"'
    client documented extra:1234 'envoy-extra-args: "--log-level debug --disable-hot-restart"'
    ready extra extra-client documented
    equal "the documentation's options" "debug true" \
        "$(envoy documented server_info | jq -r '.command_line_options | "\(.log_level) \(.disable_hot_restart)"')"
    equal "options" "upstream:debug 1" \
        "$(envoy extra-client server_info | jq -r '.command_line_options | "\(.component_log_level) \(.concurrency)"')"
    contains "Envoy's log" "[debug]" "$(k logs extra -c consul-connect-envoy-sidecar --tail=500)"
}

@test "concurrency: two worker threads unless said otherwise" {
    client workers ""
    ready workers
    equal "concurrency" 2 "$(envoy workers server_info | jq .command_line_options.concurrency)"
}

@test "resources: the four annotations are Envoy's" {
    server sized "sidecar-proxy-cpu-request: 20m" "sidecar-proxy-cpu-limit: '1'" \
        "sidecar-proxy-memory-request: 70Mi" "sidecar-proxy-memory-limit: 256Mi"
    equal "resources" '{"limits":{"cpu":"1","memory":"256Mi"},"requests":{"cpu":"20m","memory":"70Mi"}}' \
        "$(k get pod sized -o json | jq -cS '.spec.initContainers[] | select(.name == "consul-connect-envoy-sidecar") | .resources')"
}

@test "service-name: the annotation's, not the container's" {
    server renamed-pod "connect-service: renamed"
    client renamed-client renamed:1234
    ready renamed-pod renamed-client
    eventually 60 answers renamed-client http://127.0.0.1:1234/ "I am renamed-pod"
    registered renamed-pod-renamed
}

@test "dotted-upstream: without Consul namespaces a dot belongs to the name, and it warns" {
    contains "what kubectl prints" Warning "$(client dotted "some.service:1234" 2>&1)"
}

@test "unknown-annotation: warned, with the name that was meant" {
    contains "what kubectl prints" connect-service-port "$(server unknown "connect-service-prt: '8080'" 2>&1)"
}
