#!/usr/bin/env bash
# Installs what is missing, builds, and upscales x4 with the embedded model, on the CPU:
#   examples/quickstart.sh           the sample picture and the sample clip
#   examples/quickstart.sh FILE      that picture or clip instead
# The results and a before/after picture are written to build/quickstart/.
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
upscale="livepeerupscale seed=1 safety-check=false"

run() {
  echo
  echo "$*"
  # shellcheck disable=SC2294 # the printed line is what a user types: it is parsed as the shell does
  eval "$@"
}

describe() { gst-discoverer-1.0 "$1" 2>/dev/null; }

upscale_picture() {
  run "gst-launch-1.0 -q filesrc location='$1' ! decodebin" \
    "! $upscale ! videoconvert ! pngenc snapshot=true ! filesink location='$2'"
}

# Sound is kept in sync: both streams go through the same muxer with their own timestamps.
upscale_clip() {
  local sound=
  if describe "$1" | grep -q '^ *audio'; then
    sound="d. ! queue max-size-time=0 max-size-bytes=0 max-size-buffers=0 ! audioconvert ! audioresample ! opusenc ! m."
  fi
  run "gst-launch-1.0 filesrc location='$1' ! decodebin name=d webmmux name=m ! filesink location='$2'" \
    "d. ! queue ! $upscale ! progressreport update-freq=2 ! videoconvert" \
    "! vp8enc deadline=1 cpu-used=8 threads=2 target-bitrate=6000000 ! m. $sound"
}

# Input by nearest neighbour, Lanczos, ours; side by side, at the size of the result.
before_after() {
  local width height
  read -r width height < <(describe "$2" | awk '/Width:/ {w=$2} /Height:/ {h=$2} END {print w, h}')
  local size="video/x-raw,width=$width,height=$height"
  run "gst-launch-1.0 -q compositor name=c sink_1::xpos=$width sink_2::xpos=$((2 * width))" \
    "! videoconvert ! pngenc snapshot=true ! filesink location='$3'" \
    "filesrc location='$1' ! decodebin ! videoconvert ! tee name=t" \
    "t. ! queue ! videoscale method=nearest-neighbour ! $size ! c.sink_0" \
    "t. ! queue ! videoscale method=lanczos ! $size ! c.sink_1" \
    "filesrc location='$2' ! pngdec ! videoconvert ! c.sink_2"
}

picture=examples/samples/mountain.png
clip=examples/samples/cockatoo.mp4
if [ $# -gt 0 ]; then
  file=$(cd "$caller" && realpath -e "$1")
  picture='' clip=''
  case $(gst-typefind-1.0 "$file" | sed 's/.* - //') in
    image/*) picture=$file ;;
    *) clip=$file ;;
  esac
fi

if [ -n "$picture" ]; then
  name=$(basename "${picture%.*}")
  upscale_picture "$picture" "$out/$name-x4.png"
  before_after "$picture" "$out/$name-x4.png" "$out/$name-before-after.png"
fi
if [ -n "$clip" ]; then
  upscale_clip "$clip" "$out/$(basename "${clip%.*}")-x4.webm"
fi
rm -f "$GST_REGISTRY"
echo
echo "Written:"
ls "$out"/*
