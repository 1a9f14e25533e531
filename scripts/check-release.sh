#!/bin/sh
# check-release.sh TAG: checks that the source is ready for this tag, and prints its
# section of the changelog.
set -eu
cd "$(dirname -- "$0")/.."

fail() {
  printf 'release: error: %s\n' "$1" >&2
  exit 1
}

tag=${1:?which tag? check-release.sh v1.2.3}
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
[ "$tag" = "v$version" ] || fail "the tag is $tag, the version in Cargo.toml $version"
grep -qxF "  io.kubewarden.policy.version: $version" metadata.yml || fail "metadata.yml has another version"
grep -qE "^## \[$version\] - [0-9]{4}-[0-9]{2}-[0-9]{2}\$" CHANGELOG.md ||
  fail "CHANGELOG.md has no section '## [$version] - YYYY-MM-DD'"
awk -v head="## [$version]" 'index($0, "## [") == 1 { on = index($0, head) == 1; next } on' CHANGELOG.md
