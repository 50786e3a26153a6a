#pragma once

#include "nn/layers.h"
#include "nn/projection_cache.h"

namespace livepeer {

/// Keys and values of one attention layer, each [batch, heads, tokens, channels / heads].
struct KeyValue {
  torch::Tensor key, value;
};

/// The text [batch, tokens, channels] of one evaluation, and the keys and values that each
/// cross-attention made of it.
using TextProjections = Projections<KeyValue>;

/// softmax(q k^T / sqrt(dim)) v for `query` [batch, heads, n, dim], without ever holding the whole
/// n x tokens matrix: rows are taken in chunks, and so are tokens where there are many. `causal`:
/// row i sees only the tokens up to i.
/// Returns [batch, n, heads * dim].
torch::Tensor attend(const torch::Tensor &query, const KeyValue &context, bool causal = false);

/// Multi-head attention with the parameters of diffusers' Attention: to_q, to_k, to_v, to_out.0,
/// or their deprecated names query, key, value, proj_attn.
class Attention {
 public:
  Attention(const ParameterScope &scope, int64_t channels, int64_t context_channels, int64_t heads,
            bool qkv_bias);
  /// From `context` [batch, tokens, context_channels].
  KeyValue project(const torch::Tensor &context) const;
  /// `x` [batch, n, channels] -> the same shape.
  torch::Tensor operator()(const torch::Tensor &x, const KeyValue &context) const;

 private:
  torch::Tensor split_heads(const torch::Tensor &x) const;

  int64_t heads_;
  Linear to_q_, to_k_, to_v_, to_out_;
};

}  // namespace livepeer
