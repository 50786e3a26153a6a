#!/bin/sh
# Segments in, segments out: segments.sh 'in-*.webm' 'out-%03d.webm'. Ctrl-C ends the last one.
set -eu
exec gst-launch-1.0 -e splitmuxsrc location="$1" ! decodebin ! queue \
  ! ${UPSCALE:-livepeerupscale safety-check=false} \
  ! queue ! videoconvert ! vp8enc deadline=1 cpu-used=8 threads=2 keyframe-max-dist=20 target-bitrate=6000000 \
  ! splitmuxsink async-finalize=true muxer-factory=webmmux max-size-time=1000000000 location="$2"
