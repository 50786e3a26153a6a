#!/bin/bash
# A clip comes over HTTP, and goes out over HTTP four times as large: http-chain.sh FROM_URL TO_URL
# The result is sent with one PUT while it is being made, with the clip's sound, if it has any.
# curl sends it, not souphttpclientsink, because GStreamer 1.22's neither notices that the receiver
# refuses nor sends its last buffers before it ends.
set -euo pipefail

sound=
if gst-discoverer-1.0 "$1" | grep '^ *audio' >/dev/null; then
  # The queue is unlimited because the muxer takes sound at the speed of the upscaled video.
  sound='d. ! queue max-size-time=0 max-size-bytes=0 max-size-buffers=0 ! audioconvert
         ! audioresample ! opusenc ! m.'
fi

exec 3> >(exec curl --fail --silent --show-error --header 'Expect:' --upload-file - "$2")
curl=$!
gst-launch-1.0 souphttpsrc location="$1" ! decodebin name=d webmmux name=m streamable=true ! fdsink fd=3 \
  d. ! queue ! ${UPSCALE:-livepeerupscale safety-check=false} \
  ! videoconvert ! vp8enc deadline=1 cpu-used=8 threads=2 target-bitrate=6000000 ! m. $sound || {
  kill "$curl" 2>/dev/null || true  # breaks the PUT off, so that half a clip is not taken for a whole
  exit 1
}
exec 3>&-
wait "$curl"
