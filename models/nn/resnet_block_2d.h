#pragma once

#include <optional>

#include "nn/layers.h"
#include "nn/projection_cache.h"

namespace livepeer {

/// The activated time embedding of one evaluation, silu(emb) [batch, channels], and what each
/// residual block made of it.
using TimeProjections = Projections<torch::Tensor>;

/// Two normalised convolutions beside a shortcut, as in diffusers (UNet and VAE).
class ResnetBlock2D {
 public:
  /// `time_channels` 0: without time embedding (VAE).
  ResnetBlock2D(const ParameterScope &scope, int64_t in, int64_t out, int64_t groups, double eps,
                int64_t time_channels = 0);
  /// `x` [batch, in, h, w] -> [batch, out, h, w]; `time` only where time_channels > 0, of
  /// at least as many samples. Give `x` away (std::move) where it is not needed any more: large
  /// pictures then need less memory.
  torch::Tensor operator()(torch::Tensor x, TimeProjections *time = nullptr) const;

 private:
  std::string path_;
  GroupNorm norm1_;
  Conv2d conv1_;
  std::optional<Linear> time_emb_proj_;
  GroupNorm norm2_;
  Conv2d conv2_;
  std::optional<Conv2d> conv_shortcut_;
};

}  // namespace livepeer
