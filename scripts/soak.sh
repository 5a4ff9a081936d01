#!/usr/bin/env bash
# Patches and rollbacks under readers, overlays in envs while the kernel drops names, and random histories: many times as
# many as scripts/test.sh has time for. Commands that are killed at each of their failpoints, where that tries every third one.
# Damage to what is on disk, 50 cases for each of TIMES, random command lines, and random messages to all sockets: the counts by class
# are printed.
#
#   soak.sh [TIMES] [VITEST-ARGUMENTS]    20 times, if not told
#
# Exit codes: as test.sh.
set -euo pipefail
TIMES=${1:-20}
shift || true
LIMIT=12h BYREF_SOAK=$TIMES FC_RUNS=$((TIMES * 60)) BYREF_PACKAGE_HISTORIES=$TIMES exec bash "$(dirname "${BASH_SOURCE[0]}")/test.sh" \
  test/patch/flip.test.ts test/patch/flip-many.test.ts test/model/model.test.ts test/fs/flips.test.ts test/fs/set-aside.test.ts \
  test/env/overlays.test.ts test/env/unwritten.test.ts test/env/unwritten-no-passthrough.test.ts test/packages/histories.test.ts \
  test/packages/dependency-histories.test.ts test/patch/crash.test.ts test/patch/crash-stages.test.ts test/patch/apps.test.ts \
  test/patch/gc.test.ts test/compose/interrupted.test.ts test/fsck/crashes.test.ts test/packages/crash.test.ts test/packages/dependencies.test.ts \
  test/run/crash.test.ts test/run/volumes.test.ts test/env/clone.test.ts \
  test/suite/limited.test.ts test/suite/no-passthrough.test.ts test/env/full-file-systems.test.ts test/power/patches.test.ts test/power/reordered.test.ts test/damage/fuzz.test.ts test/fuzz --silent=false "$@"
