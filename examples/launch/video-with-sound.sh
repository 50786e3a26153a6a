#!/bin/sh
# A clip with its sound, if it has any: video-with-sound.sh IN OUT.webm. Ctrl-C ends the file.
# The sound's queue is unlimited because the muxer takes it at the speed of the upscaled video.
set -eu
input=$1 output=$2
set --
if gst-discoverer-1.0 "$input" | grep -q '^ *audio'; then
  set -- d. ! queue max-size-time=0 max-size-bytes=0 max-size-buffers=0 ! audioconvert ! audioresample ! opusenc ! m.
fi
exec gst-launch-1.0 -e filesrc location="$input" ! decodebin name=d webmmux name=m ! filesink location="$output" \
  d. ! videoflip video-direction=auto ! queue \
  ! ${UPSCALE:-livepeerupscale safety-check=false} \
  ! queue ! videoconvert ! vp8enc deadline=1 cpu-used=8 threads=2 target-bitrate=6000000 ! m. "$@"
