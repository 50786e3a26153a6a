#!/bin/sh
# A clip without sound: video.sh IN OUT.webm. No videorate: every frame keeps its own timestamp. Ctrl-C
# ends the file.
set -eu
exec gst-launch-1.0 -e filesrc location="$1" ! decodebin ! videoflip video-direction=auto ! queue \
  ! ${UPSCALE:-livepeerupscale safety-check=false} \
  ! queue ! videoconvert ! vp8enc deadline=1 cpu-used=8 threads=2 target-bitrate=6000000 \
  ! webmmux ! filesink location="$2"
