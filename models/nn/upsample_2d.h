#pragma once

#include <array>

#include "nn/layers.h"

namespace livepeer {

/// Enlargement by nearest neighbour followed by a 3x3 convolution, as in diffusers' Upsample2D.
/// For twice the size, float32 inference on a CPU computes each of the four kinds of output pixels from the
/// small picture with a 2x2 convolution whose weights are sums of the 3x3's: the same result (up
/// to rounding) from 4/9 of the products.
class Upsample2D {
 public:
  Upsample2D(const ParameterScope &scope, int64_t channels);
  torch::Tensor operator()(const torch::Tensor &x, int64_t height, int64_t width) const;

 private:
  torch::Tensor twice(const torch::Tensor &x) const;

  std::string path_;
  Conv2d conv_;
  std::array<torch::Tensor, 4> quarters_;  ///< weights for (even | odd row) x (even | odd column)
};

}  // namespace livepeer
