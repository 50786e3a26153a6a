#pragma once

#include <memory>
#include <string>

#include "gst_ptr.h"
#include "input.h"
#include "options.h"
#include "wake.h"

namespace upscale_file {

/// The frames of an input, upright and progressive, with their times from the beginning of what is
/// wanted of it. Nothing here waits.
class FrameSource {
 public:
  virtual ~FrameSource() = default;
  /// A frame, or null where none is there yet or all have been taken. Throws Failure.
  virtual SamplePtr next() = 0;
  virtual bool ended() const = 0;
  /// Where the last frame that was decoded ended, counted from the zero of the input's timestamps.
  virtual uint64_t position() const = 0;
  /// Whether fields are being made into frames.
  virtual bool deinterlaces() const { return false; }
};

/// Opens it; `options` say where to begin and where to end.
std::unique_ptr<FrameSource> open_frames(Wake &wake, const Input &input, const Options &options);

}  // namespace upscale_file
