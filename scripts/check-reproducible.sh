#!/bin/sh
# Builds policy.wasm twice from the files that git tracks, in directories with different
# names and depths, with different target directories and paths of CARGO_HOME, and compares
# the bytes. Prints the checksum that a release of this source has.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
home=${CARGO_HOME:-$HOME/.cargo}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# build NAME DIRECTORY TARGET-DIRECTORY: writes $work/NAME.wasm.
build() {
  name=$1 folder=$work/$2 target=$work/$3
  mkdir -p "$folder" "$work/home-$name"
  tar -xf "$work/source.tar" -C "$folder"
  # The same downloads of cargo, at another path.
  for part in registry git config.toml bin; do
    [ ! -e "$home/$part" ] || ln -s "$home/$part" "$work/home-$name/$part"
  done
  printf 'reproducible: building in %s\n' "$folder"
  (
    cd "$folder"
    unset CARGO_BUILD_TARGET_DIR RUSTFLAGS CARGO_ENCODED_RUSTFLAGS
    CARGO_HOME=$work/home-$name CARGO_TARGET_DIR=$target make --no-print-directory policy.wasm
  ) >"$work/$name.log" 2>&1 || {
    tail -n 40 "$work/$name.log" >&2
    exit 1
  }
  cp "$folder/policy.wasm" "$work/$name.wasm"
  rm -rf "$target"
}

# Copied only once: the working directory may change meanwhile.
(cd "$root" && git ls-files -z --cached --others --exclude-standard |
  tar -cf "$work/source.tar" --null -T - --ignore-failed-read)
build one source target-one
build two a/folder/with/another/name somewhere/else/target-two

if ! cmp "$work/one.wasm" "$work/two.wasm"; then
  printf 'reproducible: NO, the two builds differ\n' >&2
  exit 1
fi
# The module must not contain paths of this machine.
for path in "$work" "$HOME" "$home"; do
  if [ "$path" != / ] && grep -aqF "$path/" "$work/one.wasm"; then
    printf 'reproducible: NO, the module has the path %s in it\n' "$path" >&2
    exit 1
  fi
done
sum=$(sha256sum "$work/one.wasm" | cut -d' ' -f1)
printf 'reproducible: yes, %s (%s, %s, %s bytes)\n' "$sum" "$(rustc -V)" "$(wasm-opt --version 2>/dev/null || echo 'no wasm-opt')" "$(wc -c <"$work/one.wasm" | tr -d ' ')"
