#pragma once

#include <string>

#include "input.h"
#include "options.h"
#include "progress.h"
#include "wake.h"

namespace upscale_file {

/// Whether files of this extension are pictures that can be written.
bool is_picture(const std::string &extension);

/// Enlarges a picture, or the first frame of a clip, into `output`. Throws Failure, or Interrupted
/// with nothing written.
void run_picture(Wake &wake, const Options &options, const Input &input,
                 const std::string &extension, const std::string &output, Progress &progress);

}  // namespace upscale_file
