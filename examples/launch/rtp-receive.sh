#!/bin/sh
# Receives Motion JPEG over RTP, upscales, writes WebM: rtp-receive.sh PORT OUT.webm. Ctrl-C ends the file.
# VP8 has black at 16 and white at 235, JPEG at 0 and 255.
set -eu
exec gst-launch-1.0 -e udpsrc port="$1" caps="application/x-rtp,media=video,encoding-name=JPEG,payload=26,clock-rate=90000" \
  ! rtpjitterbuffer latency=200 ! rtpjpegdepay ! jpegdec ! queue max-size-time=0 max-size-bytes=0 max-size-buffers=600 \
  ! ${UPSCALE:-livepeerupscale safety-check=false} \
  ! queue ! videoconvert ! video/x-raw,format=I420,colorimetry=bt601 \
  ! vp8enc deadline=1 cpu-used=8 threads=2 target-bitrate=6000000 ! webmmux ! filesink location="$2"
