#pragma once

#include <cstdint>
#include <string>

#include "gst_ptr.h"

namespace upscale_file {

enum class Kind { picture, clip, animation };

/// What is known of an input before it is worked on.
struct Input {
  std::string path;
  Kind kind = Kind::clip;
  uint64_t duration = 0;  ///< nanoseconds; 0: unknown
  double frame_rate = 0;  ///< 0: unknown or varying
  std::string turn;       ///< value of videoflip's video-direction; empty: upright
  TagsPtr tags;           ///< of the whole file; may be null
  TocPtr chapters;        ///< may be null
};

/// By its first bytes. Throws Failure where it is no file, or cannot be read.
Kind kind_of_file(const std::string &path);
/// Throws Failure with what is wrong: no such file, no picture in it, or a plugin that is missing,
/// by its Debian package.
Input inspect(const std::string &path);

/// What tells whether a file is the same: size, time of change, and a sum over its beginning and
/// end.
std::string file_fingerprint(const std::string &path);

/// How a picture of an EXIF orientation, 1 to 8, is turned: a value of video-direction, or empty.
std::string turn_of(int exif_orientation);

}  // namespace upscale_file
