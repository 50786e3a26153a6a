#pragma once

#include <optional>
#include <vector>

#include "nn/attention.h"
#include "nn/resnet_block_2d.h"
#include "nn/upsample_2d.h"

namespace livepeer {

/// What encoder and decoder of an AutoencoderKL are built from.
struct VaeShape {
  int64_t image_channels, latent_channels;
  std::vector<int64_t> block_channels;  ///< from the image's resolution to the latent's
  int64_t layers;
  int64_t groups;
  bool mid_attention;
};

/// Residual blocks of one resolution, and the way to the next one.
struct VaeLevel {
  std::string path;
  std::vector<ResnetBlock2D> resnets;
  std::optional<Conv2d> downsampler;
  std::optional<Upsample2D> upsampler;
};

/// UNetMidBlock2D: two residual blocks, and attention over all pixels between them.
class VaeMidBlock {
 public:
  VaeMidBlock(const ParameterScope &scope, int64_t channels, const VaeShape &shape);
  torch::Tensor operator()(torch::Tensor x) const;

 private:
  torch::Tensor attention(const torch::Tensor &x) const;

  std::string path_;
  ResnetBlock2D first_;
  std::optional<GroupNorm> group_norm_;
  std::optional<Attention> attention_;
  ResnetBlock2D second_;
};

/// Image [batch, image_channels, h, w] -> moments [batch, 2 latent_channels, h / f, w / f].
class VaeEncoder {
 public:
  VaeEncoder(const ParameterScope &scope, const VaeShape &shape);
  torch::Tensor operator()(const torch::Tensor &image) const;
  torch::ScalarType dtype() const { return conv_in_.dtype(); }

 private:
  std::string path_;
  Conv2d conv_in_;
  std::vector<VaeLevel> down_blocks_;
  VaeMidBlock mid_block_;
  GroupNorm conv_norm_out_;
  Conv2d conv_out_;
};

/// Latents [batch, latent_channels, h, w] -> image [batch, image_channels, f h, f w].
class VaeDecoder {
 public:
  VaeDecoder(const ParameterScope &scope, const VaeShape &shape);
  torch::Tensor operator()(const torch::Tensor &latents) const;
  torch::ScalarType dtype() const { return conv_in_.dtype(); }

 private:
  Conv2d conv_in_;
  VaeMidBlock mid_block_;
  std::vector<VaeLevel> up_blocks_;
  GroupNorm conv_norm_out_;
  Conv2d conv_out_;
};

}  // namespace livepeer
