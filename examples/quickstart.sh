#!/usr/bin/env bash
# Installs what is missing, builds, and upscales x4 with the embedded model, on the CPU:
#   examples/quickstart.sh           the sample picture and the sample clip
#   examples/quickstart.sh FILE      that picture or clip instead
# The results, and of the sample a before/after picture, are written to build/quickstart/.
set -euo pipefail
caller=$PWD
cd "$(dirname "$0")/.."
./setup.sh run

out=build/quickstart
mkdir -p "$out"
export GST_PLUGIN_PATH=$PWD/build/plugin${GST_PLUGIN_PATH:+:$GST_PLUGIN_PATH}
export GST_REGISTRY=$PWD/build/quickstart/registry.bin
export LIVEPEER_UPSCALE_ENGINE=$PWD/build/models/liblivepeer-engine.so
export LIVEPEER_UPSCALE_MODELS=$PWD/models

upscale() {
  set -- build/examples/upscale-file/livepeer-upscale --overwrite --no-safety-check --seed 1 -- "$@"
  echo
  printf '%q ' "$@"
  echo
  "$@"
}

# Input by nearest neighbour, Lanczos, ours; side by side, at the size of the result.
before_after() {
  local width height
  read -r width height < <(gst-discoverer-1.0 "$2" | awk '/Width:/ {w=$2} /Height:/ {h=$2} END {print w, h}')
  local size="video/x-raw,width=$width,height=$height"
  gst-launch-1.0 -q compositor name=c sink_1::xpos="$width" sink_2::xpos=$((2 * width)) \
    ! videoconvert ! pngenc snapshot=true ! filesink location="$3" \
    filesrc location="$1" ! decodebin ! videoconvert ! tee name=t \
    t. ! queue ! videoscale method=nearest-neighbour ! "$size" ! c.sink_0 \
    t. ! queue ! videoscale method=lanczos ! "$size" ! c.sink_1 \
    filesrc location="$2" ! pngdec ! videoconvert ! c.sink_2
}

if [ $# -gt 0 ]; then
  # A full name neither begins with a dash nor means something else here.
  case $1 in /*) file=$1 ;; *) file=$caller/$1 ;; esac
  upscale "$file" "$out/"
else
  upscale examples/samples/mountain.png "$out/mountain-x4.png"
  before_after examples/samples/mountain.png "$out/mountain-x4.png" "$out/mountain-before-after.png"
  upscale examples/samples/cockatoo.mp4 "$out/cockatoo-x4.webm"
fi
rm -f "$GST_REGISTRY"
echo
echo "Written:"
ls "$out"/*
