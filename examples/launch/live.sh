#!/bin/sh
# A live source at 25 frames per second: live.sh [SINK]. What would come too late is plainly scaled.
# The first queue keeps the source from waiting for the model, the second the model for the sink; the
# pipeline's latency is what the model is measured to take.
set -eu
exec gst-launch-1.0 videotestsrc is-live=true pattern=ball num-buffers="${FRAMES:-250}" \
  ! video/x-raw,format=I420,width=160,height=90,framerate=25/1 ! queue \
  ! ${UPSCALE:-livepeerupscale safety-check=false late-policy=scale max-in-flight=4} \
  ! queue ! videoconvert ! ${1:-autovideosink}
