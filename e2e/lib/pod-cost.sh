#!/usr/bin/env bash
# pod-cost.sh FOLDER: takes the measurements of bench.sh in the node, with temporary files in
# the folder, and prints them.
set -euo pipefail
# shellcheck source=helpers.bash
. "$(dirname "$0")/helpers.bash"

notes=$1
pods=${E2E_BENCH_PODS:-10}
idle_pods=${E2E_BENCH_IDLE_PODS:-5}
seconds=${E2E_BENCH_SECONDS:-60}
ENVOY=consul-connect-envoy-sidecar
LIFECYCLE=consul-connect-lifecycle-sidecar

NS=e2e-bench
scenario_name() { echo bench; }

trap '{ kill $(jobs -p) || true; } 2>/dev/null; end_namespaces' EXIT
trap 'exit 143' TERM

# ---- pods ----------------------------------------------------------------------

# app NAME true|false [ANNOTATION...]: creates a pod, injected or not. Its image is pulled once.
app() {
    k apply -f - <<END >/dev/null
apiVersion: v1
kind: Pod
metadata:
  name: $1
  annotations:
    consul.hashicorp.com/connect-inject: "$2"
$(annotations "${@:3}")
spec:
  containers:
    - name: $1
      image: hashicorp/http-echo:latest
      imagePullPolicy: IfNotPresent
      args: ["-text=I am $1", "-listen=:8080"]
      ports: [{containerPort: 8080}]
END
}

# ---- from scheduled to routable ------------------------------------------------

# stamped: prefixes each line with the time in milliseconds at which it arrived.
stamped() {
    local line now
    while IFS= read -r line; do
        now=${EPOCHREALTIME//[!0-9]/}
        printf '%s|%s\n' "${now%???}" "$line"
    done
}

# follow SERVICE: prints the times at which its checks pass, until it is routable, from
# blocking queries to Consul: the heartbeat's, the listener's, and all checks.
follow() {
    local index=1 answer now line='' deadline=$((SECONDS + 120))
    while [[ $line != *"|all" ]]; do
        ((SECONDS < deadline)) || die "$1 is not routable"
        answer=$(curl -sf -D "$notes/headers" "$CONSUL_URL/v1/health/connect/$1?index=$index&wait=30s")
        now=$(milliseconds)
        index=$(tr -d '\r' <"$notes/headers" | awk 'tolower($1) == "x-consul-index:" {print $2}')
        line=$(jq -r --arg now "$now" '[$now] + ([.[0].Checks // [] | .[] | select(.Status == "passing") | .Name] |
            [if index("Destination Alias") then "heartbeat" else empty end,
             if index("Proxy Public Listener") then "listener" else empty end])
            + if (.[0].Checks // [] | length > 0 and all(.Status == "passing")) then ["all"] else [] end | join("|")' <<<"$answer")
        echo "$line"
    done
}

# containers POD: the containers' names, and their IDs in containerd's events.
containers() {
    k get pod "$1" -o json | jq -r '.status | (.initContainerStatuses // []) + .containerStatuses | .[] |
        "\(.name)|\(.containerID | sub(".*//"; ""))"'
}

# start_one KIND NUMBER: starts and deletes a pod, and records the times. The kind is plain,
# injected, or base, which is injected by the other revision's policy.
start_one() {
    local name=bench-$1-$2 NS=$NS follower
    if [ "$1" = plain ]; then
        : >"$notes/consul"
        app "$name" false
        ready "$name"
    else
        [ "$1" = injected ] || NS=$base_namespace
        follow "$name" >"$notes/consul" &
        follower=$!
        app "$name" true
        ready "$name"
        wait "$follower"
        envoy_listens "$name" >>"$notes/consul"
    fi
    eventually 10 grep -q "^[0-9]*|$name|.*|True$" "$notes/pods"
    containers "$name" >"$notes/containers"
    k delete pod "$name" >/dev/null
    times_of "$1" "$name" >>"$notes/times"
}

# envoy_listens POD: the time of Envoy's log line.
envoy_listens() {
    local said
    said=$(k logs "$1" -c "$ENVOY" --timestamps | sed -n '/starting workers/{s/ .*//p;q}')
    echo "$(date -d "$said" +%s%3N)|envoy listens"
}

# times_of KIND POD: the pod's times as a JSON object.
times_of() {
    awk -F'|' -v kind="$1" -v pod="$2" '
        FILENAME ~ /containers$/ {name[$2] = $1 == pod ? "app" : $1; next}
        FILENAME ~ /events$/ {
            split($2, field, "\"")
            id = field[4]
            if (!(id in name)) next
            if ($2 ~ /\/tasks\/start /) at[name[id] " starts"] = $1
            if ($2 ~ /\/tasks\/exit / && !((name[id] " ends") in at)) at[name[id] " ends"] = $1
            next
        }
        FILENAME ~ /pods$/ {
            if ($2 != pod) next
            if ($3 == "True" && !("scheduled" in at)) at["scheduled"] = $1
            if ($4 == "True" && !("ready" in at)) at["ready"] = $1
            next
        }
        {for (i = 2; i <= NF; i++) if (!($i in at)) at[$i] = $1}
        END {
            printf "{\"kind\": \"%s\"", kind
            for (what in at) printf ", \"%s\": %s", what, at[what]
            print "}"
        }' "$notes/containers" "$notes/events" "$notes/pods" "$notes/consul"
}

measure_starts() {
    local number watcher listener
    kubectl get pods --all-namespaces --watch -o jsonpath="{.metadata.name}|{.status.conditions[?(@.type=='PodScheduled')].status}|{\
.status.conditions[?(@.type=='Ready')].status}{'\n'}" > >(stamped >"$notes/pods") &
    watcher=$!
    ctr --namespace k8s.io events > >(stamped >"$notes/events") &
    listener=$!
    # The first pod of each kind pulls images and is not counted.
    for number in 0 $(seq "$pods"); do
        say "pod $number of $pods"
        ((number != 1)) || : >"$notes/times"
        start_one plain "$number"
        start_one injected "$number"
        [ -z "$base_namespace" ] || start_one base "$number"
    done
    kill "$watcher" "$listener"
}

# ---- idle ----------------------------------------------------------------------

# group PROCESS: the folder of its container's cgroup.
group() {
    awk -F: '
        $2 ~ /(^|,)cpuacct(,|$)/ {path = "/sys/fs/cgroup/cpuacct" $3}
        $1 == 0 && !path {path = "/sys/fs/cgroup" $3}
        END {print path}' "/proc/$1/cgroup"
}

# used GROUP: the cgroup's CPU time in nanoseconds.
used() {
    if [ -f "$1/cpuacct.usage" ]; then
        cat "$1/cpuacct.usage"
    else
        awk '$1 == "usage_usec" {print $2 "000"}' "$1/cpu.stat"
    fi
}

# memory GROUP: the memory of its processes in KiB: resident pages, each counted once; the sum
# of RSS; the sum of PSS; and anonymous pages.
memory() {
    local process
    while read -r process; do cat "/proc/$process/smaps" 2>/dev/null || true; done <"$1/cgroup.procs" | awk '
        /^[0-9a-f]+-[0-9a-f]+ / {file = $3 " " $4 " " $5 " " $6}
        /^Rss:/ {rss = $2; sum += $2}
        /^Pss:/ {share += $2}
        /^Anonymous:/ {own += $2; if (rss - $2 > once[file]) once[file] = rss - $2}
        END {
            for (file in once) pages += once[file]
            printf "\"resident\": %d, \"rss\": %d, \"pss\": %d, \"own\": %d", own + pages, sum, share, own
        }'
}

measure_idle() {
    local number name kind container folder groups=() before=() names=() i now
    for number in $(seq "$idle_pods"); do
        app "bench-rest-$number" true "connect-sync-period: 1h"
        app "bench-beat-$number" true
        names+=("bench-rest-$number" "bench-beat-$number")
    done
    ready "${names[@]}"
    for name in "${names[@]}"; do eventually 60 routable "$name"; done
    for name in "${names[@]}"; do
        kind=${name#bench-}
        for container in "$LIFECYCLE" "$ENVOY"; do
            folder=$(group "$(container_process "$name" "$container")")
            groups+=("${kind%-*} $container $folder")
        done
    done
    say "at rest, then measured for $seconds s"
    # Lets work after the start finish: Envoy's first statistics, the kubelet's last check.
    sleep 20
    for i in "${!groups[@]}"; do before[i]="${EPOCHREALTIME//[!0-9]/} $(used "${groups[i]##* }")"; done
    sleep "$seconds"
    for i in "${!groups[@]}"; do
        read -r kind container folder <<<"${groups[i]}"
        now="${EPOCHREALTIME//[!0-9]/} $(used "$folder")"
        awk -v kind="$kind" -v container="$container" -v memory="$(memory "$folder")" '{
            printf "{\"kind\": \"%s\", \"container\": \"%s\", \"percent\": %.4f, %s}\n", kind, container, ($4 - $2) / 10 / ($3 - $1), memory
        }' <<<"${before[i]} $now" >>"$notes/idle"
    done
}

# ---- the figures ---------------------------------------------------------------

figures() {
    jq -n --slurpfile times "$notes/times" --slurpfile idle "$notes/idle" --argjson seconds "$seconds" '
        def median: sort | (.[(length - 1) / 2 | floor] + .[length / 2 | floor]) / 2;
        def spread: {median: median, min: min, max: max};
        def span($kind; $from; $to): [$times[] | select(.kind == $kind) | .[$to] - .[$from]] | spread;
        def since_scheduled($kind; $steps): $steps | with_entries(.value as $to | .value = span($kind; "scheduled"; $to));
        def idle($kind; $container): [$idle[] | select(.container == $container and ($kind == null or .kind == $kind))]
            | {percent: {mean: (map(.percent) | add / length), max: (map(.percent) | max)},
               kib: {resident: (map(.resident) | max), rss: (map(.rss) | max), pss: (map(.pss) | median), own: (map(.own) | median)}};
        "consul-connect-inject-init" as $init | "'"$ENVOY"'" as $envoy | "'"$LIFECYCLE"'" as $lifecycle | {
            pods: ($times | map(select(.kind == "injected")) | length), idle_pods: ($idle | length / 4), seconds: $seconds,
            milliseconds: ({
                init_starts: "\($init) starts", init_ends: "\($init) ends",
                envoy_starts: "\($envoy) starts", envoy_listens: "envoy listens",
                lifecycle_starts: "\($lifecycle) starts", app_starts: "app starts",
                heartbeat: "heartbeat", listener: "listener", routable: "all", ready: "ready"
            } as $steps | {
                plain: since_scheduled("plain"; {app_starts: "app starts", ready: "ready"}),
                injected: since_scheduled("injected"; $steps),
                base: (if any($times[]; .kind == "base") then since_scheduled("base"; $steps) else null end),
                ready_to_routable: span("injected"; "ready"; "all")
            }),
            idle: {
                lifecycle_between_heartbeats: idle("rest"; $lifecycle),
                lifecycle_with_heartbeats: idle("beat"; $lifecycle),
                envoy: idle(null; $envoy)
            }
        } | . + {aims: [
            {aim: "lifecycle sidecar, resident, KiB", at_most: 2048, is: .idle.lifecycle_between_heartbeats.kib.resident},
            {aim: "lifecycle sidecar between heartbeats, % of a core", at_most: 0.1, is: .idle.lifecycle_between_heartbeats.percent.mean},
            {aim: "lifecycle sidecar with heartbeats, % of a core", at_most: 0.2, is: .idle.lifecycle_with_heartbeats.percent.mean},
            {aim: "from ready to routable, the slowest pod, ms", at_most: 2000, is: .milliseconds.ready_to_routable.max}
        ] | map(. + {met: (.is <= .at_most)})}'
}

table() {
    jq -r '
        def left($width): tostring | . + " " * ([$width - length, 1] | max);
        def right($width): tostring | " " * ([$width - length, 1] | max) + .;
        def whole: map(. + 0.5 | floor);
        def row($cells): left(52) + ($cells | map(right(10)) | add);
        def rounded: . * 1000 + 0.5 | floor / 1000;
        . as $root |
        def time($name; $key): $name | row([($root.milliseconds | (.injected, .base // empty)) | .[$key] | .median, .min, .max] | whole);
        def kept($name; $key): $name | row($root.idle[$key] | [(.percent.mean, .percent.max | rounded), .kib.resident, .kib.rss, .kib.pss, .kib.own]);
        ("\(.pods) pods, one at a time, ms from scheduled to" | row(["median", "min", "max"]
            + if $root.milliseconds.base then ["base", "min", "max"] else [] end)),
        ("without injection: ready" | row([$root.milliseconds.plain.ready | .median, .min, .max] | whole)),
        time("injected: the init container starts"; "init_starts"),
        time("  it ends"; "init_ends"),
        time("  Envoy starts"; "envoy_starts"),
        time("  it listens"; "envoy_listens"),
        time("  the lifecycle sidecar starts"; "lifecycle_starts"),
        time("  the app starts"; "app_starts"),
        time("  the first heartbeat"; "heartbeat"),
        time("  the check of Envoy'"'"'s listener passes"; "listener"),
        time("  routable"; "routable"),
        time("  ready"; "ready"),
        "",
        ("\(.idle_pods) pods of each kind, idle for \(.seconds) s" | row(["% of core", "max", "KiB", "RSS", "PSS", "own"])),
        kept("lifecycle sidecar between heartbeats (1h)"; "lifecycle_between_heartbeats"),
        kept("lifecycle sidecar with heartbeats (10s)"; "lifecycle_with_heartbeats"),
        kept("Envoy"; "envoy"),
        "",
        ("aims" | row(["is", "at most"])),
        (.aims[] | . as $aim | "\(.aim)\(if .met then "" else ": MISSED" end)" | row([$aim.is, $aim.at_most | rounded]))'
}

new_namespace "$NS" standard
base_namespace=
if [ -n "${E2E_BENCH_BASE:-}" ]; then
    base_namespace=$NS-base
    new_namespace "$base_namespace" base
fi
measure_starts
measure_idle
figures >"$notes/figures.json"
if [ -n "${JSON:-}" ]; then cat "$notes/figures.json"; else table <"$notes/figures.json"; fi
jq -e 'all(.aims[]; .met)' "$notes/figures.json" >/dev/null
