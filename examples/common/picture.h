#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace livepeer_examples {

/// A picture as a screen shows it: 8-bit RGB, rows from top to bottom.
struct Picture {
  int width = 0, height = 0;
  int orientation = 1;          ///< what EXIF says of the way up, 1 to 8; nothing has been turned
  std::vector<uint8_t> pixels;  ///< height rows of stride() bytes

  /// Bytes of a row, as GStreamer has it by default.
  size_t stride() const { return (size_t(width) * 3 + 3) / 4 * 4; }
};

/// Decodes a picture file of any kind that gdk-pixbuf has a loader for: of an animation the first
/// frame, CMYK and 16 bits as 8-bit RGB, transparent pixels with the colour that is stored. Where
/// an ICC profile says that the numbers are not sRGB's, they are made so; a profile that cannot be
/// used is passed over. Throws std::runtime_error with a sentence about the file. The size is not
/// limited: look at it before.
Picture decode_picture(std::string_view file);

}  // namespace livepeer_examples
