#!/bin/sh
# Motion JPEG over RTP to this machine, at the clip's own speed: rtp-send.sh PORT IN. JPEG's black is 0 and
# its white 255, and jpegenc takes numbers as they are.
set -eu
exec gst-launch-1.0 filesrc location="$2" ! decodebin ! queue ! videoconvert \
  ! video/x-raw,format=I420,colorimetry=1:4:0:0 ! jpegenc \
  ! rtpjpegpay ! udpsink host=127.0.0.1 port="$1" sync=true
