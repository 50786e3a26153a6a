#!/bin/sh
# One picture, upright: picture.sh IN OUT.png
set -eu
exec gst-launch-1.0 -e filesrc location="$1" ! decodebin ! videoflip video-direction=auto \
  ! ${UPSCALE:-livepeerupscale safety-check=false} \
  ! videoconvert ! pngenc snapshot=true ! filesink location="$2"
