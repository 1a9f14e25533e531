#!/bin/sh
# optimize-wasm.sh IN OUT: makes the module a tenth smaller with Binaryen's wasm-opt, from Debian's package where it
# can be installed. Without it the module does the same and is larger, and this says so; in CI, whose module is
# published, it fails.
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
# The features that this compiler's target has; nothing else may come in.
wasm-opt -Oz --enable-bulk-memory --enable-multivalue --enable-mutable-globals --enable-nontrapping-float-to-int \
  --enable-reference-types --enable-sign-ext "$1" -o "$2"
