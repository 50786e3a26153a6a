#!/bin/sh
# Motion JPEG over RTP to this machine, at the clip's own speed: rtp-send.sh PORT IN
set -eu
exec gst-launch-1.0 filesrc location="$2" ! decodebin ! videoconvert ! jpegenc \
  ! rtpjpegpay ! udpsink host=127.0.0.1 port="$1" sync=true
