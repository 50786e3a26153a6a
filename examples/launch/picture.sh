#!/bin/sh
# One picture: picture.sh IN OUT.png
set -eu
exec gst-launch-1.0 filesrc location="$1" ! decodebin \
  ! ${UPSCALE:-livepeerupscale safety-check=false} \
  ! videoconvert ! pngenc snapshot=true ! filesink location="$2"
