#pragma once

#include <string>

#include "encoders.h"
#include "input.h"
#include "options.h"
#include "progress.h"
#include "wake.h"

namespace upscale_file {

/// Enlarges a clip into `output`. Throws Failure, or Interrupted once what there is has its name or
/// is kept to be resumed.
void run_clip(Wake &wake, const Options &options, const Input &input, const Container &container,
              const std::string &output, Progress &progress);

}  // namespace upscale_file
