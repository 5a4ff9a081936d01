#!/usr/bin/env bash
# Makes a checkout ready to run on Debian: packages, npm modules, the native add-on, the bundle.
#
#   setup.sh [--demo] [--test] [--bench]    also what the demo, the tests, the benchmark need
#
# Does only what is not done yet. Exit codes: 0 ready, 1 a step failed, 8 this machine can't.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

BUILD_PACKAGES=(python3 make g++)
RUN_PACKAGES=(ca-certificates mount procps tar gzip xz-utils zstd libfuse2 util-linux diffutils e2fsprogs
  runc catatonit golang-github-containers-common containernetworking-plugins iptables iproute2 dnsmasq-base)
DEMO_PACKAGES=(mmdebstrap gpg)
TEST_PACKAGES=("${DEMO_PACKAGES[@]}" acl age attr btrfs-progs gcc git gnupg libc6-dev openssh-client openssh-server restic rsync sqlite3 xfsprogs)
BENCH_PACKAGES=(fuse-overlayfs gcc git libc6-dev openssh-client openssh-server rsync sqlite3 xfsprogs)

main() {
  local packages=("${BUILD_PACKAGES[@]}" "${RUN_PACKAGES[@]}") with_criu=''
  for option; do
    case $option in
      --demo) packages+=("${DEMO_PACKAGES[@]}") ;;
      --test) packages+=("${TEST_PACKAGES[@]}") with_criu=1 ;;
      --bench) packages+=("${BENCH_PACKAGES[@]}") ;;
      *) fail "unknown option $option" 'usage: setup.sh [--demo] [--test] [--bench]' ;;
    esac
  done
  check_machine
  mkdir -p "$SETUP_DIR"
  # Two set-ups of one tree at once would build into each other's files.
  exec 9>"$SETUP_DIR/lock"
  flock 9
  cd "$TREE"
  debian_packages "${packages[@]}"
  npm_modules
  native_addon native build:native
  native_addon test/syscalls build:test-native
  bundle
  [ -z "$with_criu" ] || criu_program
  exec 9>&-
}

debian_packages() {
  local missing=()
  for package; do
    installed "$package" || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  command -v apt-get >/dev/null ||
    cannot "not a Debian machine, and it lacks some of: ${missing[*]}" 'install what these packages hold, by hand.'
  say "installing Debian packages: ${missing[*]}"
  quietly apt-update apt_retry update ||
    fail 'apt-get update failed' 'check the network and /etc/apt, then run this again.'
  trap allow_services EXIT
  forbid_services
  quietly apt-install apt_retry install --yes --no-install-recommends "${missing[@]}" ||
    fail 'installing Debian packages failed' "see $SETUP_DIR/apt-install.log"
  allow_services
  trap - EXIT
}

# Debian 13 renamed some libraries to NAMEt64; the old name still installs them.
installed() {
  [ "$(dpkg-query --show --showformat '${db:Status-Status}' "$1" 2>/dev/null)" = installed ] ||
    [ "$(dpkg-query --show --showformat '${db:Status-Status}' "$1t64" 2>/dev/null)" = installed ]
}

apt_retry() {
  local try
  for try in 1 2 3; do
    DEBIAN_FRONTEND=noninteractive apt-get -o Acquire::Retries=3 -o DPkg::Lock::Timeout=120 \
      -o Dpkg::Options::=--force-confold "$@" && return
    sleep $((try * 2))
  done
  return 1
}

# Packages such as rsync may start a service when they are installed; we want the programs only.
POLICY=/usr/sbin/policy-rc.d

forbid_services() {
  [ ! -e $POLICY ] || return 0
  printf '#!/bin/sh\n# by byref setup.sh, while it installs packages\nexit 101\n' >$POLICY
  chmod 755 $POLICY
}

allow_services() {
  if grep -qs 'by byref setup.sh' $POLICY; then rm -f $POLICY; fi
}

npm_modules() {
  node scripts/modules-current.mjs && return
  say 'installing npm modules'
  # Our own postinstall is the next step here, with its output kept; no other package needs its scripts.
  quietly npm-ci npm ci --ignore-scripts ||
    quietly npm-install npm install --no-save --ignore-scripts ||
    fail 'installing npm modules failed' "check the network and npm's registry; see $SETUP_DIR/npm-install.log"
}

# native_addon DIRECTORY SCRIPT: builds it if a source is newer than what was built.
native_addon() {
  local directory=$1 built=''
  if [ -d "$directory/build/Release" ]; then
    built=$(find "$directory/build/Release" -maxdepth 1 -name '*.node' -print -quit)
  fi
  if [ -n "$built" ] && [ -z "$(newer_than "$built" "$directory" -not -path '*/build/*')" ]; then
    return
  fi
  say "building $directory"
  # Node's headers come with Node's own archives and images; without them, node-gyp fetches them.
  local prefix
  prefix=$(dirname "$(dirname "$(readlink -f "$(command -v node)")")")
  if [ -e "$prefix/include/node/node_api.h" ]; then export npm_config_nodedir=$prefix; fi
  quietly "$(basename "$directory")-build" npm run "$2" ||
    fail "building $directory failed" "see $SETUP_DIR/$(basename "$directory")-build.log"
}

# newer_than FILE DIRECTORY FIND-TESTS...: files that changed after FILE was made.
newer_than() {
  local file=$1 directory=$2
  shift 2
  find "$directory" -type f -newer "$file" "$@"
}

bundle() {
  local built=dist/cli/main.cjs
  if [ -e $built ] && [ -z "$(newer_than $built src)$(newer_than $built scripts/bundle.mjs)" ]; then
    return
  fi
  say 'bundling'
  quietly bundle node scripts/bundle.mjs || fail 'bundling failed' "see $SETUP_DIR/bundle.log"
}

# Debian 12 and 13 have a CRIU that fails at any socket on Linux 6.16 and later: the next Debian's runs with its own libraries beside it.
MIN_CRIU=4.2
NEXT_DEBIAN=forky

criu_program() {
  local version place=$SETUP_DIR/criu mirror
  version=$(criu --version 2>/dev/null | sed -n 's/^Version: //p' || true)
  if at_least "${version:-0}" "$MIN_CRIU" || [ -x "$place/criu" ]; then return; fi
  say 'fetching CRIU'
  mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | sed -n 1p)
  rm -rf "$place"
  mkdir -p "$place"
  # An archive that stands still, as some machines have, says that it is out of date.
  quietly criu mmdebstrap --variant=extract --include=criu --aptopt='Acquire::Check-Valid-Until "false"' \
    "$NEXT_DEBIAN" "$place/tree" "$mirror" || {
    say "note: CRIU $MIN_CRIU can't be had here: its tests are skipped; see $SETUP_DIR/criu.log"
    return 0
  }
  cat >"$place/criu" <<'EOF'
#!/bin/sh
tree=$(dirname "$0")/tree
libraries=$tree/usr/lib/x86_64-linux-gnu
exec "$libraries/ld-linux-x86-64.so.2" --library-path "$libraries" "$tree/usr/sbin/criu" "$@"
EOF
  chmod +x "$place/criu"
}

main "$@"
