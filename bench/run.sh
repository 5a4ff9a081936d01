#!/usr/bin/env bash
# Sets up what the benchmark needs, then runs it; arguments go to bench/main.ts (see --help).
set -euo pipefail
cd "$(dirname "$0")/.."

if [[ $EUID -ne 0 ]]; then
  echo 'bench: mounting needs root: run it as root' >&2
  exit 1
fi
[[ -x bin/byref && -d node_modules ]] || bash scripts/setup.sh

declare -A PACKAGE=([fuse-overlayfs]=fuse-overlayfs [mkfs.xfs]=xfsprogs [mkfs.ext4]=e2fsprogs
  [gcc]=gcc [git]=git [sqlite3]=sqlite3 [podman]=podman [rsync]=rsync [sshd]=openssh-server [ssh-keygen]=openssh-client)
missing=()
for program in "${!PACKAGE[@]}"; do
  command -v "$program" >/dev/null || missing+=("${PACKAGE[$program]}")
done
if ((${#missing[@]})); then
  echo "bench: installing ${missing[*]}"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${missing[@]}" >/dev/null
fi
exec node --import tsx bench/main.ts "$@"
