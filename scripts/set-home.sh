#!/bin/sh
# set-home.sh REGISTRY/PATH REPOSITORY-URL AUTHOR
#
# Replaces the placeholders with the place where this copy is published: the registry path of
# the OCI artifact, the URL of the source, and the publisher ("NAME <ADDRESS>").
# Update artifacthub-pkg.yml afterwards: UPDATE=1 cargo test -p policy-host --test publish
#
#   scripts/set-home.sh ghcr.io/acme/policies https://github.com/acme/injector 'acme <acme@users.noreply.github.com>'
set -eu
cd "$(dirname -- "$0")/.."

fail() {
  printf 'set-home: error: %s\n' "$1" >&2
  exit 1
}

[ $# = 3 ] || fail "usage: set-home.sh REGISTRY/PATH REPOSITORY-URL 'NAME <ADDRESS>'"
folder=$1 source=$2 author=$3
case $folder in
*[!a-z0-9./:_-]* | */ | *//* | '') fail "$folder: an OCI artifact's name has no upper case and no other characters" ;;
*/*) ;;
*) fail "$folder: write REGISTRY/PATH" ;;
esac
case $source in
https://*/*) ;;
*) fail "$source: write an https:// address" ;;
esac
case $author in
?*' <'?*@?*'>') ;;
*) fail "$author: write 'NAME <ADDRESS>'" ;;
esac
case $source$author in
*'|'* | *'&'* | *\\* | *'
'*) fail "the address and the author are one line without |, & and \\" ;;
esac

git grep -lIF registry.example.com/policies -- README.md metadata.yml docs examples |
  while IFS= read -r file; do
    sed -i "s|registry\\.example\\.com/policies|$folder|g" "$file"
  done
sed -i "/^ *# Placeholders, /d
s|^\\( *io\\.kubewarden\\.policy\\.author: \\).*|\\1$author\\
  io.kubewarden.policy.url: $source\\
  io.kubewarden.policy.source: $source|" metadata.yml
printf 'set-home: %s, %s, %s\n' "$folder" "$source" "$author"
