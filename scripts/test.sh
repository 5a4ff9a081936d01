#!/usr/bin/env bash
# Sets up, then runs every test; the last line is `N passed, N failed` (`, N skipped`).
#
#   test.sh [VITEST-ARGUMENTS]    such as a directory of tests, or -t NAME
#
# Exit codes: 0 all passed, 1 something failed, 8 this machine can't run them.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

bash "$TREE/scripts/setup.sh" --test
cd "$TREE"

LIMIT=${LIMIT:-60m} # for a machine that is busy: two quiet cores take a third of it

# A run that is killed can't clean up after its own mounts: its TMPDIR is below this one.
SCRATCH=$(mktemp -d "${TMPDIR:-/tmp}/byref-XXXXXX")
chmod 755 "$SCRATCH" # tests act as other users too
trap clean EXIT
trap 'exit 130' INT TERM HUP

clean() {
  local status=$?
  unmount_below "$SCRATCH"
  [ "$status" -ne 0 ] || rm -rf --one-file-system "$SCRATCH"
  exit "$status"
}

# A test that hangs in a mount can't be stopped by its own watchdog.
TMPDIR=$SCRATCH timeout --kill-after=60 "$LIMIT" node_modules/.bin/vitest run "$@"
