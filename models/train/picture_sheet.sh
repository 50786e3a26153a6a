#!/usr/bin/env bash
# Draws the model card's pictures: details of the samples (photo, face, text, drawing, compressed
# video), enlarged by nearest neighbour, Lanczos, the snapshot at 1 step and at more steps.
#
#   models/train/picture_sheet.sh SNAPSHOT STEPS RESULT.jpg
#
# Needs the built plugin: run it inside `meson devenv -C build`.
set -euo pipefail
snapshot=$(realpath "$1") steps=$2 result=$(realpath "$3")
cd "$(dirname "$0")/../../examples/samples"
width=96 height=64 factor=4
size=video/x-raw,width=$((width * factor)),height=$((height * factor))

pads='' branches='' count=0
# One row of the sheet: FILE WIDTH HEIGHT, and LEFT TOP of the detail.
row() {
  local file=$1 right=$(($2 - $4 - width)) bottom=$(($3 - $5 - height)) column
  local tee=t$count
  branches+=" filesrc location=$file ! decodebin ! videoconvert ! video/x-raw,format=RGB"
  branches+=" ! videocrop left=$4 top=$5 right=$right bottom=$bottom ! tee name=$tee"
  for column in "videoscale method=nearest-neighbour" "videoscale method=lanczos" \
    "livepeerupscale model=$snapshot safety-check=false steps=1" \
    "livepeerupscale model=$snapshot safety-check=false steps=$steps seed=1"; do
    branches+=" $tee. ! queue ! $column ! $size ! sheet.sink_$count"
    pads+=" sink_$count::xpos=$((count % 4 * width * factor))"
    pads+=" sink_$count::ypos=$((count / 4 * height * factor))"
    count=$((count + 1))
  done
}
row dandelion.jpg 320 180 110 40
row astronaut.png 160 160 30 10
row cat.png 224 148 60 30
row visual-novel.png 320 180 130 30
row window-text.png 320 180 186 8
row cockatoo.mp4 320 180 40 70
# shellcheck disable=SC2086 # lists of words
gst-launch-1.0 -q compositor name=sheet $pads ! videoconvert ! jpegenc quality=80 snapshot=true \
  ! filesink location="$result" $branches
