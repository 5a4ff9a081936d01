#!/usr/bin/env bash
# Sets up, then runs every test; the last line is `N passed, N failed` (`, N skipped`).
#
#   test.sh [VITEST-ARGUMENTS]    such as a directory of tests, or -t NAME
#
# With enough memory, tests work on an ext4 file system in memory: on a disk they wait for it a part of their time. They work below TMPDIR
# instead, if that is set.
#
# Exit codes: 0 all passed, 1 something failed, 8 this machine can't run them.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

bash "$TREE/scripts/setup.sh" --test
cd "$TREE"

LIMIT=${LIMIT:-100m} # for a machine that is busy: two quiet cores take a third of it
DISK_GIB=12         # three times what tests have at once
MEMORY_LEFT_GIB=6   # for all else

# A run that is killed can't clean up after its own mounts: its TMPDIR is below this one.
SCRATCH=$(mktemp -d "${TMPDIR:-/tmp}/byref-XXXXXX")
chmod 755 "$SCRATCH" # tests act as other users too
trap clean EXIT
trap 'exit 130' INT TERM HUP

clean() {
  local status=$?
  unmount_below "$SCRATCH"
  if [ -n "${ON_DISK_IN_MEMORY:-}" ]; then
    umount --lazy "$SCRATCH" || true
    rmdir "$SCRATCH" || true
  fi
  [ "$status" -ne 0 ] || rm -rf --one-file-system "$SCRATCH"
  exit "$status"
}

# Puts an ext4 file system in memory on $SCRATCH, if there is memory for it. It takes what is in it, and goes when it is unmounted.
disk_in_memory() {
  local available memory
  available=$(awk '$1 == "MemAvailable:" { print int($2 / 1024 / 1024) }' /proc/meminfo)
  [ "$available" -ge $((DISK_GIB + MEMORY_LEFT_GIB)) ] || return 0
  memory=$(mktemp -d)
  mount -t tmpfs -o "size=$((DISK_GIB + 1))g" tmpfs "$memory"
  if truncate --size "${DISK_GIB}G" "$memory/disk" && mkfs.ext4 -q -i 8192 "$memory/disk" &&
    mount -o loop,discard "$memory/disk" "$SCRATCH" 2>/dev/null; then
    chmod 755 "$SCRATCH"
    ON_DISK_IN_MEMORY=1
  fi
  # The loop device keeps the file.
  umount --lazy "$memory"
  rmdir "$memory"
}

[ -n "${TMPDIR:-}" ] || disk_in_memory

# A test that hangs in a mount can't be stopped by its own watchdog.
TMPDIR=$SCRATCH timeout --kill-after=60 "$LIMIT" node_modules/.bin/vitest run "$@"
