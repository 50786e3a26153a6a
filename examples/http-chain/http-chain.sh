#!/bin/bash
# A clip comes over HTTP, and goes out over HTTP four times as large: http-chain.sh FROM_URL TO_URL
# The result is sent with one PUT while it is being made. The clip's sound, if any, is left out.
# curl sends it, not souphttpclientsink, because GStreamer 1.22's neither notices that the receiver
# refuses nor sends its last buffers before it ends.
set -euo pipefail
gst-launch-1.0 souphttpsrc location="$1" ! decodebin expose-all-streams=false caps=video/x-raw \
  ! videoconvert ! ${UPSCALE:-livepeerupscale safety-check=false} \
  ! videoconvert ! vp8enc deadline=1 cpu-used=8 threads=2 target-bitrate=6000000 \
  ! webmmux streamable=true ! fdsink fd=3 3>&1 1>&2 \
  | curl --fail --silent --show-error --header 'Expect:' --upload-file - "$2"
