#!/usr/bin/env bash
# Patches and rollbacks under readers, and overlays in envs while the kernel drops names: many times as many rounds as
# scripts/test.sh has time for.
#
#   soak.sh [TIMES] [VITEST-ARGUMENTS]    20 times, if not told
#
# Exit codes: as test.sh.
set -euo pipefail
TIMES=${1:-20}
shift || true
LIMIT=12h BYREF_SOAK=$TIMES exec bash "$(dirname "${BASH_SOURCE[0]}")/test.sh" \
  test/patch/flip.test.ts test/env/overlays.test.ts "$@"
