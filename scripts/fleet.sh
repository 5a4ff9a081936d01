#!/usr/bin/env bash
# Patches many Debian envs while they serve: each with systemd and nginx, the first with PostgreSQL besides, all reached through the
# network. Says what each step took: they start together, are patched, what is stale is restarted, they answer; and the way back.
#
#   fleet.sh [ENVS]    50 envs, if not told
#
# Exit codes: as test.sh.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

COUNT=${1:-50}
INOTIFY=fs.inotify.max_user_instances
INOTIFY_PER_ENV=5 # an env with systemd and nginx; those of all envs count as root's, too
INOTIFY_LEFT=64   # for the machine's own programs

[[ $COUNT =~ ^[1-9][0-9]*$ ]] || fail "not a number of envs: $COUNT" 'usage: fleet.sh [ENVS]'
wanted=$((COUNT * INOTIFY_PER_ENV + INOTIFY_LEFT))
[ "$(sysctl -n "$INOTIFY")" -ge "$wanted" ] ||
  cannot "$INOTIFY is $(sysctl -n "$INOTIFY"), and $COUNT envs with systemd need $wanted" "sysctl -w $INOTIFY=8192"

report=$(mktemp)
trap 'rm -f "$report"' EXIT
status=0
BYREF_FLEET=$COUNT BYREF_FLEET_REPORT=$report bash "$TREE/scripts/test.sh" test/run/fleet.test.ts || status=$?
say '' "$COUNT envs"
awk -F '|' '{ printf "  %-12s %10s\n", $1, $2 }' "$report"
exit "$status"
