#!/usr/bin/env bash
# The version of meson.build is that of all that repeats it.
#   versions.sh SOURCE_FOLDER VERSION
set -euo pipefail
cd "$1"
version=$2
failures=0
same() { # WHERE WHAT
  [ "$2" = "$version" ] || { echo "$1 says ${2:-nothing}, meson.build $version"; failures=1; }
}
same CHANGELOG.md "$(sed -n 's/^## \([0-9][0-9.]*\)$/\1/p' CHANGELOG.md | head -n 1)"
same debian/changelog "$(sed -n '1s/.*(\(.*\)).*/\1/p' debian/changelog)"
same examples/livepeer-runner/runners.json \
  "$(sed -n 's/.*"version": "\(.*\)".*/\1/p' examples/livepeer-runner/runners.json)"
exit $failures
