#pragma once

#include <torch/types.h>

#include <array>
#include <utility>

#include "io/config.h"
#include "runtime/frame.h"

namespace livepeer {

/// Prepares pictures for CLIP's vision tower as transformers' CLIPImageProcessor does: the shortest
/// side is resized (antialiased bicubic), the centre cut out, the channels are normalised.
class CLIPImageProcessor {
 public:
  /// Reads preprocessor_config.json's size, crop_size, rescale_factor, image_mean and image_std.
  /// Throws Error{open_read}.
  explicit CLIPImageProcessor(const Config &config);
  /// The size that `frame` is given: its shorter side as long as wanted, the other one rounded
  /// down. Width, height.
  std::pair<int64_t, int64_t> resized(const Frame &frame) const;
  /// [1, 3, crop, crop] float32.
  torch::Tensor operator()(const Frame &frame) const;

 private:
  int shortest_edge_, crop_height_, crop_width_;
  double rescale_factor_;
  std::array<float, 3> mean_, std_;
};

}  // namespace livepeer
