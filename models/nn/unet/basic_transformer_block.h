#pragma once

#include "nn/attention.h"

namespace livepeer {

/// Attention, cross-attention and a gated feed-forward layer, each after a layer norm and beside a
/// shortcut.
class BasicTransformerBlock {
 public:
  /// `only_cross_attention`: the first attention looks at the text too.
  BasicTransformerBlock(const ParameterScope &scope, int64_t channels, int64_t text_channels,
                        int64_t heads, bool only_cross_attention);
  /// `x` [batch, n, channels] -> the same shape.
  torch::Tensor operator()(const torch::Tensor &x, TextProjections &text) const;

 private:
  /// `context` null: self-attention.
  torch::Tensor attend(const Attention &attention, const std::string &name, const torch::Tensor &x,
                       TextProjections *context) const;
  torch::Tensor feed_forward(const torch::Tensor &x) const;

  std::string path_;
  bool only_cross_attention_;
  LayerNorm norm1_;
  Attention attn1_;
  LayerNorm norm2_;
  Attention attn2_;
  LayerNorm norm3_;
  Linear ff_in_, ff_out_;
};

}  // namespace livepeer
