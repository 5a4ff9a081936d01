#!/usr/bin/env bash
# Starts more envs than one bridge has ports for, each with one process, on a network namespace that plays the machine. Says how long
# they took, and what memory; shows that some of them reach others by address and by name, across bridges; stops all, and checks that
# nothing is left.
#
#   crowd.sh [ENVS]    1030 envs, if not told
#
# Exit codes: 0 all is well, 1 something failed, 8 this machine can't run it.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

COUNT=${1:-1030}
FEW=10             # how many run when the first start of one env is timed
BATCH=100          # how many are started with one command
TIMED=5            # how many times one env is started, of which the median counts
ASKED=8            # how many of the last envs ask the first one, and the other way round
STEP_SECONDS=1800  # after which a command counts as hung
MIB_PER_ENV=12     # with room to spare
MIB_LEFT=2048      # for all else
PORT=7
BYREF=$TREE/bin/byref

[[ $COUNT =~ ^[1-9][0-9]*$ ]] || fail "not a number of envs: $COUNT" 'usage: crowd.sh [ENVS]'
[ "$COUNT" -gt $((FEW + 1)) ] || fail "$COUNT envs are no crowd" "take more than $((FEW + 1))"
check_machine

available_kib() { awk '$1 == "MemAvailable:" { print $2 }' /proc/meminfo; }

wanted=$((COUNT * MIB_PER_ENV + MIB_LEFT))
[ $(($(available_kib) / 1024)) -ge "$wanted" ] ||
  cannot "$(($(available_kib) / 1024)) MiB of memory are free, and $COUNT envs need $wanted" 'start fewer.'

scratch=$(mktemp -d "${TMPDIR:-/tmp}/byref-crowd-XXXXXX")
run=$(mktemp -d /tmp/byref-run-XXXXXX) # the paths of sockets are bounded
chmod 755 "$scratch"
chmod 711 "$run"
machine=
export BYREF_ROOT=$scratch/root BYREF_RUN=$run BYREF_NETWORK=bridge BYREF_IDLE_EXIT_MS=300 BYREF_DAEMON=no
unset BYREF_BRIDGE BYREF_BRIDGE_PORTS BYREF_SUBNET
trap clean EXIT
trap 'exit 130' INT TERM HUP

clean() {
  local status=$?
  if [ -n "$machine" ]; then
    on_machine "$BYREF" stop --all --fast >/dev/null 2>&1 || true
    on_machine "$BYREF" umount --all >/dev/null 2>&1 || true
    kill "$machine" || true
  fi
  unmount_below "$scratch"
  rm -rf --one-file-system "$scratch" "$run"
  exit "$status"
}

on_machine() { timeout --kill-after=10 "$STEP_SECONDS" nsenter --net --target "$machine" "$@"; }

byref() { on_machine "$BYREF" "$@"; }

now_ms() { date +%s%3N; }

# timed WHAT COMMAND...: runs a command, whose output goes to a log, and says what it took.
timed() {
  local what=$1 from
  shift
  from=$(now_ms)
  # In a shell of its own, since fail() ends it.
  ("$@") >"$scratch/log" 2>&1 || { tail -n 20 "$scratch/log" >&2 && fail "$what failed" 'see above'; }
  tell "$what" "$(seconds $(($(now_ms) - from)))"
}

tell() { printf '  %-44s %12s\n' "$1" "$2"; }
seconds() { awk -v ms="$1" 'BEGIN { printf "%.2f s", ms / 1000 }'; }

# A system of a few programs of this machine: a shell, and what the envs here run.
make_system() {
  local tree=$1 program file
  mkdir -p "$tree"/{dev,etc,proc,root,run,sys,tmp,usr/bin,usr/lib,usr/sbin,var}
  ln -s usr/bin "$tree/bin"
  ln -s usr/sbin "$tree/sbin"
  ln -s usr/lib "$tree/lib"
  ln -s usr/lib "$tree/lib64"
  for program in bash sleep getent cat; do
    program=$(command -v "$program")
    install -D "$program" "$tree/usr/bin/${program##*/}"
    ldd "$program" | grep -o '/[^ ]*' | while read -r file; do
      # As the program names it: its loader is in /lib64, and other libraries may be in a directory of their architecture.
      mkdir -p "$tree$(dirname "$file")"
      cp --dereference "$file" "$tree$file"
    done
  done
  echo 'root:x:0:0:root:/root:/bin/bash' >"$tree/etc/passwd"
  echo 'root:x:0:' >"$tree/etc/group"
  echo 'hosts: files dns' >"$tree/etc/nsswitch.conf"
  echo 'ID=crowd' >"$tree/etc/os-release"
}

# start_one NAME: the median of what a start of one env takes, in milliseconds; the env runs at the end.
start_one() {
  local from i
  for ((i = 0; i < TIMED; i++)); do
    byref stop --fast "$1" >/dev/null
    from=$(now_ms)
    byref start "$1" >/dev/null
    echo $(($(now_ms) - from))
  done | sort -n | sed -n "$(((TIMED + 1) / 2))p"
}

# names FROM TO: the names of these envs.
names() { seq -f 'e%.0f' "$1" "$2"; }

address_of() { awk -v name="$1" '$1 == name { print $2 }' "$scratch/addresses"; }

# Serves a line at an address of an env, from its network namespace.
serve() {
  local pid
  pid=$(byref info "$1" --json | node -p 'JSON.parse(require("fs").readFileSync(0)).pid')
  nsenter --net --target "$pid" node -e "
    require('net').createServer((s) => s.end('hello from $1\n')).listen($PORT, '0.0.0.0', () => console.log('ready'));
    setTimeout(() => process.exit(), $STEP_SECONDS * 1000)" >"$scratch/served.$1" &
  servers+=($!)
  until grep -q ready "$scratch/served.$1"; do sleep 0.1; done
}

# ask FROM TO: an env asks another one, by address and by name.
ask() {
  local said script="for to; do exec 3<>/dev/tcp/\$to/$PORT; cat <&3; done"
  said=$(byref exec "$1" -- bash -c "$script" ask "$(address_of "$2")" "$2" "$2.byref")
  [ "$said" = "$(yes "hello from $2" | head -n 3)" ] || fail "$1 asked $2, and heard: $said" 'the bridges are not connected'
}

# Sends something to each env, which answers that nobody listens: so both ends look for each other's hardware address.
call_all() {
  local address
  cut -d ' ' -f 2 "$scratch/addresses" | while read -r address; do
    on_machine bash -c "echo >/dev/udp/$address/9" || fail "$address can't be sent to" "see dmesg"
  done
}

# How often the kernel's table of hardware addresses was full, for all network namespaces together.
table_fulls() {
  local sum=0 each
  for each in $(awk 'NR > 1 { print $NF }' /proc/net/stat/arp_cache); do sum=$((sum + 16#$each)); done
  echo "$sum"
}

ask_each_other() {
  local name
  servers=()
  trap 'kill "${servers[@]}"' EXIT
  serve e1
  serve "e$COUNT"
  for name in $(names $((COUNT - ASKED)) $((COUNT - 1))); do ask "$name" e1; done
  for name in $(names 2 $((ASKED + 1))); do ask "$name" "e$COUNT"; done
  ask e1 "e$COUNT"
  ask "e$COUNT" e1
}

expect_nothing_left() {
  local left
  # The first bridge stays, as it may have been there before.
  left=$(on_machine sh -c 'ip -o link | grep -v ": \(lo\|byref0\):"; iptables-save | grep -i -e byref -e CNI') || true
  left+=$(ls "$run"/*.envs | grep -x '[0-9]*') || true
  left+=$(grep -F -e "$scratch" -e "$run" /proc/self/mounts) || true
  [ -z "$left" ] || fail "something is left: $left" 'it should have gone with the last env'
}

say "$COUNT envs, Linux $(uname -r), $(nproc) processors"
make_system "$scratch/tree"
unshare --net sleep infinity &
machine=$!
until [ "$(readlink "/proc/$machine/ns/net")" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.1; done
on_machine ip link set lo up
"$BYREF" init --shards 2 >/dev/null
"$BYREF" template import crowd "$scratch/tree" --kind os >/dev/null
timed "created" "$BYREF" create e --count "$COUNT" --os crowd --set 'init=sleep infinity'

memory=$(available_kib)
first=1
started=0
while [ "$first" -le "$COUNT" ]; do
  size=$([ "$first" = 1 ] && echo "$FEW" || echo "$BATCH")
  last=$((first + size - 1 < COUNT ? first + size - 1 : COUNT))
  from=$(now_ms)
  timed "e$first to e$last started" byref start $(names "$first" "$last")
  started=$((started + $(now_ms) - from))
  [ "$first" != 1 ] || tell "one env is started, with $FEW running" "$(start_one e1) ms"
  first=$((last + 1))
done
tell "all started" "$(seconds "$started")"
tell "one env is started, with $COUNT running" "$(start_one e1) ms"
used=$(((memory - $(available_kib))))
tell "memory of all" "$((used / 1024)) MiB"
tell "memory of each" "$((used / COUNT)) KiB"
tell "bridges" "$(on_machine ip -o link show type bridge | wc -l)"
byref list -o name,address | awk 'NR > 1 { print $1, $2 }' >"$scratch/addresses"
timed "they reach each other" ask_each_other
full=$(table_fulls)
timed "each is sent something" call_all
tell "times that the ARP table was full" "$(($(table_fulls) - full))"
timed "all stopped" byref stop --all --fast
expect_nothing_left
say 'nothing is left'
