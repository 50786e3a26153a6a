#pragma once

#include <string>
#include <vector>

#include "train/picture_set.h"

namespace livepeer::train {

/// Writes each picture, shrunk by 4 (antialiased bicubic), as a PNG of that name into `folder`, for
/// video codecs: with even sides, a last odd row or column is left out. Throws Error{failed}.
void write_shrunk_folder(const std::vector<Picture> &pictures, const std::string &folder);

}  // namespace livepeer::train
