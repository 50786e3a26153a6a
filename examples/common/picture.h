#pragma once

#include <cstdint>
#include <functional>
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

/// What is asked while a file is being decoded. Where either says no, decoding ends with an error.
struct DecodeWatch {
  std::function<bool(int width, int height)> takes_size;  ///< before there is room for pixels, if
                                                          ///< the decoder can still be stopped then
  std::function<bool()> goes_on;                          ///< before each piece of the file
};

/// Decodes a picture file of any kind that gdk-pixbuf has a loader for: of an animation the first
/// frame, CMYK and 16 bits as 8-bit RGB, transparent pixels with the colour that is stored. Where
/// an ICC profile says that the numbers are not sRGB's, they are made so; a profile that cannot be
/// used is passed over. Throws std::runtime_error with a sentence about the file. Neither size nor
/// time is limited but by `watch`: look at the file before.
Picture decode_picture(std::string_view file, const DecodeWatch &watch = {});

}  // namespace livepeer_examples
