#pragma once

#include <torch/torch.h>

#include <string>
#include <vector>

#include "diffusion/components.h"
#include "io/config.h"
#include "nn/layers.h"

namespace livepeer {

/// CLIP's text encoder as transformers' CLIPTextModel has it: pre-norm transformer with a causal
/// mask and no padding mask. Works under autograd; reads parameters only.
class CLIPTextModel {
 public:
  /// Throws Error{open_read} for a configuration that cannot be right or is not supported.
  CLIPTextModel(const Config &config, const ParameterScope &scope);

  /// `input_ids` [batch, tokens] int64. Returns hidden [batch, tokens, channels] after the final
  /// norm, and pooled [batch, channels]: its row at the first end-of-text token. `hidden_states`,
  /// if given, receives the embeddings and each layer's output, before the final norm.
  TextEmbeddings forward(const torch::Tensor &input_ids,
                         std::vector<torch::Tensor> *hidden_states = nullptr) const;

  int64_t vocab_size() const { return vocab_size_; }
  int64_t max_positions() const { return position_embedding_.size(0); }
  int64_t channels() const { return position_embedding_.size(1); }

 private:
  struct Layer {
    Layer(const ParameterScope &scope, int64_t channels, int64_t inner, double eps);
    LayerNorm norm1, norm2;
    Linear q, k, v, out, fc1, fc2;
  };
  torch::Tensor attend(const Layer &layer, const torch::Tensor &x, const torch::Tensor &mask) const;
  torch::Tensor pool(const torch::Tensor &hidden, const torch::Tensor &input_ids) const;

  int64_t vocab_size_, n_heads_, eos_id_;
  std::string activation_;
  torch::Tensor token_embedding_, position_embedding_;
  std::vector<Layer> layers_;
  LayerNorm final_norm_;
};

}  // namespace livepeer
