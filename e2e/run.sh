#!/usr/bin/env bash
# The end-to-end suite: runs the scenarios with the policy on a real Kubernetes, Consul
# and Envoy on this machine, as root. Environment:
#
#   SCENARIO=name            only this scenario, this file, or `dataplane`
#   KEEP=1                   leave the cluster running, and reuse it the next time
#   E2E_JOBS=4               the number of scenarios to run in parallel
#   E2E_RETRIES=0            how often failed scenarios are retried, each alone
#   E2E_EXISTING=1           run against the cluster of your KUBECONFIG
#   E2E_POLICY_SERVER=URL    a policy server that serves the output of policies.sh
#   E2E_CA_BUNDLE=BASE64     the CA of its certificate
#   E2E_CONSUL_K8S=FILE, E2E_CONSUL_DATAPLANE=FILE, E2E_CONSUL_CNI=FILE
#                            the programs for the scenarios of dataplane mode, or
#   E2E_DOCKER_HUB=1         their images, which docker pulls
#   POLICY_WASM, POLICY_HOST paths of the module and the development host
set -euo pipefail
# shellcheck source=lib/common.sh
. "$(dirname "$0")/lib/common.sh"
# shellcheck source=lib/session.sh
. "$E2E_DIR/lib/session.sh"
# shellcheck source=lib/controllers.sh
. "$E2E_DIR/lib/controllers.sh"

JOBS=${E2E_JOBS:-4}
RETRIES=${E2E_RETRIES:-0}
started=$SECONDS

# ---- which scenarios -----------------------------------------------------------

dataplane_files=("$E2E_DIR"/scenarios/dataplane/*.bats "$E2E_DIR"/scenarios/dataplane/alone/*.bats)
files=("$E2E_DIR"/scenarios/*.bats "$E2E_DIR"/scenarios/alone/*.bats "${dataplane_files[@]}")

# names FILE...: the names of the scenarios in the files.
names() { sed -n 's/^@test "\([^:"]*\).*/\1/p' "$@"; }

# wanted: the names of the selected scenarios.
wanted() {
    local file all
    all=$(names "${files[@]}")
    [ "${SCENARIO:-}" != dataplane ] || all=$(names "${dataplane_files[@]}") SCENARIO=
    for file in "${files[@]}"; do
        [ "${file##*/}" != "${SCENARIO:-}.bats" ] || all=$(names "$file") SCENARIO=
    done
    if [ -n "${SCENARIO:-}" ]; then
        grep -xF -e "$SCENARIO" <<<"$all" || die "no scenario is called $SCENARIO; there are: ${all//$'\n'/ }"
    else
        printf '%s\n' "$all"
    fi
}

# ---- their run -----------------------------------------------------------------

# run_bats [BATS ARGUMENT...] FILE...: prints a line for each finished scenario, and the
# diagnosis of failed ones. Ignores the exit status of bats, which adds nothing.
run_bats() {
    anywhere env KUBECONFIG="$KUBECONFIG" BATS_TMPDIR="$work" TMPDIR="$work" PARALLEL_HOME="$work/parallel" \
        E2E_SCRATCH="$SCRATCH" bats --formatter tap --timing "$@" 2>&1 </dev/null | tee -a "$work/tap" |
        sed -u -e '/^1\.\.[0-9]*$/d' -e 's/^ok [0-9]* /ok   /' -e 's/^not ok [0-9]* /FAIL /' -e 's/^# /     /' || true
}

# run_in FOLDER NAMES [BATS ARGUMENT...]: runs the scenarios that are in this folder.
run_in() {
    local folder=$1 chosen=$2 pattern=${2//./\\.} file mine=()
    shift 2
    for file in "$folder"/*.bats; do
        ! grep -qxF -e "$chosen" <<<"$(names "$file")" || mine+=("$file")
    done
    ((${#mine[@]} == 0)) || run_bats "$@" --filter "^(${pattern//$'\n'/|}):" "${mine[@]}"
}

# run_chosen NAMES [BATS ARGUMENT...]: the arguments are for those that run side by side.
run_chosen() {
    local chosen=$1 part
    shift
    for part in scenarios scenarios/dataplane; do
        run_in "$E2E_DIR/$part" "$chosen" "$@"
        E2E_ALONE=1 run_in "$E2E_DIR/$part/alone" "$chosen"
    done
}

# planned_dataplane: the scenarios of dataplane mode that are to run.
planned_dataplane() { names "${dataplane_files[@]}" | grep -xF -f "$work/planned"; }

# skip_dataplane: without the programs they count as skipped, and bats need not start.
skip_dataplane() {
    local skipped
    mapfile -t skipped < <(planned_dataplane)
    ((${#skipped[@]})) || return 0
    say "dataplane mode: ${#skipped[@]} scenarios are skipped; they need E2E_CONSUL_K8S and E2E_CONSUL_DATAPLANE, or E2E_DOCKER_HUB (docs/e2e.md)"
    printf 'ok 0 %s: # skip\n' "${skipped[@]}" >>"$work/tap"
}

run_scenarios() {
    local chosen try
    mkdir -p "$work/parallel"
    touch "$work/parallel/will-cite" "$work/tap"
    with_dataplane || skip_dataplane
    chosen=$(that_are failed) # all that have no result yet
    run_chosen "$chosen" --jobs "$JOBS"
    # Alone, without the load of the other scenarios.
    for ((try = 2; try <= RETRIES + 1; try++)); do
        chosen=$(that_are failed)
        [ -n "$chosen" ] || return 0
        say "tried again, each alone: $(paste -sd' ' <<<"$chosen")"
        E2E_ALONE=1 run_chosen "$chosen"
    done
}

# ---- what became of them -------------------------------------------------------

# that_are passed|failed|skipped: the names of the scenarios by the outcome of their last
# try. Scenarios that bats did not report, for example after a broken setup, have failed.
that_are() {
    awk -v wanted="$1" '
        FNR == NR {names[++count] = $0; next}
        /^(not )?ok [0-9]+ / {
            state = /^not/ ? "failed" : / # skip/ ? "skipped" : "passed"
            sub(/^(not )?ok [0-9]+ /, "")
            sub(/:.*/, "")
            became[$0] = state
        }
        END {
            for (i = 1; i <= count; i++)
                if ((names[i] in became ? became[names[i]] : "failed") == wanted) print names[i]
        }' "$work/planned" "$work/tap"
}

# summary: the failed scenarios with place and last message, at the end of the output.
summary() {
    local name
    awk -v passed=" $(that_are passed | paste -sd' ') " -v failed=" $(that_are failed | paste -sd' ') " '
        function became(name) {
            if (index(failed, " " name " ")) return "failed"
            return index(passed, " " name " ") ? "failed, but not when tried again" : "failed, though no scenario"
        }
        /^(not )?ok [0-9]+ / {
            title = ""
            if (/^ok/) next
            sub(/^not ok [0-9]+ /, "")
            sub(/ in [0-9]+ms$/, "")
            name = title = $0
            sub(/:.*/, "", name)
            if (!(name in titles)) order[++count] = name
            titles[name] = title
            where[name] = words[name] = ""
            next
        }
        title == "" {next}
        /^# =====|^# bats warning/ || !/^#/ {title = ""; next} # the diagnosis
        match($0, /in test file [^)]*/) {where[name] = substr($0, RSTART + 13, RLENGTH - 13); next}
        /^# *`.*. failed/ {where[name] = where[name] ": " substr($0, index($0, "`")); next}
        /^# .*[^ ]/ {
            words[name] = words[name] "\n     " substr($0, 3, 200)
            if (split(words[name], line, "\n") > 4) words[name] = "\n" line[3] "\n" line[4] "\n" line[5]
        }
        END {
            for (i = 1; i <= count; i++) {
                name = order[i]
                print "e2e: " became(name) ": " titles[name]
                print "     " where[name] words[name]
            }
        }' "$work/tap" >&2
    for name in $(that_are failed); do
        grep -q "^not ok [0-9]* ${name//./\\.}:" "$work/tap" || say "failed: $name: bats has no result of it"
    done
}

# count: prints the last line; fails if a scenario failed or none passed.
count() {
    local passed failed skipped
    passed=$(that_are passed | wc -l)
    failed=$(that_are failed | wc -l)
    skipped=$(that_are skipped | wc -l)
    say "$((SECONDS - started)) s"
    if ((skipped)); then
        echo "$passed passed, $failed failed, $skipped skipped"
    else
        echo "$passed passed, $failed failed"
    fi
    ((failed == 0 && passed > 0))
}

# ---- the run -------------------------------------------------------------------

twice=$(names "${files[@]}" | sort | uniq -d)
[ -z "$twice" ] || die "the name of two scenarios: $twice"
planned=$(wanted)
begin_session
printf '%s\n' "$planned" >"$work/planned"
if with_dataplane && planned_dataplane >/dev/null; then start_controllers; fi
# In the background, so that Ctrl-C takes effect at once.
run_scenarios 9>&- &
wait $!
summary
count
