#!/usr/bin/env bash
# Installs what is missing, builds into build/, runs every test; ends with meson's summary.
#   tests/run.sh                    all of it, but for the long ones
#   tests/run.sh NAME...            only these tests (meson's names)
#   tests/run.sh --long             what takes hours: the suite `long`, then all of it on a busy machine
#   tests/run.sh --long NAME...     only these tests of the suite `long`
#   tests/run.sh --sanitize KIND    the torch-free tests under the address or thread sanitizer
set -euo pipefail
cd "$(dirname "$0")/.."
# A busy machine and spin-waiting threads do not go together.
export OMP_WAIT_POLICY=passive

./setup.sh test
case ${1:-} in
  --sanitize)
    kind=${2:?usage: tests/run.sh --sanitize address|thread}
    [ -f "build-$kind/build.ninja" ] ||
      meson setup "build-$kind" -Db_sanitize="$kind" -Db_lundef=false --buildtype=debugoptimized
    ninja -C "build-$kind" torch-free
    exec meson test -C "build-$kind" --no-rebuild --suite torch-free --print-errorlogs --timeout-multiplier 10
    ;;
  --long)
    shift
    meson test -C build --setup long --suite long --print-errorlogs "$@"
    [ $# -gt 0 ] || exec tests/busy.sh
    ;;
  *) exec meson test -C build --print-errorlogs "$@" ;;
esac
