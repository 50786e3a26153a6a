#pragma once

#include <vector>

#include "nn/unet/basic_transformer_block.h"

namespace livepeer {

/// How the transformers of one resolution are built.
struct TransformerShape {
  int64_t layers;
  int64_t heads;
  int64_t text_channels;
  int64_t groups;
  bool only_cross_attention;
  bool use_linear_projection;
};

/// Transformer over the pixels of a feature map, beside a shortcut.
class Transformer2DModel {
 public:
  Transformer2DModel(const ParameterScope &scope, int64_t channels, const TransformerShape &shape);
  /// `x` [batch, channels, h, w] -> the same shape; of fewer samples than `text` has, if each is to
  /// be seen under several texts -> as many as texts, the first ones under the first texts.
  torch::Tensor operator()(const torch::Tensor &x, TextProjections &text) const;

 private:
  std::string path_;
  GroupNorm norm_;
  Linear proj_in_;
  std::vector<BasicTransformerBlock> blocks_;
  Linear proj_out_;
};

}  // namespace livepeer
