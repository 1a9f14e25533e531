# Calls without a pause while something changes. Loaded by the scenarios of rolling updates.
# shellcheck shell=bash

# under_load POD URL COMMAND...: none of the pod's calls is lost while the command runs,
# neither with connections kept alive nor with one a request.
under_load() {
    local pod=$1 url=$2 one_a_request kept_alive
    shift 2
    calls "$pod" "$url" -H "Connection: close" >"$BATS_TEST_TMPDIR/one-a-request" 3>&- &
    one_a_request=$!
    calls "$pod" "$url" >"$BATS_TEST_TMPDIR/kept-alive" 3>&- &
    kept_alive=$!
    "$@"
    k exec "$pod" -- touch /tmp/enough
    wait $one_a_request
    wait $kept_alive
    lost_none one-a-request
    lost_none kept-alive
}

# calls POD URL [CURL ARGUMENT...]: their codes and how often. Batches, each with a
# connection that curl keeps, until the command is through, at least 20 and at most 2000.
calls() {
    k exec "$1" -- sh -c 'url=$1 i=0
        shift
        while [ $i -lt 20 ] || [ ! -e /tmp/enough ] && [ $i -lt 2000 ]; do
            curl -s "$@" -o /dev/null -w "%{http_code}\n" "$url[1-500]"
            i=$((i + 1))
        done | sort | uniq -c' sh "${@:2}"
}

lost_none() {
    echo "$1: $(cat "$BATS_TEST_TMPDIR/$1")"
    equal "codes other than 200" "" "$(awk '$2 != 200' "$BATS_TEST_TMPDIR/$1")"
    (($(awk '{print $1}' "$BATS_TEST_TMPDIR/$1") >= 10000))
}
