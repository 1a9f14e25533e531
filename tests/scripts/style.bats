#!/usr/bin/env bats
# Checks of the scripts' source.
load helper

# The files, and each complete script that a pod can get.
texts() {
  cp "$scripts"/*.sh "$BATS_TEST_TMPDIR"
  cat "$scripts/lifecycle-pre-stop.sh" "$scripts/envoy-pre-stop.sh" >"$BATS_TEST_TMPDIR/pre-stop.sh"
  local CONNECT_INJECT_AGENT_SCHEME CONNECT_INJECT_AUTH_METHOD CONNECT_INJECT_ENVOY_TOKEN_FILE
  local CONNECT_INJECT_NAMESPACE CONNECT_INJECT_SERVICE_DEFAULTS CONNECT_INJECT_LISTENER_PORT acl n=0
  for CONNECT_INJECT_AGENT_SCHEME in http https; do
    for acl in '' 1 2; do
      CONNECT_INJECT_AUTH_METHOD=$acl CONNECT_INJECT_ENVOY_TOKEN_FILE=${acl#1}
      for CONNECT_INJECT_LISTENER_PORT in '' 1; do whole lifecycle; done
      for CONNECT_INJECT_NAMESPACE in '' 1; do
        for CONNECT_INJECT_SERVICE_DEFAULTS in '' 1; do whole init; done
      done
    done
  done
}

# whole init|lifecycle: the script with the common part in place of the line that sources it.
whole() {
  n=$((n + 1))
  common_script >"$BATS_TEST_TMPDIR/common"
  "$1_script" | sed -e '/^\. "$dir\/common.sh"$/{r '"$BATS_TEST_TMPDIR/common" -e 'd}' >"$BATS_TEST_TMPDIR/whole-$n-$1.sh"
}

@test "shellcheck finds nothing, in the files and in every whole as the containers run them" {
  command -v shellcheck >/dev/null || skip "no shellcheck"
  texts
  cd "$BATS_TEST_TMPDIR"
  [ "$(ls whole-*.sh | wc -l)" -eq 36 ]
  # Complete scripts have no comments, so these are the exceptions of the files: intentional word
  # splitting, read with a timeout, and variables of the common part that only the other container
  # uses.
  shellcheck -s sh -e SC2034,SC2048,SC2086,SC3045 whole-*.sh
  rm whole-*.sh
  shellcheck -s sh -x ./*.sh
}

@test "nothing is evaluated or put through a heredoc, and only the common part is sourced" {
  ! grep -nE '(^|[^[:alnum:]_])eval([^[:alnum:]_]|$)|<<' "$scripts"/*.sh
  [ "$(sed -n 's/^[[:space:]]*\. //p' "$scripts"/*.sh | sort -u)" = '"$dir/common.sh"' ]
}

@test "dash, busybox sh and bash can read them, with and without comments" {
  texts
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
  texts
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
