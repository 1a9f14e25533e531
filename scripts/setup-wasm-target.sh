#!/bin/sh
# Makes sure that rustc can build for wasm32-wasip1.
#
#   1. If the target is installed, it does and prints nothing.
#   2. If rustup is available, rustup adds the target.
#   3. Otherwise it builds the standard library from the source of exactly this
#      rustc, with the C library of Debian's wasi-libc package, and installs it
#      into the sysroot as rustup would.
#
# Environment: WASM_RUST_LIBRARY=FILE.tar.xz  source of the standard library
# (the directory `library` of rustc's source), tried first.
set -eu

target=wasm32-wasip1
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
cache="${XDG_CACHE_HOME:-$HOME/.cache}/consul-connect-injector"

say() { printf 'wasm target: %s\n' "$*"; }

fail() {
  printf 'wasm target: error: %s\n' "$1" >&2
  shift
  for line in "$@"; do printf '  %s\n' "$line" >&2; done
  exit 1
}

command -v rustc >/dev/null 2>&1 || fail "rustc is not on PATH" \
  "install Rust from https://rustup.rs and run this again"

sysroot=$(rustc --print sysroot)
rustlib="$sysroot/lib/rustlib/$target/lib"
version=$(rustc -V | cut -d' ' -f2)

# An installation writes the core library first and the start file last: if both exist, it is
# complete.
installed() {
  [ -d "$rustlib" ] &&
    [ -n "$(find "$rustlib" -maxdepth 1 -name 'libstd-*.rlib' | head -n 1)" ] &&
    [ -f "$rustlib/self-contained/crt1-reactor.o" ]
}

installed && exit 0

if command -v rustup >/dev/null 2>&1; then
  say "rustup target add $target"
  if rustup target add "$target" >/dev/null 2>&1 && installed; then
    say "added by rustup"
    exit 0
  fi
  say "rustup has no $target for rustc $version here: building its standard library (about a minute)"
fi

mkdir -p "$cache"
work=$(mktemp -d "$cache/wasm-target.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# The URL of the Debian mirror that apt uses.
debian_mirror() {
  command -v apt-get >/dev/null 2>&1 || return 1
  # shellcheck disable=SC2016 # apt's own placeholder
  apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
    grep '/debian/*$' | head -n 1
}

# Prints the pool path of this version's rust-src in a newer Debian suite.
debian_rust_src() {
  for suite in trixie forky sid; do
    curl -fsSL --max-time 120 "$1/dists/$suite/main/binary-all/Packages.xz" 2>/dev/null |
      xz -dc 2>/dev/null |
      awk -v RS='' -v version="$version" '
        $0 ~ "^Package: rust(-web)?-src\n" && $0 ~ "\nVersion: " version "[+~-]" {
          match($0, /\nFilename: [^\n]*/)
          print substr($0, RSTART + 11, RLENGTH - 11)
          exit
        }' | grep . && return 0
  done
  return 1
}

# Extracts the standard library's source to $work/library.
library_source() {
  for archive in "${WASM_RUST_LIBRARY:-}" "$root/../shared/toolchain/rust-library-$version.tar.xz"; do
    if [ -n "$archive" ] && [ -f "$archive" ]; then
      say "source: $(basename "$archive")"
      tar -xJf "$archive" -C "$work"
      return
    fi
  done
  if [ -f "$sysroot/lib/rustlib/src/rust/library/sysroot/Cargo.toml" ]; then
    say "source: the rust-src component of this toolchain"
    cp -r "$sysroot/lib/rustlib/src/rust/library" "$work/library"
    return
  fi
  if mirror=$(debian_mirror) && path=$(debian_rust_src "${mirror%/}"); then
    say "source: Debian's $(basename "$path")"
    curl -fsSL --max-time 600 -o "$work/rust-src.deb" "${mirror%/}/$path"
    dpkg-deb -x "$work/rust-src.deb" "$work/rust-src"
    found=$(find "$work/rust-src/usr/src" -maxdepth 2 -type d -name library | head -n 1)
    [ -n "$found" ] && mv "$found" "$work/library" && return
  fi
  fail "no source of the standard library of rustc $version was found" \
    "one of these helps:" \
    "  rustup target add $target        (with a network that reaches rustup's server)" \
    "  rustup component add rust-src" \
    "  WASM_RUST_LIBRARY=rust-library-$version.tar.xz scripts/setup-wasm-target.sh"
}

# Extracts wasi-libc's archives and start files to $work/libc.
wasi_libc() {
  mkdir "$work/libc"
  if [ ! -f /usr/lib/wasm32-wasi/libc.a ]; then
    command -v apt-get >/dev/null 2>&1 || fail "wasi-libc is not installed" \
      "install your distribution's wasi-libc package and run this again"
    say "wasi-libc from Debian"
    (cd "$work" && { apt-get download wasi-libc || { apt-get update && apt-get download wasi-libc; }; }) \
      >"$work/apt.log" 2>&1 || {
      cat "$work/apt.log" >&2
      fail "Debian's wasi-libc could not be downloaded" \
        "run 'apt-get update && apt-get install wasi-libc' and try again"
    }
    dpkg-deb -x "$work"/wasi-libc_*.deb "$work/wasi-libc"
    cp "$work"/wasi-libc/usr/lib/wasm32-wasi/*.[ao] "$work/libc"
  else
    cp /usr/lib/wasm32-wasi/*.[ao] "$work/libc"
  fi
}

library_source
wasi_libc

say "building"
# The options of a toolchain's own build: the features of a distributed std, and rlibs
# that can be linked into a crate with panic = "abort" and take part in its LTO.
(
  cd "$work/library"
  unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS CARGO_BUILD_TARGET
  RUSTC_BOOTSTRAP=1 \
    CARGO_TARGET_DIR="$work/target" \
    __CARGO_DEFAULT_LIB_METADATA="$target-std" \
    RUSTFLAGS="-Zforce-unstable-if-unmarked -Cembed-bitcode=yes -Cpanic=abort --remap-path-prefix=$work=/rustc" \
    cargo build --release --target "$target" --manifest-path sysroot/Cargo.toml \
    --features panic-unwind,backtrace,compiler-builtins-mem
) >"$work/build.log" 2>&1 || {
  tail -n 40 "$work/build.log" >&2
  fail "the standard library of rustc $version did not build (above, the end of cargo's output)" \
    "rustup target add $target does without this build where rustup's server can be reached"
}

mkdir -p "$rustlib/self-contained" || fail "$rustlib cannot be written" \
  "run this as the owner of the Rust toolchain"
cp "$work/target/$target/release/deps/"*.rlib "$rustlib/"
cp "$work/libc/"* "$rustlib/self-contained/"

installed || fail "the target was built, but $rustlib is not complete" \
  "remove that folder and run this again"
say "installed for rustc $version"
