#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "glib_ptr.h"

namespace upscale_server {

struct PictureHeader {
  const char *format;  ///< PNG, JPEG, ...
  uint32_t width;
  uint32_t height;
};

/// Tells a picture file by its first bytes and reads its size, without decoding it. Nothing: this
/// is not a PNG, JPEG, GIF, WebP, BMP or TIFF file, or it ends inside the header.
std::optional<PictureHeader> read_picture_header(std::string_view file);

/// What the decoder gets: the file itself, but of a GIF or WebP only the first frame, of a GIF
/// with its transparent pixels in the colour that the palette gives them, and a PNG without what is
/// not shown.
BytesPtr single_picture(const PictureHeader &header, std::string_view file);

/// Throws std::runtime_error with a sentence where a JPEG has more scans, each of which the decoder
/// shows, or segments, for each of which it looks at all before, than any program writes: a small
/// file could keep it busy for hours.
void check_segments(const PictureHeader &header, std::string_view file);

}  // namespace upscale_server
