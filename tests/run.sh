#!/usr/bin/env bash
# Installs what is missing, builds into build/, runs every test; ends with meson's summary.
#   tests/run.sh                    all of it
#   tests/run.sh NAME...            only these tests (meson's names)
#   tests/run.sh --sanitize KIND    the torch-free tests under the address or thread sanitizer
set -euo pipefail
cd "$(dirname "$0")/.."
# A busy machine and spin-waiting threads do not go together.
export OMP_WAIT_POLICY=passive

./setup.sh test
if [ "${1:-}" = --sanitize ]; then
  kind=${2:?usage: tests/run.sh --sanitize address|thread}
  [ -f "build-$kind/build.ninja" ] ||
    meson setup "build-$kind" -Db_sanitize="$kind" -Db_lundef=false --buildtype=debugoptimized
  ninja -C "build-$kind" torch-free
  exec meson test -C "build-$kind" --no-rebuild --suite torch-free --print-errorlogs --timeout-multiplier 5
fi
exec meson test -C build --print-errorlogs "$@"
