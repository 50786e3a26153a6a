#pragma once

#include "gst_ptr.h"
#include "options.h"

namespace upscale_file {

struct OutputSize {
  int width, height;
  int par_n, par_d;
};

/// What becomes of a frame by --scale or --size. Where `even` says so, as
/// for video encoders, sides are even and 16 at least.
OutputSize output_size(GstCaps *frame, const Options &options, bool even);
/// Whether a number of the frame has more than 8 bits.
bool is_deep(GstCaps *frame);

}  // namespace upscale_file
