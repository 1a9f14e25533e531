#!/usr/bin/env bats
# What holds for the scripts as texts.
load helper

whole() {
  cp "$scripts"/*.sh "$BATS_TEST_TMPDIR"
  cat "$scripts/lifecycle-pre-stop.sh" "$scripts/envoy-pre-stop.sh" >"$BATS_TEST_TMPDIR/pre-stop.sh"
}

@test "shellcheck finds nothing, in the files as the containers run them" {
  command -v shellcheck >/dev/null || skip "no shellcheck"
  whole
  cd "$BATS_TEST_TMPDIR"
  shellcheck -s sh -x ./*.sh
}

@test "nothing is evaluated or put through a heredoc, and only the common part is sourced" {
  ! grep -nE '(^|[^[:alnum:]_])eval([^[:alnum:]_]|$)|<<' "$scripts"/*.sh
  [ "$(sed -n 's/^[[:space:]]*\. //p' "$scripts"/*.sh | sort -u)" = '"$dir/common.sh"' ]
}

@test "dash, busybox sh and bash can read them, with and without comments" {
  whole
  for file in "$BATS_TEST_TMPDIR"/*.sh; do
    strip <"$file" >"$file.stripped"
    for one in "$file" "$file.stripped"; do
      dash -n "$one"
      busybox sh -n "$one"
      bash --posix -n "$one"
    done
  done
}

@test "no line of a string begins with a #, so that stripping comments is safe" {
  whole
  for file in "$BATS_TEST_TMPDIR"/*.sh; do
    bash --pretty-print "$file" | grep . >"$BATS_TEST_TMPDIR/a"
    strip <"$file" >"$BATS_TEST_TMPDIR/s"
    bash --pretty-print "$BATS_TEST_TMPDIR/s" | grep . >"$BATS_TEST_TMPDIR/b"
    cmp "$BATS_TEST_TMPDIR/a" "$BATS_TEST_TMPDIR/b"
  done
}

@test "the hooks hold no \$(NAME), which a kubelet could take for its own" {
  ! grep -nE '\$\([A-Za-z_][A-Za-z0-9_]*\)' "$scripts"/*.sh
}
