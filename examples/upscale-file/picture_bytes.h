#pragma once

#include <string>

namespace upscale_file {

/// What a picture's file says of itself, without decoding it. All answer 0 or false where it cannot
/// be read.

/// Frames of a GIF or WebP; of everything else 1.
unsigned picture_frames(const std::string &path);
/// Whether it is a PNG with alpha, and without a colour profile.
bool is_png_with_alpha(const std::string &path);
/// Whether it is a PNG with more than one frame.
bool is_animated_png(const std::string &path);
/// Whether a PNG or JPEG lacks its end.
bool is_cut_off(const std::string &path);

}  // namespace upscale_file
