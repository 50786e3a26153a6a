#!/bin/sh
# A live source at 25 frames per second: live.sh [SINK]. What would come too late is plainly scaled.
set -eu
exec gst-launch-1.0 videotestsrc is-live=true pattern=ball num-buffers="${FRAMES:-250}" \
  ! video/x-raw,width=160,height=90,framerate=25/1 ! videoconvert \
  ! ${UPSCALE:-livepeerupscale safety-check=false late-policy=scale latency=200000000 max-in-flight=4} \
  ! videoconvert ! ${1:-autovideosink}
