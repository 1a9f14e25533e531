#!/bin/sh
# Checks the examples' custom resources against Kubewarden's own definitions of
# them, which come from the Go module that scripts/crds pins.
#
# Without Go, or where the module cannot be had, nothing is checked and that is
# said; with CI set it is an error.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
module=github.com/kubewarden/kubewarden-controller

unchecked() {
  printf 'custom resources: NOT CHECKED against their definitions: %s\n' "$1" >&2
  [ -z "${CI:-}" ] || exit 1
  exit 0
}

command -v go >/dev/null 2>&1 || unchecked "go is not installed"
answer=$(cd "$root/scripts/crds" && GOFLAGS=-mod=readonly go mod download -json "$module" 2>&1) ||
  unchecked "go mod download failed: $answer"
folder=$(printf '%s\n' "$answer" | sed -n 's/^[[:space:]]*"Dir": "\(.*\)",*$/\1/p')
[ -d "$folder/config/crd/bases" ] || unchecked "the module has no config/crd/bases"

KUBEWARDEN_CRDS="$folder/config/crd/bases" \
  cargo test --quiet --locked -p policy-host --test publish -- --ignored the_custom_resources_fit_their_definitions
printf 'custom resources: checked against %s\n' "$(basename "$folder")"
