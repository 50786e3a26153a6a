#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "gst_ptr.h"

namespace upscale_file {

/// The frames of one loop of an animation.
class Animation {
 public:
  /// Throws Failure where the file cannot be read, or what decodes it is missing.
  explicit Animation(const std::string &path);
  ~Animation();
  unsigned frames() const;
  /// RGB or RGBA with its time and duration; null at the end.
  SamplePtr next();

 private:
  struct State;
  const std::unique_ptr<State> state_;
};

}  // namespace upscale_file
