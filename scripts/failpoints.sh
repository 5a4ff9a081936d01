#!/usr/bin/env bash
# Kills every verb, and drivers during every kind of write, at each of their failpoints, and prints all failpoints of the source with how
# often each was passed, and how often something was killed or failed there.
#
#   failpoints.sh [--some] [VITEST-ARGUMENTS]    --some: as the suite does, where a third of them is tried
#
# Exit codes: as test.sh; 1 also if a failpoint was never hit.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [ "${1:-}" = --some ]; then shift; else export BYREF_SOAK=1; fi
BYREF_FAILPOINT_HITS=$(mktemp)
export BYREF_FAILPOINT_HITS
trap 'rm -f "$BYREF_FAILPOINT_HITS"' EXIT

# All tests that arm one, and those that come by one that no other comes by.
mapfile -t FILES < <(grep -rlE 'BYREF_FAILPOINT|armFailpoint|runKilledAt|KILL_STEP' test --include='*.test.ts')
FILES+=(test/patch/crash-stages.test.ts test/damage/store.test.ts test/damage/scrub.test.ts test/env/formats.test.ts test/env/unwritten.test.ts test/run/network.test.ts)
status=0
LIMIT=12h bash scripts/test.sh "${FILES[@]}" "$@" || status=$?

echo
node --import tsx scripts/failpoint-hits.ts "$BYREF_FAILPOINT_HITS" || status=1
exit "$status"
