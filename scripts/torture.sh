#!/usr/bin/env bash
# Writers in envs that check all they do, while drivers are killed and upgraded, and templates patched and rolled back: for
# longer than scripts/test.sh has time for. Prints what was survived.
#
#   torture.sh [--minutes N]    2, if not told
#
# Exit codes: as test.sh.
set -euo pipefail
MINUTES=2
if [ "${1:-}" = --minutes ]; then MINUTES=$2; fi
LIMIT=$((MINUTES + 30))m BYREF_TORTURE_MINUTES=$MINUTES exec bash "$(dirname "${BASH_SOURCE[0]}")/test.sh" test/torture --silent=false
