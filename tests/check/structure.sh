#!/bin/sh
# Section A: what may include, link and export what.
#   structure.sh SOURCE_ROOT PLUGIN HELPER_LIBRARY LOOPS..., archives of the kernels' inner loops
set -eu
plugin=$(realpath -e "$2")
library=$(realpath -e "$3")
root=$1
shift 3
loops=$(realpath -e "$@")
cd "$root"
failures=0
expect_none() { # name, what was found
  if [ -n "$2" ]; then
    printf '%s:\n%s\n' "$1" "$2"
    failures=$((failures + 1))
  fi
}
sources() { find "$@" -name '*.h' -o -name '*.c' -o -name '*.cpp'; }

expect_none "A1 the engine includes GStreamer" "$(sources models | xargs grep -nE '#include [<"]gst/' || true)"
expect_none "A1 torch in a room that knows none" \
  "$(sources models/runtime models/io models/text models/kernels/*_loops.* | xargs grep -nE '#include [<"](torch|ATen|c10)/' || true)"
# The floors of the engine, top to bottom: what is included lies on the same one or below.
expect_none "A1 an include that runs up the house" "$(sources models | xargs grep -nE '#include "[a-z]+/' | awk -F'[/:"]' '
  BEGIN {
    split("train diffusion safety nn weights kernels text io runtime", rooms, " ")
    for (floor in rooms) floor_of[rooms[floor]] = floor
  }
  floor_of[$2] + 0 > 0 {
    match($0, /#include "[a-z]+\//)
    included = substr($0, RSTART + 10, RLENGTH - 11)
    if (!(included in floor_of) || floor_of[included] + 0 < floor_of[$2] + 0) print
  }')"
expect_none "A1 torch outside the engine" \
  "$(sources gst plugin examples | xargs grep -nE '#include [<"](torch|ATen|c10)/' || true)"
expect_none "A1 the helper library or the plugin links torch" \
  "$(readelf -d "$library" "$plugin" | grep -E 'NEEDED.*(torch|c10)' || true)"
expect_none "A2 a file above 500 lines" \
  "$(sources models gst plugin tests | xargs wc -l | awk '$1 > 500 && $2 != "total"')"
expect_none "A6 exports besides the two entry points" \
  "$(nm -D --defined-only "$plugin" | awk '{ print $3 }' | grep -vxE 'gst_plugin_livepeerupscale_(get_desc|register)' || true)"
expect_none "A6 a missing entry point" \
  "$(for symbol in get_desc register; do nm -D --defined-only "$plugin" | grep -q "gst_plugin_livepeerupscale_$symbol\$" || echo $symbol; done)"
# shellcheck disable=SC2086 # one word an archive
expect_none "a function of a header in loops that are compiled for one level (see models/kernels/loops.h)" \
  "$(nm -C --defined-only $loops | awk '$2 ~ /^[WVu]$/' | grep -vE 'Loops<|(multiply|pack)<' || true)"
expect_none "A7 printing in element, library or engine" \
  "$(sources gst plugin models | grep -v '^models/train/' | xargs grep -nE '\b(printf|fprintf|g_print|g_printerr|puts)\(|std::(cout|cerr)' || true)"
expect_none "A7 a message that is not of the _OBJECT form" \
  "$(sources plugin | xargs grep -nE '\bGST_(ERROR|WARNING|INFO|DEBUG|LOG|TRACE) ?\(' || true)"
expect_none "A8 a vfunc without GST_DEBUG_FUNCPTR" \
  "$(sources plugin | xargs grep -nE '(trans|element|filter)_class->[a-z_]+ = [a-z]' | grep -vE 'passthrough_on_same_caps' || true)"
echo "$failures of 12 checks failed"
exit $((failures > 0))
