#!/usr/bin/env bash
# An empty project takes the helper library as a subproject, by the wrap file, compiles and runs.
#   subproject.sh SOURCE_FOLDER
set -euo pipefail
source=$1
project=$(mktemp -d)
trap 'rm -rf "$project"' EXIT
mkdir "$project/subprojects"
cat >"$project/meson.build" <<'MESON'
project('user', 'c')
test('meta', executable('user', 'user.c', dependencies:
  dependency('livepeerupscale-1.0', default_options: ['engine=disabled'], allow_fallback: true)))
MESON
cat >"$project/user.c" <<'C'
#include <gst/livepeerupscale.h>

int main(int argc, char **argv) {
  gst_init(&argc, &argv);
  GstBuffer *buffer = gst_buffer_new();
  gboolean is_there = gst_buffer_get_livepeer_upscale_meta(buffer) != NULL;
  gst_buffer_unref(buffer);
  return is_there || gst_livepeer_upscale_meta_api_get_type() == 0;
}
C
# The files that git would fetch, as they are here.
sed '/^url\|^revision\|^depth\|^$/d; s/wrap-git/wrap-file/' "$source/gst/livepeerupscale.wrap" \
  >"$project/subprojects/livepeerupscale.wrap"
mkdir "$project/subprojects/livepeerupscale"
cp -r "$source/meson.build" "$source/meson_options.txt" "$source/gst" "$project/subprojects/livepeerupscale/"
env -u DESTDIR PKG_CONFIG_PATH= meson setup --wrap-mode=forcefallback "$project/build" "$project"
meson test -C "$project/build"
