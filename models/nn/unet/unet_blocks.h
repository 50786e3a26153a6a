#pragma once

#include <optional>
#include <vector>

#include "nn/resnet_block_2d.h"
#include "nn/unet/transformer_2d_model.h"
#include "nn/upsample_2d.h"

namespace livepeer {

/// What the blocks of one UNet share and what differs between them.
struct UNetBlockShape {
  int64_t layers;  ///< residual blocks
  int64_t groups;
  double norm_eps;
  int64_t time_channels;
  std::optional<TransformerShape> transformer;  ///< after each residual block, where there is one
};

/// Inputs of the UNet's evaluation that its blocks depend on.
struct UNetConditions {
  TimeProjections &time;
  TextProjections &text;
};

/// DownBlock2D, and CrossAttnDownBlock2D where the shape has a transformer.
class UNetDownBlock2D {
 public:
  /// `downsample_padding`: of the closing stride-2 convolution; nullopt: the last block has none.
  UNetDownBlock2D(const ParameterScope &scope, int64_t in, int64_t out, const UNetBlockShape &shape,
                  std::optional<int64_t> downsample_padding);
  size_t layers() const { return resnets_.size(); }
  /// Both parts append what the up block takes over to `skips`. Layers `from` to before `to`:
  torch::Tensor run_layers(torch::Tensor x, const UNetConditions &conditions,
                           std::vector<torch::Tensor> &skips, size_t from, size_t to) const;
  /// What is behind the layers.
  torch::Tensor downsample(torch::Tensor x, std::vector<torch::Tensor> &skips) const;

 private:
  std::string path_, downsampler_path_;
  std::vector<ResnetBlock2D> resnets_;
  std::vector<Transformer2DModel> attentions_;
  std::optional<Conv2d> downsampler_;
};

/// UNetMidBlock2DCrossAttn: a residual block, then a transformer and a residual block.
class UNetMidBlock2DCrossAttn {
 public:
  UNetMidBlock2DCrossAttn(const ParameterScope &scope, int64_t channels,
                          const UNetBlockShape &shape);
  torch::Tensor operator()(torch::Tensor x, const UNetConditions &conditions) const;

 private:
  std::string path_;
  ResnetBlock2D first_;
  Transformer2DModel attention_;
  ResnetBlock2D second_;
};

/// UpBlock2D, and CrossAttnUpBlock2D where the shape has a transformer.
class UNetUpBlock2D {
 public:
  /// `skip_channels`: of the feature maps taken over from the down blocks, in the order of use.
  UNetUpBlock2D(const ParameterScope &scope, int64_t in, int64_t out,
                const std::vector<int64_t> &skip_channels, const UNetBlockShape &shape,
                bool upsample);
  size_t layers() const { return resnets_.size(); }
  /// Layers `from` to before `to`, which take their skips from the end of `skips`.
  torch::Tensor run_layers(torch::Tensor x, const UNetConditions &conditions,
                           std::vector<torch::Tensor> &skips, size_t from, size_t to) const;
  /// What is behind the layers: enlarges to the size of the last of `skips`.
  torch::Tensor upsample(torch::Tensor x, const std::vector<torch::Tensor> &skips) const;

 private:
  std::string path_;
  std::vector<ResnetBlock2D> resnets_;
  std::vector<Transformer2DModel> attentions_;
  std::optional<Upsample2D> upsampler_;
};

}  // namespace livepeer
