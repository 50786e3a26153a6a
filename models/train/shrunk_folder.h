#pragma once

#include <string>
#include <vector>

#include "train/picture_set.h"

namespace livepeer::train {

/// Writes each picture, shrunk by 4 (antialiased bicubic), as a PNG of that name into `folder`, for
/// video codecs: an even number of rows and a multiple of 8 columns (y4menc of GStreamer 1.22
/// writes padding into other widths), the rest left out. Throws Error{failed}.
void write_shrunk_folder(const std::vector<Picture> &pictures, const std::string &folder);

}  // namespace livepeer::train
