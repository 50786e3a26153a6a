#pragma once

#include "nn/layers.h"

namespace livepeer {

/// Enlargement by nearest neighbour followed by a 3x3 convolution, as in diffusers' Upsample2D.
class Upsample2D {
 public:
  Upsample2D(const ParameterScope &scope, int64_t channels);
  torch::Tensor operator()(const torch::Tensor &x, int64_t height, int64_t width) const;

 private:
  std::string path_;
  Conv2d conv_;
};

}  // namespace livepeer
