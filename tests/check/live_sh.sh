#!/bin/sh
# The line for live sources, as it is shipped: an engine that is faster than the source infers at
# least half of its frames, and every frame leaves.
#   live_sh.sh SCRIPT
set -eu
log=$(mktemp)
trap 'rm -f "$log"' EXIT
export FRAMES=75 FAKE_STEP_MILLISECONDS=25
GST_DEBUG=livepeerupscale:LOG GST_DEBUG_NO_COLOR=1 GST_DEBUG_FILE=$log "$1" "fakesink sync=true"
left=$(grep -c 'leaves:' "$log" || true)
inferred=$(grep -c 'leaves:.* inferred' "$log" || true)
echo "$left of $FRAMES frames left, $inferred inferred"
[ "$left" -eq "$FRAMES" ] && [ $((2 * inferred)) -ge "$FRAMES" ]
