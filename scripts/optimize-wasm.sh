#!/bin/sh
# optimize-wasm.sh IN OUT: makes the module about a tenth smaller with Binaryen's wasm-opt, which it installs from
# Debian's package if possible. Without wasm-opt, it prints a note and copies the module as it is; in CI, whose module
# is published, it fails.
set -eu

if ! command -v wasm-opt >/dev/null 2>&1 && command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" -eq 0 ]; then
  echo "wasm-opt: installing binaryen"
  apt-get install -y --no-install-recommends binaryen >/dev/null 2>&1 ||
    { apt-get update && apt-get install -y --no-install-recommends binaryen; } >/dev/null 2>&1 || true
fi
if ! command -v wasm-opt >/dev/null 2>&1; then
  if [ -n "${CI:-}" ]; then
    echo "wasm-opt: error: not found (it comes with binaryen), and a module without it is not the one to publish" >&2
    exit 1
  fi
  echo "wasm-opt: not found (it comes with binaryen), so the module stays a tenth larger than it could be"
  cp "$1" "$2"
  exit 0
fi
# Only the features that the compiler's target has.
wasm-opt -Oz --enable-bulk-memory --enable-multivalue --enable-mutable-globals --enable-nontrapping-float-to-int \
  --enable-reference-types --enable-sign-ext "$1" -o "$2"
