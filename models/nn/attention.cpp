#include "nn/attention.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/dispatch.h"
#include "kernels/elementwise.h"
#include "kernels/tensors.h"

namespace livepeer {
namespace {

using kernels::multiply, kernels::multiply_batches, kernels::takes_kernels;

/// Keys looked at at a time, and queries that look at them: with both and what comes of them in the
/// last-level cache.
constexpr int64_t keys_at_once = 2048, queries_at_once = 1024;

/// Elements of the score matrix held at a time. In bfloat16, about what the last-level cache holds;
/// of float32 more, since for each product oneDNN packs keys and values anew.
int64_t max_scores(const torch::Tensor &query) {
  return int64_t(1) << (query.scalar_type() == torch::kBFloat16 ? 22 : 24);
}

Linear linear(const ParameterScope &scope, const std::string &name, const std::string &deprecated,
              int64_t in, int64_t out, bool has_bias) {
  return {scope / name, scope.get(name + ".weight", deprecated + ".weight", {out, in}),
          has_bias ? scope.get(name + ".bias", deprecated + ".bias", {out}) : torch::Tensor()};
}

/// softmax(scores) v^T; overwrites `scores` [n, rows, tokens]. `v` [n, dim, tokens].
torch::Tensor softmax_product(torch::Tensor &scores, const torch::Tensor &v) {
  if (!takes_kernels(scores) || !scores.is_contiguous())
    return multiply_batches(at::softmax(scores, -1), v);
  // Dividing behind the product rounds less in bfloat16.
  const auto sums = kernels::exponentials_(scores).sums;
  return multiply_batches(scores, v) / sums;
}

/// Keys and values of one head, [tokens, dim] each, in blocks; the values as multiply() takes them.
struct Block {
  torch::Tensor keys, values;
};
std::vector<Block> blocks_of(const torch::Tensor &k, const torch::Tensor &v) {
  std::vector<Block> blocks;
  for (int64_t key = 0; key < k.size(0); key += keys_at_once) {
    const int64_t count = std::min(keys_at_once, k.size(0) - key);
    blocks.push_back({k.narrow(0, key, count), v.narrow(0, key, count).t().contiguous()});
  }
  return blocks;
}

/// Some queries [rows, dim] of one head over all its keys, block by block, with running
/// maxima and sums (Milakov and Gimelshein 2018, "Online normalizer calculation for softmax"): the
/// sums of all blocks are those of e^(score - the largest score so far). Returns [rows, dim] in
/// float32.
torch::Tensor attend_in_blocks(const torch::Tensor &q, const std::vector<Block> &blocks) {
  const auto options = q.options().dtype(torch::kFloat);
  auto result = torch::zeros({q.size(0), q.size(1)}, options),
       sums = torch::zeros({q.size(0), 1}, options),
       maxima = torch::full({q.size(0), 1}, -std::numeric_limits<double>::infinity(), options);
  for (const Block &block : blocks) {
    auto scores = multiply(q, block.keys, {});
    const auto rows = kernels::exponentials_(scores);
    const auto part = multiply(scores, block.values, {});
    const auto larger = at::maximum(maxima, rows.maxima);
    const auto before = at::exp(maxima - larger), now = at::exp(rows.maxima - larger);
    result.mul_(before).addcmul_(part.to(torch::kFloat), now);
    sums.mul_(before).addcmul_(rows.sums, now);
    maxima = larger;
  }
  return result.div_(sums);
}

}  // namespace

torch::Tensor attend(const torch::Tensor &query, const KeyValue &context, bool causal) {
  const int64_t batch = query.size(0), heads = query.size(1), rows = query.size(2),
                dim = query.size(3), tokens = context.key.size(2);
  // Scaling the query instead of the scores rounds less in bfloat16.
  const auto q = query.reshape({batch * heads, rows, dim}) * (1 / std::sqrt(double(dim)));
  const auto k = context.key.reshape({batch * heads, tokens, dim});
  auto result = torch::empty({batch, rows, heads, dim}, query.options());
  if (tokens > keys_at_once && takes_kernels(query) && !causal) {
    const auto all_values = context.value.reshape({batch * heads, tokens, dim});
    for (int64_t i = 0; i < batch * heads; ++i) {
      const std::vector<Block> blocks = blocks_of(k[i], all_values[i]);
      const auto head = result[i / heads].select(1, i % heads);
      for (int64_t row = 0; row < rows; row += queries_at_once) {
        const int64_t count = std::min(queries_at_once, rows - row);
        head.narrow(0, row, count).copy_(attend_in_blocks(q[i].narrow(0, row, count), blocks));
      }
    }
    return result.view({batch, rows, heads * dim});
  }
  const auto v = context.value.reshape({batch * heads, tokens, dim}).transpose(1, 2).contiguous();
  const int64_t chunk = std::max<int64_t>(1, max_scores(query) / (batch * heads * tokens));
  for (int64_t row = 0; row < rows; row += chunk) {
    const int64_t count = std::min(chunk, rows - row);
    auto scores = multiply_batches(q.narrow(1, row, count), k);
    if (causal) {
      const auto later = at::ones({count, tokens}, scores.options().dtype(torch::kBool));
      scores.masked_fill_(later.triu(row + 1), -std::numeric_limits<double>::infinity());
    }
    auto part = softmax_product(scores, v);
    result.narrow(1, row, count).copy_(part.view({batch, heads, count, dim}).transpose(1, 2));
  }
  return result.view({batch, rows, heads * dim});
}

Attention::Attention(const ParameterScope &scope, int64_t channels, int64_t context_channels,
                     int64_t heads, bool qkv_bias)
    : heads_(heads),
      to_q_(linear(scope, "to_q", "query", channels, channels, qkv_bias)),
      to_k_(linear(scope, "to_k", "key", context_channels, channels, qkv_bias)),
      to_v_(linear(scope, "to_v", "value", context_channels, channels, qkv_bias)),
      to_out_(linear(scope, "to_out.0", "proj_attn", channels, channels, true)) {}

torch::Tensor Attention::split_heads(const torch::Tensor &x) const {
  return x.view({x.size(0), x.size(1), heads_, x.size(2) / heads_}).transpose(1, 2).contiguous();
}

KeyValue Attention::project(const torch::Tensor &context) const {
  return {split_heads(to_k_(context)), split_heads(to_v_(context))};
}

torch::Tensor Attention::operator()(const torch::Tensor &x, const KeyValue &context) const {
  return to_out_(attend(split_heads(to_q_(x)), context));
}

}  // namespace livepeer
