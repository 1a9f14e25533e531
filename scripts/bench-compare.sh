#!/bin/sh
# bench-compare.sh REF GUESTS: builds policy.wasm of another revision and measures it together with this revision's
# and the guests in the folder GUESTS.
set -eu

ref=${1:-}
guests=${2:-${CARGO_TARGET_DIR:-target}/wasm32-wasip1/release}
[ -n "$ref" ] || { echo "bench-compare: say with what: make bench-compare BASE=main" >&2; exit 2; }
target=${CARGO_TARGET_DIR:-$PWD/target}
work=$(mktemp -d)
trap 'git worktree remove --force "$work/base" >/dev/null 2>&1 || true; rm -rf "$work"' EXIT
git worktree add --quiet --detach "$work/base" "$ref"
(cd "$work/base" && CARGO_TARGET_DIR="$target/bench-base" make --no-print-directory policy.wasm >&2)
cargo run --locked --profile measure -p policy-bench -- now=policy.wasm "base=$work/base/policy.wasm" \
  "naive=$guests/bench_guest_naive.wasm" "accept=$guests/bench_guest_accept.wasm"
