#pragma once

#include <torch/types.h>

#include <optional>
#include <vector>

#include "weights/parameter_source.h"

namespace livepeer {

/// Image classifier: MobileNetV2 of width 1 (Sandler et al. 2018, https://arxiv.org/abs/1801.04381)
/// under two hidden layers and a softmax, with 8-bit weights. Parameters have the names of the
/// layers in keras; batch normalisation is part of them (models/default-safety/convert.mjs).
class MobileNetV2 {
 public:
  static constexpr int image_size = 224;

  MobileNetV2(const ParameterScope &scope, int64_t labels);
  /// `pictures` [batch, 3, 224, 224] RGB in [0, 1], float32, on device(). Returns the probability
  /// of each label, [batch, labels].
  torch::Tensor forward(const torch::Tensor &pictures) const;
  torch::Device device() const { return stem_.weight.device(); }

 private:
  /// Convolution whose weight [out, in / groups, kernel, kernel] is stored as numbers 0 .. 255 with
  /// a scale and a minimum for each output channel.
  struct Convolution {
    Convolution(const ParameterScope &scope, int64_t in, int64_t out, int64_t kernel = 1,
                int64_t stride = 1, int64_t groups = 1);
    torch::Tensor operator()(const torch::Tensor &x) const;

    torch::Tensor weight, bias;
    int64_t stride, groups;
  };

  /// Inverted residual: widen, convolve each channel, narrow without an activation.
  struct Block {
    std::optional<Convolution> expand;
    Convolution depthwise, project;
    bool residual;
    torch::Tensor operator()(const torch::Tensor &x) const;
  };

  Convolution stem_;
  std::vector<Block> blocks_;
  Convolution last_;
  Convolution hidden_[2], head_;
};

}  // namespace livepeer
