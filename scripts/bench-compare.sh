#!/bin/sh
# bench-compare.sh REF: builds policy.wasm of another revision and measures it beside this one's.
set -eu

ref=${1:-}
[ -n "$ref" ] || { echo "bench-compare: say with what: make bench-compare BASE=main" >&2; exit 2; }
target=${CARGO_TARGET_DIR:-$PWD/target}
work=$(mktemp -d)
trap 'git worktree remove --force "$work/base" >/dev/null 2>&1 || true; rm -rf "$work"' EXIT
git worktree add --quiet --detach "$work/base" "$ref"
(cd "$work/base" && CARGO_TARGET_DIR="$target/bench-base" make --no-print-directory policy.wasm >&2)
cargo run --quiet --locked --profile measure -p policy-bench -- now=policy.wasm "base=$work/base/policy.wasm"
