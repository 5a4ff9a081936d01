#!/usr/bin/env bash
# Sets up, then shows the main job on real input: a Debian root file system becomes a template, several
# envs are mounted from it, programs run inside them, each writes what is its own, the template stays
# as it was; then they run as systems of their own, with limits, are patched, and one is cloned. Ends with a table of what was done and measured. Leaves no mount, process or env behind.
#
#   demo.sh [ENVS]    how many envs, 5 if not given
#
# Exit codes: 0 shown, 1 something failed, 8 this machine can't.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

COUNT=${1:-5}
SUITE=bookworm
CACHE=${XDG_CACHE_HOME:-/var/cache}/byref
ARCHIVE=$CACHE/debian-12-$(dpkg --print-architecture 2>/dev/null || uname -m).tar
BYREF=$TREE/bin/byref

main() {
  bash "$TREE/scripts/setup.sh" --demo
  [[ $COUNT =~ ^[1-9][0-9]*$ ]] || fail "not a number of envs: $COUNT" 'usage: demo.sh [ENVS]'
  ROOT=$(mktemp -d "${TMPDIR:-/tmp}/byref-demo-XXXXXX")
  chmod 711 "$ROOT" # the root user of an env has to get to its root file system
  # This machine's network stays as it is.
  export BYREF_ROOT=$ROOT/root BYREF_RUN=$ROOT/run BYREF_IDLE_EXIT_MS=500 BYREF_NETWORK=none
  trap clean EXIT
  trap 'exit 130' INT TERM HUP
  local names=()
  for ((n = 1; n <= COUNT; n++)); do names+=("web$n"); done

  build_archive
  import_template
  make_envs "${names[@]}"
  run_programs "${names[@]}"
  write_privately "${names[@]}"
  share_the_page_cache "${names[@]}"
  patch_and_roll_back "${names[@]}"
  patch_a_package "${names[0]}"
  run_as_systems "${names[@]}"
  show_commands "${names[0]}"
  check_template
  remove_envs "${names[@]}"
  print_table
}

# --- what is shown, step by step ---

build_archive() {
  title "A Debian 12 root file system"
  if [ ! -e "$ARCHIVE" ]; then
    mkdir -p "$CACHE"
    say "  building it with mmdebstrap, once: $ARCHIVE"
    timed bootstrap || fail 'mmdebstrap failed' 'check the network and the sources of apt.'
    mv "$ARCHIVE.part" "$ARCHIVE"
    row 'build the archive' "$ELAPSED ms" "$(mebibytes "$(stat -c %s "$ARCHIVE")")"
  fi
  local members
  members=$(tar -tf "$ARCHIVE" | wc -l)
  say "  $members members, $(mebibytes "$(stat -c %s "$ARCHIVE")")"
}

# From this machine's own sources, if they are of the same suite: they are the ones that it can reach.
bootstrap() {
  local own
  mapfile -t own < <(grep -ls "\b$SUITE\b" /etc/apt/sources.list /etc/apt/sources.list.d/*.{list,sources})
  debian "${own[@]}" || { [ ${#own[@]} -gt 0 ] && debian; }
}

# debian SOURCES...: writes the archive, from Debian's own servers if no sources are given.
debian() {
  mmdebstrap --quiet --variant=minbase --format=tar "$SUITE" "$ARCHIVE.part" "$@"
}

import_template() {
  title 'The template'
  timed "$BYREF" init
  row 'byref init' "$ELAPSED ms" "$(disk_usage "$BYREF_ROOT")"
  timed "$BYREF" template import debian-12 "$ARCHIVE"
  object_hashes >"$ROOT/hashes.before"
  row 'byref template import' "$ELAPSED ms" \
    "$(wc -l <"$ROOT/hashes.before") objects, $(disk_usage "$BYREF_ROOT")"
  "$BYREF" template list
}

declare -A MOUNTPOINT # by env

make_envs() {
  title "$# envs from it"
  local before name mountpoint
  before=$(disk_bytes "$BYREF_ROOT")
  timed create_all "$@"
  row "byref create, $# envs" "$((ELAPSED / $#)) ms each" \
    "$((($(disk_bytes "$BYREF_ROOT") - before) / $#)) bytes each"
  timed "$BYREF" mount "$@"
  row "byref mount, $# envs" "$((ELAPSED / $#)) ms each" "$(resident) resident"
  while read -r name mountpoint; do MOUNTPOINT[$name]=$mountpoint; done \
    < <("$BYREF" list -H -o name,mountpoint)
  "$BYREF" list
}

create_all() {
  local name
  for name; do "$BYREF" create "$name" --os debian-12; done
}

run_programs() {
  title 'Programs run inside, by chroot'
  local name
  timed inside "$1" sh -c '. /etc/os-release; echo "  $PRETTY_NAME, $(ls /usr/bin | wc -l) programs in /usr/bin"'
  timed inside "$1" perl -e 'printf "  perl %vd: %d\n", $^V, eval join "+", 1 .. 1000'
  row 'perl in an env' "$ELAPSED ms" ''
  timed inside "$1" dpkg --verify
  row 'dpkg --verify in an env' "$ELAPSED ms" 'every file of every package as shipped'
  timed inside "$1" sh -c 'find / -xdev -type f | wc -l | sed "s/^/  files: /"'
  row 'find / in an env' "$ELAPSED ms" ''
  for name; do inside "$name" sh -c 'dpkg-query -W | wc -l' | sed "s/^/  $name, packages installed: /"; done
}

write_privately() {
  title 'Each env writes what is its own'
  local name other
  for name; do
    inside "$name" sh -c "
      echo $name >/etc/hostname
      echo 'greeting of $name' >/etc/motd
      useradd --create-home user-of-$name
      rm -rf /usr/share/doc
      mv /usr/share/perl5 /usr/share/perl5.moved
      dd if=/dev/zero of=/var/data bs=1M count=1 status=none"
  done
  for name; do
    [ "$(inside "$name" cat /etc/hostname)" = "$name" ] || fail "$name lost its /etc/hostname" 'this is a bug.'
    inside "$name" getent passwd "user-of-$name" >/dev/null || fail "$name lost its user" 'this is a bug.'
    for other; do
      [ "$other" = "$name" ] || ! inside "$other" getent passwd "user-of-$name" >/dev/null ||
        fail "$other sees a user of $name" 'this is a bug.'
    done
  done
  say "  /etc/hostname, a user, files removed, a directory renamed, 1 MiB written: in each its own"
  "$BYREF" diff "$1" | sed 's/^/  /' | head -n 12
  row "private changes, $# envs" '' 'each sees its own, none another'\''s'
}

# Reads the same libraries in one env after the other; only the first should fill memory. The figure
# is the machine's: on a busy one, other programs' files are in it.
share_the_page_cache() {
  title 'One page cache for all'
  local name before after growth=()
  sync
  echo 1 2>/dev/null >/proc/sys/vm/drop_caches || say '  (caches can not be dropped here: expect no growth at all)'
  for name; do
    before=$(cached_kibibytes)
    inside "$name" sh -c 'find /usr/lib -name "*.so*" -type f -exec cat {} + | wc -c' >"$ROOT/read"
    after=$(cached_kibibytes)
    growth+=("$(((after - before) / 1024))")
    say "  $name read $(mebibytes "$(cat "$ROOT/read")"): page cache grew by ${growth[-1]} MiB"
  done
  row 'libraries read in all envs' '' \
    "page cache grew by ${growth[0]} MiB, then by ${growth[*]:1}"
}

# A second version of the template: the same archive with one file changed and one more. It reaches all mounted
# envs, under a program that runs, and is taken back.
patch_and_roll_back() {
  title 'A patch, and back'
  local name
  mkdir -p "$ROOT/change/etc" "$ROOT/change/usr/local/bin"
  echo 'Debian GNU/Linux 12, patched' >"$ROOT/change/etc/issue"
  printf '#!/bin/sh\necho hello from the patch\n' >"$ROOT/change/usr/local/bin/hello"
  chmod 755 "$ROOT/change/usr/local/bin/hello"
  cp --reflink=auto "$ARCHIVE" "$ROOT/patched.tar"
  tar --append --file "$ROOT/patched.tar" --owner=0 --group=0 -C "$ROOT/change" ./etc/issue ./usr/local/bin/hello
  timed "$BYREF" template import debian-12 "$ROOT/patched.tar" --label patched
  rm "$ROOT/patched.tar"
  row 'byref template import, again' "$ELAPSED ms" 'only what changed is stored'
  inside "$1" sh -c 'exec 7</etc/issue; sleep 2; sed "s/^/  still open in a program: /" <&7 | head -n 1' &
  sleep 0.3
  "$BYREF" patch debian-12 --check | sed 's/^/  /' || true
  timed "$BYREF" patch debian-12
  row "byref patch, $# mounted envs" "$ELAPSED ms" 'no remount, no restart'
  for name; do
    [ "$(inside "$name" /usr/local/bin/hello)" = 'hello from the patch' ] || fail "$name does not see the patch" 'this is a bug.'
  done
  "$BYREF" stale | sed 's/^/  /'
  wait $!
  timed "$BYREF" rollback debian-12
  row "byref rollback, $# mounted envs" "$ELAPSED ms" 'private changes untouched'
  for name; do
    ! inside "$name" test -e /usr/local/bin/hello || fail "$name still sees the patch" 'this is a bug.'
    [ "$(inside "$name" cat /etc/hostname)" = "$name" ] || fail "$name lost its /etc/hostname" 'this is a bug.'
  done
  "$BYREF" history -o id,kind,template,from,to,state,envs | sed 's/^/  /'
}

# An app of a repository that has a newer package some weeks later: here, that it has on any day.
patch_a_package() {
  title 'A package, and a newer one'
  local repository=$ROOT/repository
  bash "$TREE/scripts/small-repo.sh" "$repository" 1.0
  cat >"$ROOT/hello.yaml" <<END
kind: app
name: hello
base: debian-12
packages: [hello-byref]
repository: file://$repository
suite: stable
keyring: $repository/key.gpg
END
  # The apt of the template asks its own repositories, too.
  timed "$BYREF" template build "$ROOT/hello.yaml" || {
    say '  left out: the repositories of the template can not be reached'
    return 0
  }
  row 'byref template build, an app' "$ELAPSED ms" "$(du --bytes --summarize "$repository/pool" | cut -f 1) bytes of packages"
  timed "$BYREF" app add "$1" hello
  row 'byref app add, mounted' "$ELAPSED ms" ''
  [ "$(inside "$1" hello-byref)" = 'hello from hello-byref 1.0' ] || fail "$1 does not have the app" 'this is a bug.'
  bash "$TREE/scripts/small-repo.sh" "$repository" 1.1
  timed "$BYREF" template update hello
  row 'byref template update' "$ELAPSED ms" 'staged'
  "$BYREF" patch hello --check | sed 's/^/  /' || true
  "$BYREF" patch hello | sed 's/^/  /'
  inside "$1" hello-byref | sed 's/^/  /'
  [ "$(inside "$1" hello-byref)" = 'hello from hello-byref 1.1' ] || fail "$1 does not see the patch" 'this is a bug.'
  "$BYREF" rollback hello | sed 's/^/  /'
}

# The same envs as systems of their own: with processes, users, limits.
run_as_systems() {
  title 'Envs that run'
  "$BYREF" set "$1" limits.memory=256MiB limits.cpu=0.5 limits.processes=50 | sed 's/^/  /'
  timed "$BYREF" start "$@"
  row "byref start, $# envs" "$((ELAPSED / $#)) ms each" 'through runc'
  timed "$BYREF" exec "$1" -- sh -c 'echo "  in $(hostname): user $(id -un), process $$, of the machine $(ls -d /proc/[0-9]* | wc -l) processes"'
  row 'byref exec' "$ELAPSED ms" ''
  "$BYREF" exec "$1" -- sh -c 'mount -t tmpfs tmpfs /mnt' 2>&1 | sed 's/^/  /' || true
  "$BYREF" info "$1" | grep -E '^(running|processor|memory|processes)' | sed 's/^/  /'
  "$BYREF" ps "$1" | sed 's/^/  /'
  "$BYREF" patch debian-12 --to 2 | sed 's/^/  /'
  [ "$("$BYREF" exec "$1" -- /usr/local/bin/hello)" = 'hello from the patch' ] || fail "$1 does not see the patch" 'this is a bug.'
  timed "$BYREF" restart --stale
  "$BYREF" rollback debian-12 | sed 's/^/  /'
  timed "$BYREF" stop "$@"
  row "byref stop, $# envs" "$((ELAPSED / $#)) ms each" ''
  title 'A clone'
  "$BYREF" umount "$1"
  timed "$BYREF" clone "$1" clone-of-"$1"
  row 'byref clone' "$ELAPSED ms" "all that $1 has of its own"
  "$BYREF" run --rm debian-12 -- sh -c 'echo "  byref run: $(hostname)"'
  timed "$BYREF" run --rm debian-12 -- true
  row 'byref run --rm' "$ELAPSED ms" 'make an env, start it, run a command, destroy it'
  "$BYREF" start clone-of-"$1"
  "$BYREF" exec clone-of-"$1" -- sh -c 'echo "  $(hostname): $(cat /etc/motd)"'
  "$BYREF" destroy --force clone-of-"$1"
  MOUNTPOINT[$1]=$("$BYREF" mount "$1" --json | sed -n 's/.*"mountpoint": *"\([^"]*\)".*/\1/p')
}

show_commands() {
  title 'What the commands say'
  "$BYREF" info "$1"
  "$BYREF" df
  row 'byref list' "$(millis "$BYREF" list) ms" "node -e 0 takes $(millis node -e 0) ms"
}

check_template() {
  title 'The template is as it was'
  object_hashes >"$ROOT/hashes.after"
  # The patch brought some more.
  [ -z "$(LC_ALL=C comm -23 <(LC_ALL=C sort "$ROOT/hashes.before") <(LC_ALL=C sort "$ROOT/hashes.after"))" ] ||
    fail 'an object changed' 'this is a bug.'
  say "  $(wc -l <"$ROOT/hashes.before") objects have the SHA-256 that they had"
  row 'objects before and after' '' 'equal, by SHA-256'
}

remove_envs() {
  timed "$BYREF" umount "$@"
  row "byref umount, $# envs" "$((ELAPSED / $#)) ms each" ''
  timed "$BYREF" destroy "$@"
  row "byref destroy, $# envs" "$((ELAPSED / $#)) ms each" ''
}

# --- how ---

title() { printf '\n\033[1m%s\033[0m\n' "$1"; }

# timed COMMAND...: runs it, and sets ELAPSED to milliseconds.
timed() {
  local start=${EPOCHREALTIME/[.,]/} status=0
  "$@" || status=$?
  ELAPSED=$(((${EPOCHREALTIME/[.,]/} - start) / 1000))
  return $status
}

# The median of 9 runs, milliseconds.
millis() {
  local run
  for run in 1 2 3 4 5 6 7 8 9; do
    timed "$@" >/dev/null
    echo "$ELAPSED"
  done | sort -n | sed -n 5p
}

# inside ENV COMMAND...: runs it in the env's root, away from this machine's settings.
inside() {
  local mountpoint=${MOUNTPOINT[$1]}
  shift
  env --ignore-environment LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot "$mountpoint" "$@"
}

object_hashes() { (cd "$BYREF_ROOT/objects" && find . -type f -print0 | sort -z | xargs -0 sha256sum); }
disk_bytes() { du --summarize --block-size=1 "$1" | cut -f 1; }
disk_usage() { mebibytes "$(disk_bytes "$1")"; }
mebibytes() { awk -v bytes="$1" 'BEGIN { printf "%.1f MiB", bytes / 1048576 }'; }
cached_kibibytes() { awk '$1 == "Cached:" { print $2 }' /proc/meminfo; }

# Resident memory of the driver processes of this root.
resident() {
  pgrep --full "^byref-driver $BYREF_ROOT" | while read -r pid; do
    awk '$1 == "VmRSS:" { print $2 }' "/proc/$pid/status"
  done | awk '{ sum += $1 } END { printf "%d MiB", sum / 1024 }'
}

ROWS=()
row() { ROWS+=("$1|$2|$3"); }

print_table() {
  title 'Done and measured'
  printf '%s\n' "${ROWS[@]}" | awk -F '|' '
    { for (i = 1; i <= 3; i++) { cell[NR, i] = $i; if (length($i) > width[i]) width[i] = length($i) } }
    END { for (r = 1; r <= NR; r++)
      printf "  %-*s  %*s  %s\n", width[1], cell[r, 1], width[2], cell[r, 2], cell[r, 3] }'
}

# Whatever happened: no mount, no process, no file is left.
clean() {
  local status=$?
  trap - EXIT
  if [ -e "$BYREF_ROOT/meta" ]; then
    "$BYREF" stop --all --fast >/dev/null 2>&1 || true
    "$BYREF" umount --all >/dev/null 2>&1 || true
  fi
  unmount_below "$ROOT"
  for _ in $(seq 50); do
    pgrep --full "^byref-[a-z]+ $BYREF_ROOT" >/dev/null || break
    sleep 0.1
  done
  rm -rf --one-file-system "$ROOT" "$ARCHIVE.part"
  exit "$status"
}

main "$@"
