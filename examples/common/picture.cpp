#include "picture.h"

#include <gdk-pixbuf/gdk-pixbuf.h>
#include <lcms2.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <memory>
#include <stdexcept>

namespace livepeer_examples {
namespace {

using Loader = std::unique_ptr<GdkPixbufLoader, decltype(&g_object_unref)>;
using Profile = std::unique_ptr<void, decltype(&cmsCloseProfile)>;
using Transform = std::unique_ptr<void, decltype(&cmsDeleteTransform)>;

[[noreturn]] void refuse(GError *error) {
  const std::string words = error ? error->message : "there is no picture in the file";
  g_clear_error(&error);
  throw std::runtime_error(words);
}

constexpr size_t kPiece = 64 * 1024;

/// Whether a size that a decoder found is taken.
struct SizeCheck {
  const DecodeWatch &watch;
  bool refused = false;

  void look(int width, int height) {
    refused = refused || (watch.takes_size && !watch.takes_size(width, height));
  }
};

/// No decoder makes a picture of no size, but for those of BMP and WebP, which do not ask.
void size_prepared(GdkPixbufLoader *loader, int width, int height, gpointer data) {
  auto *check = static_cast<SizeCheck *>(data);
  check->look(width, height);
  if (check->refused) gdk_pixbuf_loader_set_size(loader, 0, 0);
}

bool write(GdkPixbufLoader *loader, std::string_view piece, GError **error) {
  return gdk_pixbuf_loader_write(loader, reinterpret_cast<const guchar *>(piece.data()),
                                 piece.size(), error);
}

Loader load(std::string_view file, const DecodeWatch &watch) {
  Loader loader(gdk_pixbuf_loader_new(), g_object_unref);
  SizeCheck check{watch};
  const gulong handler =
      g_signal_connect(loader.get(), "size-prepared", G_CALLBACK(size_prepared), &check);
  GError *error = nullptr;
  bool goes_on = true, written = true;
  for (; written && !file.empty(); file.remove_prefix(std::min(file.size(), kPiece))) {
    goes_on = !check.refused && (!watch.goes_on || watch.goes_on());
    written = goes_on && write(loader.get(), file.substr(0, kPiece), &error);
  }
  // It has to be closed in any case, and a second error may not be written over the first.
  const bool closed = gdk_pixbuf_loader_close(loader.get(), written ? &error : nullptr);
  g_signal_handler_disconnect(loader.get(), handler);
  if (GdkPixbuf *pixbuf = gdk_pixbuf_loader_get_pixbuf(loader.get()))
    check.look(gdk_pixbuf_get_width(pixbuf), gdk_pixbuf_get_height(pixbuf));
  if (check.refused || !goes_on) g_clear_error(&error);
  if (check.refused) throw std::runtime_error("it has another size than expected");
  if (!goes_on) throw std::runtime_error("it was not to be decoded to its end");
  if (!written || !closed) refuse(error);
  return loader;
}

Picture copy(GdkPixbuf *pixbuf) {
  Picture picture;
  picture.width = gdk_pixbuf_get_width(pixbuf);
  picture.height = gdk_pixbuf_get_height(pixbuf);
  picture.pixels.resize(picture.stride() * size_t(picture.height));
  const size_t channels = size_t(gdk_pixbuf_get_n_channels(pixbuf));
  for (int y = 0; y < picture.height; y++) {
    const guchar *from =
        gdk_pixbuf_read_pixels(pixbuf) + size_t(y) * size_t(gdk_pixbuf_get_rowstride(pixbuf));
    uint8_t *to = picture.pixels.data() + size_t(y) * picture.stride();
    for (int x = 0; x < picture.width; x++, from += channels, to += 3) std::copy_n(from, 3, to);
  }
  return picture;
}

/// Whether `transform` changes colours by more than rounding: most pictures with a profile have
/// sRGB's, and are to stay as they are.
bool changes_colours(cmsHTRANSFORM transform) {
  constexpr int step = 51, rounding = 2;
  for (int colour = 0; colour < 6 * 6 * 6; colour++) {
    const uint8_t from[3] = {uint8_t(colour % 6 * step), uint8_t(colour / 6 % 6 * step),
                             uint8_t(colour / 36 * step)};
    uint8_t to[3];
    cmsDoTransform(transform, from, to, 1);
    for (int c = 0; c < 3; c++)
      if (std::abs(from[c] - to[c]) > rounding) return true;
  }
  return false;
}

/// Makes sRGB of what `icc` describes, where that is RGB: a profile of CMYK or grey does not
/// describe the RGB that the loader has made of it.
void convert_to_srgb(Picture &picture, const guchar *icc, size_t size) {
  const Profile from(cmsOpenProfileFromMem(icc, cmsUInt32Number(size)), cmsCloseProfile);
  if (!from || cmsGetColorSpace(from.get()) != cmsSigRgbData) return;
  const Profile to(cmsCreate_sRGBProfile(), cmsCloseProfile);
  const Transform transform(
      cmsCreateTransform(from.get(), TYPE_RGB_8, to.get(), TYPE_RGB_8, INTENT_PERCEPTUAL, 0),
      cmsDeleteTransform);
  if (!transform || !changes_colours(transform.get())) return;
  for (int y = 0; y < picture.height; y++) {
    uint8_t *row = picture.pixels.data() + size_t(y) * picture.stride();
    cmsDoTransform(transform.get(), row, row, cmsUInt32Number(picture.width));
  }
}

}  // namespace

Picture decode_picture(std::string_view file, const DecodeWatch &watch) {
  const Loader loader = load(file, watch);
  GdkPixbuf *pixbuf = gdk_pixbuf_loader_get_pixbuf(loader.get());
  if (!pixbuf) refuse(nullptr);
  Picture picture = copy(pixbuf);
  if (const char *text = gdk_pixbuf_get_option(pixbuf, "icc-profile")) {
    gsize size = 0;
    const std::unique_ptr<guchar, decltype(&g_free)> icc(g_base64_decode(text, &size), g_free);
    convert_to_srgb(picture, icc.get(), size);
  }
  if (const char *text = gdk_pixbuf_get_option(pixbuf, "orientation")) {
    const int orientation = std::atoi(text);
    if (orientation >= 1 && orientation <= 8) picture.orientation = orientation;
  }
  return picture;
}

}  // namespace livepeer_examples
