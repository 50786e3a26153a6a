#pragma once

#include <torch/types.h>

#include "io/config.h"
#include "nn/clip/clip_encoder.h"
#include "nn/interfaces.h"

namespace livepeer {

/// CLIP's text encoder as transformers' CLIPTextModel has it: pre-norm transformer with a causal
/// mask and no padding mask. Works under autograd; reads parameters only.
class CLIPTextModel {
 public:
  /// Throws Error{open_read} for a configuration that cannot be right or is not supported.
  CLIPTextModel(const Config &config, const ParameterScope &scope);

  /// `input_ids` [batch, tokens] int64. Returns hidden [batch, tokens, channels] after the final
  /// norm, and pooled [batch, channels]: its row at the first end-of-text token.
  TextEmbeddings forward(const torch::Tensor &input_ids) const;

  /// The vectors [n, channels] of n more tokens, with ids from vocab_size() on. Before the first
  /// forward() only.
  void add_embeddings(const torch::Tensor &vectors);

  int64_t vocab_size() const {
    return token_embedding_.size(0) + (added_.defined() ? added_.size(0) : 0);
  }
  int64_t channels() const { return token_embedding_.size(1); }
  int64_t max_positions() const { return position_embedding_.size(0); }

 private:
  torch::Tensor embed(const torch::Tensor &input_ids) const;
  torch::Tensor pool(const torch::Tensor &hidden, const torch::Tensor &input_ids) const;

  int64_t eos_id_;
  torch::Tensor token_embedding_, position_embedding_;
  torch::Tensor added_;  ///< not in the table, which other models may share
  CLIPEncoder encoder_;
  LayerNorm final_norm_;
};

}  // namespace livepeer
