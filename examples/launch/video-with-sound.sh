#!/bin/sh
# A clip with sound: video-with-sound.sh IN OUT.webm
# The sound's queue is unlimited because the muxer takes it at the speed of the upscaled video.
set -eu
exec gst-launch-1.0 filesrc location="$1" ! decodebin name=d webmmux name=m ! filesink location="$2" \
  d. ! queue \
  ! ${UPSCALE:-livepeerupscale safety-check=false} \
  ! videoconvert ! vp8enc deadline=1 cpu-used=8 threads=2 target-bitrate=6000000 ! m. \
  d. ! queue max-size-time=0 max-size-bytes=0 max-size-buffers=0 ! audioconvert ! audioresample ! opusenc ! m.
