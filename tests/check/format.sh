#!/bin/sh
# Whether the C and C++ sources are laid out as .clang-format says. One version decides, as each lays
# out a little differently: where that one is missing the test is skipped.
#   format.sh SOURCE_ROOT
set -eu
cd "$1"
formatter=clang-format-14
if ! command -v $formatter >/dev/null; then
  echo "skipped: $formatter is not installed"
  exit 77
fi
find models gst plugin examples tests \( -name '*.h' -o -name '*.c' -o -name '*.cpp' \) \
  -exec $formatter --dry-run -Werror {} + ||
  { echo "run: git ls-files '*.h' '*.c' '*.cpp' | xargs $formatter -i"; exit 1; }
