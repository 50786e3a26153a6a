#!/usr/bin/env bash
# How well can the result be read? Sets the README's prose in several typefaces and sizes, shrinks the
# pages four times, enlarges them by Lanczos and by a snapshot with each PROMPT, has tesseract read them
# and prints the share of letters that it reads wrongly.
#
#   models/train/reading_errors.sh SNAPSHOT PROMPT...
#
# Needs tesseract-ocr, gstreamer1.0-x and the built plugin: run it inside `meson devenv -C build`.
set -euo pipefail
snapshot=$(realpath "$1")
shift
cd "$(dirname "$0")/../.."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
width=800 height=640 lines=20 blocks=4  # of prose, by turns

# Letters and spaces only: what is read, not how it is marked up.
sed -n '/^```/,/^```/!p' README.md models/default/README.md | grep -v '^[|#!< ]' |
  tr -cs '[:alpha:]' ' ' | fold -sw 48 >"$scratch/prose.txt"

enlarge() { # NAME ELEMENTS: from low.png to NAME.png
  gst-launch-1.0 -q filesrc location="$page/low.png" ! pngdec ! videoconvert ! "${@:2}" \
    ! "video/x-raw,width=$width,height=$height" ! videoconvert ! pngenc ! filesink location="$page/$1.png"
}

count=0
for typeface in 'DejaVu Sans' 'DejaVu Serif' 'DejaVu Sans Mono'; do
  for pixels in 20 22 24 26; do
    page=$scratch/$count
    mkdir "$page"
    first=$((count % blocks * lines + 1))
    sed -n "$first,$((first + lines - 1))p" "$scratch/prose.txt" >"$page/truth.txt"
    gst-launch-1.0 -q videotestsrc pattern=white num-buffers=1 \
      ! "video/x-raw,format=RGB,width=$width,height=$height" \
      ! textoverlay text="\"$(cat "$page/truth.txt")\"" font-desc="\"$typeface ${pixels}px\"" auto-resize=false \
        color=0xff000000 draw-shadow=false draw-outline=false line-alignment=left \
        halignment=left valignment=top \
      ! videoscale method=catrom ! "video/x-raw,width=$((width / 4)),height=$((height / 4))" \
      ! pngenc ! filesink location="$page/low.png"
    enlarge lanczos videoscale method=lanczos
    for prompt in "$@"; do
      enlarge "prompt-$prompt" livepeerupscale model="$snapshot" prompt="\"$prompt\""
    done
    for result in "$page"/*.png; do
      [ "$result" = "$page/low.png" ] || tesseract "$result" "${result%.png}" --psm 6 2>/dev/null
    done
    count=$((count + 1))
  done
done
python3 models/train/reading_errors.py "$scratch" lanczos "${@/#/prompt-}"
