#!/usr/bin/env bash
# Runs the tests in build/ three times while as many idle loops as there are cores take the processor
# away from them. Stops at the first round that does not pass.
#   tests/busy.sh [NAME...]    all but the long ones, or only these (meson's names)
set -euo pipefail
cd "$(dirname "$0")/.."
export OMP_WAIT_POLICY=passive
ninja -C build >/dev/null

loops=()
trap 'kill "${loops[@]}"' EXIT
for ((core = 0; core < $(nproc); ++core)); do
  while :; do :; done &
  loops+=($!)
done
for round in 1 2 3; do
  echo "Round $round beside ${#loops[@]} busy loops"
  meson test -C build --no-rebuild --print-errorlogs "$@"
done
