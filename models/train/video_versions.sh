#!/bin/sh
# video_versions.sh IN OUT CRF...
#
# Sends every PNG picture of the folder IN through H.264 as a key frame and writes what comes out to
# OUT under the same name. The pictures take the rate factors CRF (18: hardly a loss, 32: a poor
# stream) by turns. Needs x264 and GStreamer's libav plugin. By ARGB64, as videoconvert's short cut
# from I420 to 8-bit RGB darkens by 3 levels.
set -eu
in=$1 out=$2
shift 2
mkdir -p "$out"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
for picture in "$in"/*.png; do
  gst-launch-1.0 -q filesrc location="$picture" ! pngdec ! videoconvert \
    ! video/x-raw,format=I420,colorimetry=bt601 ! y4menc ! filesink location="$scratch/picture.y4m"
  x264 --quiet --crf "$1" -o "$scratch/picture.mkv" "$scratch/picture.y4m" 2> /dev/null
  gst-launch-1.0 -q filesrc location="$scratch/picture.mkv" ! matroskademux ! avdec_h264 \
    ! videoconvert ! video/x-raw,format=ARGB64 ! videoconvert ! video/x-raw,format=RGB ! pngenc \
    ! filesink location="$out/$(basename "$picture")"
  set -- "$@" "$1"
  shift
done
