# Sourced by the scripts beside it: where the tree is, how to speak, what this machine can do.
# shellcheck shell=bash

TREE=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
SETUP_DIR=$TREE/.setup # what the set-up keeps: logs, stamps, the demo's archive

EXIT_UNSUPPORTED=8 # as in src/base/exit-codes.ts
MIN_NODE=20.19.0
MIN_KERNEL=5.12        # mount_setattr, pidfd_getfd
KERNEL_PASSTHROUGH=6.9 # FUSE passthrough and resend
KERNEL_EPOCH=6.16      # FUSE_NOTIFY_INC_EPOCH

say() { printf '%s\n' "$*"; }

# cannot WHAT HINT: ends the script because the machine can't.
cannot() {
  printf 'error: %s\n  %s\n' "$1" "$2" >&2
  exit "$EXIT_UNSUPPORTED"
}

# fail WHAT HINT: ends the script because a step failed.
fail() {
  printf 'error: %s\n  %s\n' "$1" "$2" >&2
  exit 1
}

# at_least HAVE WANT: true if version HAVE is WANT or later.
at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

# quietly LOG COMMAND...: output goes to a log, which is shown if the command fails.
quietly() {
  local log=$SETUP_DIR/$1.log
  shift
  "$@" >"$log" 2>&1 && return
  tail -n 40 "$log" >&2
  return 1
}

# unmount_below DIRECTORY: whatever is mounted there, deepest first. Lazy: a mount whose driver is gone
# answers nothing.
unmount_below() {
  awk -v below="$1/" 'index($2, below) == 1 { print $2 }' /proc/self/mounts | sort -r |
    while read -r mountpoint; do umount --lazy "$(printf '%b' "$mountpoint")" || true; done
}

check_machine() {
  [ "$(uname -s)" = Linux ] ||
    cannot "this is $(uname -s), not Linux" 'byref speaks to the Linux kernel: use a Linux machine.'
  [ "$(id -u)" = 0 ] ||
    cannot 'not root' 'mounting and installing packages need root: run this again as root.'
  check_node
  check_kernel
  check_fuse
}

check_node() {
  command -v node >/dev/null ||
    cannot 'no Node.js' "install Node.js $MIN_NODE or later, with npm."
  command -v npm >/dev/null || cannot 'no npm' 'install npm.'
  local version
  version=$(node -p process.versions.node)
  at_least "$version" "$MIN_NODE" ||
    cannot "Node.js $version is too old" "install Node.js $MIN_NODE or later."
}

check_kernel() {
  local version
  version=$(uname -r | sed 's/[^0-9.].*//')
  at_least "$version" "$MIN_KERNEL" ||
    cannot "Linux $version is too old" "byref needs Linux $MIN_KERNEL; $KERNEL_PASSTHROUGH or later to be fast."
  at_least "$version" "$KERNEL_PASSTHROUGH" ||
    say "note: Linux $version has no FUSE passthrough ($KERNEL_PASSTHROUGH has): file data goes through the driver, slower."
  at_least "$version" "$KERNEL_EPOCH" ||
    say "note: Linux $version can't expire names at once ($KERNEL_EPOCH can): patches are announced name by name."
}

check_fuse() {
  [ -e /dev/fuse ] || modprobe fuse 2>/dev/null || true
  [ -e /dev/fuse ] ||
    cannot 'no /dev/fuse' 'load the module (modprobe fuse), or give this container the device (--device /dev/fuse).'
  (exec 3<>/dev/fuse) 2>/dev/null ||
    cannot '/dev/fuse cannot be opened' 'this container may not use the device: run it with --device /dev/fuse.'
  unshare --mount mount -t tmpfs none /tmp 2>/dev/null ||
    cannot 'mounting is not permitted' 'this container lacks CAP_SYS_ADMIN: run it privileged.'
}
