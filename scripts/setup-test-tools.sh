#!/bin/sh
# Installs missing tools of the tests from Debian's packages. Quick and silent if none is missing.
set -eu

missing=
for tool in bats shellcheck busybox jq dash curl wget openssl parallel python3; do
  command -v "$tool" >/dev/null 2>&1 || missing="$missing $tool"
done
command -v wasm-opt >/dev/null 2>&1 || missing="$missing binaryen"
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null 2>&1 || [ "$(id -u)" -ne 0 ]; then
  printf 'test tools: error: not installed:%s\n  install them with your package manager and run this again\n' "$missing" >&2
  exit 1
fi
printf 'test tools: installing%s\n' "$missing"
log=$(mktemp)
# shellcheck disable=SC2086 # a list of package names
if ! { apt-get install -y --no-install-recommends $missing ||
  { apt-get update && apt-get install -y --no-install-recommends $missing; }; } >"$log" 2>&1; then
  cat "$log" >&2
  rm -f "$log"
  exit 1
fi
rm -f "$log"
