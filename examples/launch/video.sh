#!/bin/sh
# A clip without sound: video.sh IN OUT.webm. No videorate: every frame keeps its own timestamp.
set -eu
exec gst-launch-1.0 filesrc location="$1" ! decodebin \
  ! ${UPSCALE:-livepeerupscale safety-check=false} \
  ! videoconvert ! vp8enc deadline=1 cpu-used=8 threads=2 target-bitrate=6000000 \
  ! webmmux ! filesink location="$2"
