#!/usr/bin/env bash
# Builds the Debian packages without a network, looks at them with lintian, installs, uses, upgrades and
# removes them. It changes the system that it runs on, so it is for a bare root:
#   .ci/bare_root.sh bookworm .ci/package.sh
set -euo pipefail
cd "$(dirname "$0")/.."
export DEBIAN_FRONTEND=noninteractive

echo "== build"
apt-get -qq update
apt-get -qq install -y --no-install-recommends build-essential lintian >/dev/null
apt-get -qq build-dep -y --no-install-recommends ./ >/dev/null
unshare --net dpkg-buildpackage --unsigned-source --unsigned-changes --build=binary
packages=$(realpath ..)/livepeer-packages
rm -rf "$packages"
mkdir "$packages"
version=$(dpkg-parsechangelog --show-field Version)
mv ../*"_${version}_"*.deb ../livepeerupscale_"$version"_*.{changes,buildinfo} "$packages"

echo "== lintian"
lintian --allow-root --fail-on error "$packages"/*.changes

echo "== install"
mapfile -t names < <(sed -n 's/^Package: //p' debian/control)
install() { # FOLDER
  local files=()
  for name in "${names[@]}"; do files+=("$1/$name"_*.deb); done
  apt-get -qq install -y "${files[@]}" >/dev/null
}
install "$packages"

echo "== use"
gst-inspect-1.0 livepeerupscale | grep -w "$version"
debian/tests/upscale
cat >user.c <<'C'
#include <gst/livepeerupscale.h>

int main(void) { return gst_livepeer_upscale_meta_api_get_type() == 0; }
C
# shellcheck disable=SC2046 # words
cc user.c -o user $(pkg-config --cflags --libs livepeerupscale-1.0)
./user
man -l /usr/share/man/man1/livepeer-upscale.1.gz >man.txt 2>/dev/null || zcat /usr/share/man/man1/livepeer-upscale.1.gz >man.txt
grep -q -- '--resume\|resume' man.txt

echo "== upgrade"
newer=$packages/newer
mkdir "$newer"
for package in "$packages"/*.deb; do
  [[ $package != *dbgsym* ]] || continue
  tree=$(mktemp -d)
  dpkg-deb --raw-extract "$package" "$tree"
  sed -i "s/\b${version//./\\.}\b/$version+1/" "$tree/DEBIAN/control"
  dpkg-deb --root-owner-group --build "$tree" "$newer" >/dev/null
  rm -rf "$tree"
done
echo "AUTH_TOKEN=kept" >>/etc/default/livepeer-upscale-server
install "$newer"
dpkg-query --show "${names[@]}" | tee versions.txt
! grep -v "$version+1\$" versions.txt
debian/tests/upscale

echo "== remove"
dpkg -L "${names[@]}" | grep -vx '/\.\|package diverts.*' | sort -u >files.txt
apt-get -qq remove -y "${names[@]}" >/dev/null
grep -qx AUTH_TOKEN=kept /etc/default/livepeer-upscale-server
while read -r file; do
  if [ -e "$file" ] && [ ! -d "$file" ] && [[ $file != /etc/* ]]; then echo "left: $file"; fi
done <files.txt | tee left.txt
apt-get -qq purge -y "${names[@]}" >/dev/null
find / -xdev -name '*livepeer*' -not -path "$PWD*" -not -path "$packages*" -not -path '/tmp/*' -not -path '/proc/*' |
  tee -a left.txt
[ ! -s left.txt ]
echo "== done: $version"
