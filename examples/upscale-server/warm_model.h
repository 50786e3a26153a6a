#pragma once

#include "glib_ptr.h"
#include "options.h"

namespace upscale_server {

/// Gives an element what the operator chose for all of them.
void configure(GstElement *upscale, const Options &options);

/// Holds one element with the model loaded for as long as the server runs. Weights are shared
/// between the elements of a process while one of them uses them, so that each request's own
/// element starts at once.
class WarmModel {
 public:
  /// Loads the model and waits until it is ready. Throws std::runtime_error with the reason.
  explicit WarmModel(const Options &options);

 private:
  RunningElementPtr element_;
};

}  // namespace upscale_server
