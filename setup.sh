#!/usr/bin/env bash
# Installs what is missing on Debian 12 or 13 and builds into build/. Does nothing where that is done already.
#   setup.sh run    the plugin and what the quickstart needs
#   setup.sh test   that, and everything the tests need
# Needs root or sudo for the packages only.
set -euo pipefail
cd "$(dirname "$0")"
purpose=${1:?usage: setup.sh run|test}

packages=(
  g++ meson ninja-build pkg-config ca-certificates
  libtorch-dev libopenblas0-pthread nlohmann-json3-dev libglib2.0-dev
  libgstreamer1.0-dev libgstreamer-plugins-base1.0-dev
  gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-base-apps
  gstreamer1.0-plugins-good gstreamer1.0-libav
  libgdk-pixbuf-2.0-dev liblcms2-dev
)
if [ "$purpose" = test ]; then
  packages+=(libgtest-dev libstb-dev libsoup-3.0-dev
             webp-pixbuf-loader curl python3
             gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly ffmpeg imagemagick)
  # The version that decides the layout of the sources; Debian 13 has newer ones only.
  ! grep -q '^VERSION_ID="12"' /etc/os-release || packages+=(clang-format-14)
  # The server's tests drive it with node, the official SDKs and a browser; any installation serves.
  command -v node >/dev/null || packages+=(nodejs)
  command -v npm >/dev/null || packages+=(npm)
  command -v chromium >/dev/null || packages+=(chromium)
fi

missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
  as_root=()
  [ "$(id -u)" = 0 ] || as_root=(sudo)
  echo "Installing: ${missing[*]}"
  "${as_root[@]}" apt-get -qq update
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get -qq install -y --no-install-recommends "${missing[@]}" >/dev/null
fi

case $purpose in
  run) [ -f build/build.ninja ] || meson setup build -Dtests=disabled -Dtrain=disabled >/dev/null ;;
  test)
    if [ -f build/build.ninja ]; then
      meson configure build -Dtests=enabled -Dtrain=enabled -Dexamples=enabled
    else
      meson setup build -Dtests=enabled -Dtrain=enabled -Dexamples=enabled
    fi
    ;;
esac

# How far the build is: a line that is written over on a terminal, else a line now and then.
show_progress() {
  local line shown=-10
  while read -r line; do
    [[ $line =~ ^\[([0-9]+)/([0-9]+)\] ]] || continue
    if [ -t 1 ]; then
      printf '\rBuilding: %s of %s ' "${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}"
    elif ((SECONDS - shown >= 10)); then
      echo "Building: ${BASH_REMATCH[1]} of ${BASH_REMATCH[2]}"
      shown=$SECONDS
    fi
  done
  [ ! -t 1 ] || echo
}
log=build/meson-logs/compile.txt
ninja -C build 2>&1 | tee "$log" | show_progress || { cat "$log"; exit 1; }
tail -n 1 "$log"
