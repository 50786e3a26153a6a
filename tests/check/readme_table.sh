#!/bin/sh
# B5: the README's property table is what the element says.
#   readme_table.sh PROGRAM README           compares
#   readme_table.sh PROGRAM README --write   writes the table into the README
set -eu
table=$(mktemp)
trap 'rm -f "$table" "$table.readme"' EXIT
"$1" > "$table"
sed -e '/^<!-- properties -->$/,/^<!-- \/properties -->$/{//!d}' \
    -e "/^<!-- properties -->\$/r $table" "$2" > "$table.readme"
if [ "${3:-}" = --write ]; then
  cat "$table.readme" > "$2"
else
  diff -u "$2" "$table.readme" ||
    { echo "run: tests/check/readme_table.sh build/tests/check/property_table README.md --write"; exit 1; }
fi
