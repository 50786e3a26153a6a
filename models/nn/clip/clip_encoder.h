#pragma once

#include <string>
#include <vector>

#include "io/config.h"
#include "nn/layers.h"

namespace livepeer {

/// The transformer layers of CLIP (text and vision alike), with the parameter names of
/// transformers' CLIPEncoder.
class CLIPEncoder {
 public:
  /// Reads hidden_size, intermediate_size, num_hidden_layers, num_attention_heads, hidden_act
  /// ("gelu", "quick_gelu") and layer_norm_eps. Throws Error{open_read}.
  CLIPEncoder(const Config &config, const ParameterScope &scope);
  /// `x` [batch, n, hidden_size] -> the same shape. `causal`: each token sees only earlier ones and
  /// itself.
  torch::Tensor operator()(torch::Tensor x, bool causal) const;

 private:
  struct Layer {
    Layer(const ParameterScope &scope, int64_t channels, int64_t mlp_channels, double eps);
    LayerNorm layer_norm1;
    Linear q_proj, k_proj, v_proj, out_proj;
    LayerNorm layer_norm2;
    Linear fc1, fc2;
    std::string path;
  };
  torch::Tensor self_attention(const Layer &layer, const torch::Tensor &x, bool causal) const;
  torch::Tensor activate(const torch::Tensor &x) const;

  int64_t heads_;
  bool quick_gelu_;
  std::vector<Layer> layers_;
};

}  // namespace livepeer
