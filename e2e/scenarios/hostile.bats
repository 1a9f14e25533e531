#!/usr/bin/env bats
# Nothing that somebody writes is executed or expanded, and what the injected
# containers hold is theirs alone. The values are the catalogue that the tests on
# policy.wasm have, too.

load ../lib/helpers

CATALOGUE=$PROJECT_DIR/test_data/hostile-values.json
CANARY=/consul/connect-inject/hostile-canary
# A value may hold this many bytes in Consul's metadata, and this many pairs go.
FITTING='map(select(.value | utf8bytelength <= 512)) | .[:62]'

# pod_with NAME JQ: a pod of the catalogue; JQ changes `.` and has `$values`.
pod_with() {
    jq -n --arg name "$1" --slurpfile catalogue "$CATALOGUE" "(\$catalogue[0] | $FITTING) as \$values | $(base_pod) | $2"
}

base_pod() {
    cat <<'END'
{
    apiVersion: "v1", kind: "Pod",
    metadata: {name: $name, annotations: {"consul.hashicorp.com/connect-inject": "true"}},
    spec: {containers: [{
        name: $name, image: "tutum/curl:latest",
        command: ["sh", "-c", "trap exit TERM; while true; do sleep 30 & wait; done"]
    }]}
}
END
}

# one_each NAME JQ: a list of pods, one for each value; JQ changes `.` and has
# `$value`.
one_each() {
    jq -n --arg base "$1" --slurpfile catalogue "$CATALOGUE" '{apiVersion: "v1", kind: "List", items: [
        $catalogue[0][] | "\($base)-\(.name)" as $name | .value as $value | '"$(base_pod) | $2"']}'
}

# no_canary POD: no file, no process, no registration, no variable.
no_canary() {
    local container
    for container in consul-connect-lifecycle-sidecar "$1"; do
        fails k exec "$1" -c "$container" -- ls "$CANARY" 2>/dev/null
        equal "processes of a canary in $container" "" \
            "$(processes "$1" "$container" | grep -xE 'touch|id' || true)"
        equal "variables of a canary in $container" "" \
            "$(k exec "$1" -c "$container" -- env | grep -i '^[^=]*hostile_canary[^=]*=' || true)"
    done
    equal "services of a canary" 0 "$(consul_get agent/services |
        jq '[.[] | select(.Service | contains("canary"))] | length')"
    equal "checks of a canary" 0 "$(consul_get agent/checks | jq '[.[] | select(.Name | contains("canary"))] | length')"
}

# processes POD CONTAINER: the names of those that the container's own see.
processes() { k exec "$1" -c "$2" -- sh -c 'cat /proc/[0-9]*/comm 2>/dev/null || true'; }

@test "hostile-arrives: metadata and tags are in Consul byte for byte" {
    pod_with hostile-arrives '
        .metadata.annotations += ($values | to_entries | map({
            key: "consul.hashicorp.com/service-meta-v\(.key)", value: .value.value}) | from_entries)
        | .metadata.annotations["consul.hashicorp.com/service-tags"] =
            ($values | map("x" + (.value | gsub(","; ";")) + "x") | join(","))' | k apply -f -
    ready hostile-arrives
    local id kept
    for id in hostile-arrives-hostile-arrives hostile-arrives-hostile-arrives-sidecar-proxy; do
        kept=$(consul_get "agent/service/$id" | jq --slurpfile catalogue "$CATALOGUE" -c "
            (\$catalogue[0] | $FITTING | map(.value)) as \$values | . as \$service
            | [range(\$values | length) | select(\$service.Meta[\"v\(.)\"] != \$values[.])] as \$meta
            | {\$meta, tags: (\$service.Tags == [\$values[] | \"x\" + gsub(\",\"; \";\") + \"x\"])}")
        equal "what is not as it was written in $id" '{"meta":[],"tags":true}' "$kept"
    done
    no_canary hostile-arrives
}

@test "hostile-refused: names, ports and upstreams are refused at apply" {
    local place annotation out
    for place in connect-service connect-service-port connect-service-upstreams connect-service-protocol \
        connect-sync-period sidecar-proxy-cpu-limit sidecar-proxy-memory-request connect-inject; do
        annotation=consul.hashicorp.com/$place
        out=$(one_each refused "
            select(\$value | test(\"^[A-Za-z0-9]*\$\") | not)
            | .metadata.annotations[\"$annotation\"] = \$value" |
            k create --dry-run=server -f - 2>&1) && fail_with "all of $place was taken: $out"
        equal "taken in $place" "" "$(grep created <<<"$out" || true)"
        contains "what is said of $place" "annotation $annotation: " "$out"
        equal "what does something to a terminal in $place" "" "$(tr -d '[:print:][:space:]\200-\377' <<<"$out")"
    done
}
fail_with() {
    echo "$*"
    return 1
}

@test "hostile-arguments: Envoy's come to its process as they were written" {
    needs_node
    # What Envoy takes for its zone: any text; without a shell it is one word.
    pod_with hostile-arguments '
        ($values | map(.value | explode | map(select(. >= 32 and . != 127)) | implode) | join("|")) as $all
        | .metadata.annotations["consul.hashicorp.com/envoy-extra-args"] =
            "--service-zone \u0027" + ($all | gsub("\u0027"; "\u0027\\\u0027\u0027")) + "\u0027"' >"$BATS_TEST_TMPDIR/pod.json"
    k apply -f "$BATS_TEST_TMPDIR/pod.json"
    ready hostile-arguments
    local process expected
    process=$(container_process hostile-arguments consul-connect-envoy-sidecar)
    expected=$(jq -r --slurpfile c "$CATALOGUE" -n "\$c[0] | $FITTING |
        map(.value | explode | map(select(. >= 32 and . != 127)) | implode) | join(\"|\")")
    equal "the argument after --service-zone" "$expected" \
        "$(tr '\0' '\n' <"/proc/$process/cmdline" | grep -x -A 1 -e --service-zone | tail -n 1)"
    no_canary hostile-arguments
}

@test "hostile-probe: a path and headers make a check and nothing else" {
    pod_with hostile-probe '
        .spec.containers[0] |= . + {
            ports: [{containerPort: 8080}],
            readinessProbe: {httpGet: {port: 8080, path: "/\($values | map(.value) | join("/"))",
                httpHeaders: ($values | map({name: "X-Hostile", value: .value}))}}}' | k apply -f -
    eventually 60 registered hostile-probe-hostile-probe
    eventually 60 sidecars_run hostile-probe
    equal "its checks" "Pod Readiness" "$(consul_get agent/checks |
        jq -r '[.[] | select(.ServiceID == "hostile-probe-hostile-probe") | .Name] | sort | join(" ")')"
    no_canary hostile-probe
}
sidecars_run() {
    equal "started sidecars" "true true true" "$(field "$1" '{.status.initContainerStatuses[*].started}' | sed 's/^false/true/')"
}

@test "isolation: neither sees the other's volumes, token or bootstrap" {
    client isolated "nobody:1234"
    plain_client isolated-other
    ready isolated isolated-other
    # As the API server keeps the pod, after all that else changes it.
    equal "mounts that cross over" "[]" "$(k get pod isolated -o json | jq -c '
        def own: startswith("consul-connect-");
        [.spec.initContainers[], .spec.containers[] | .name as $name | .volumeMounts[]?
            | select((.name | own) != ($name | own)) | "\($name): \(.name)"]')"
    # The app has its token all the same.
    k exec isolated -c isolated -- test -s /var/run/secrets/kubernetes.io/serviceaccount/token
    equal "API tokens in the lifecycle sidecar" "" \
        "$(k exec isolated -c consul-connect-lifecycle-sidecar -- ls /var/run/secrets/kubernetes.io/serviceaccount)"
    fails k exec isolated -c isolated -- ls /consul
    equal "processes that the app sees" "sh sleep" "$(processes isolated isolated | grep -vx cat | sort -u | xargs)"
}

@test "isolation-admin: Envoy's admin interface is the pod's own" {
    client admin-own "nobody:1234"
    plain_client admin-other
    ready admin-own admin-other
    get admin-own http://127.0.0.1:19000/ready
    local code=0
    get admin-other "http://$(pod_ip admin-own):19000/ready" >/dev/null 2>&1 || code=$?
    equal "exit code of curl, connection refused" 7 "$code"
}
