#!/bin/sh
# Prints the directory with Kubewarden's custom resource definitions, from the Go module
# that scripts/crds pins. Downloads the module if it is missing.
set -eu
cd "$(dirname -- "$0")/crds"

fail() {
  printf '%s\n' "$1" >&2
  exit 1
}

command -v go >/dev/null 2>&1 || fail "go is not installed"
module=github.com/kubewarden/kubewarden-controller
answer=$(GOFLAGS=-mod=readonly go mod download -json "$module" 2>&1) || fail "go mod download failed: $answer"
folder=$(printf '%s\n' "$answer" | sed -n 's/^[[:space:]]*"Dir": "\(.*\)",*$/\1/p')/config/crd/bases
[ -d "$folder" ] || fail "the module has no config/crd/bases"
printf '%s\n' "$folder"
