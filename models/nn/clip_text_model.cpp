#include "nn/clip_text_model.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace livepeer {
namespace {

// Written into configurations before transformers used the id at all; then the largest id counts.
constexpr int64_t legacy_eos_id = 2;

int64_t size_of(const Config &config, const std::string &key, int64_t fallback,
                int64_t largest = 1 << 24) {
  const auto value = config.get<int64_t>(key, fallback);
  if (value >= 1 && value <= largest) return value;
  throw Error(ErrorKind::open_read,
              "Model configuration " + config.origin() + ": \"" + key +
                  "\" is out of range: " + std::to_string(value) + ". Fetch the snapshot again.",
              config.origin());
}

std::string supported_activation(const Config &config) {
  const auto name = config.get<std::string>("hidden_act", "quick_gelu");
  if (name == "gelu" || name == "quick_gelu") return name;
  throw Error(ErrorKind::open_read,
              "Model configuration " + config.origin() + ": hidden_act \"" + name +
                  "\" is not supported; expected gelu or quick_gelu.",
              config.origin());
}

}  // namespace

CLIPTextModel::Layer::Layer(const ParameterScope &scope, int64_t channels, int64_t inner,
                            double eps)
    : norm1(scope / "layer_norm1", channels, eps),
      norm2(scope / "layer_norm2", channels, eps),
      q(scope / "self_attn" / "q_proj", channels, channels),
      k(scope / "self_attn" / "k_proj", channels, channels),
      v(scope / "self_attn" / "v_proj", channels, channels),
      out(scope / "self_attn" / "out_proj", channels, channels),
      fc1(scope / "mlp" / "fc1", channels, inner),
      fc2(scope / "mlp" / "fc2", inner, channels) {}

CLIPTextModel::CLIPTextModel(const Config &config, const ParameterScope &scope)
    : vocab_size_(size_of(config, "vocab_size", 49408)),
      n_heads_(size_of(config, "num_attention_heads", 8)),
      eos_id_(config.get<int64_t>("eos_token_id", 49407)),
      activation_(supported_activation(config)),
      token_embedding_((scope / "text_model" / "embeddings" / "token_embedding")
                           .get("weight", {vocab_size_, size_of(config, "hidden_size", 512)})),
      position_embedding_((scope / "text_model" / "embeddings" / "position_embedding")
                              .get("weight", {size_of(config, "max_position_embeddings", 77),
                                              size_of(config, "hidden_size", 512)})),
      final_norm_(scope / "text_model" / "final_layer_norm", size_of(config, "hidden_size", 512),
                  config.get<double>("layer_norm_eps", 1e-5)) {
  if (channels() % n_heads_ != 0)
    throw Error(ErrorKind::open_read,
                "Model configuration " + config.origin() + ": \"num_attention_heads\" (" +
                    std::to_string(n_heads_) + ") must divide \"hidden_size\" (" +
                    std::to_string(channels()) + "). Fetch the snapshot again.",
                config.origin());
  const auto inner = size_of(config, "intermediate_size", 2048);
  const auto n_layers = size_t(size_of(config, "num_hidden_layers", 12, 1000));
  for (size_t i = 0; i < n_layers; ++i)
    layers_.emplace_back(scope / "text_model" / "encoder" / "layers" / i, channels(), inner,
                         config.get<double>("layer_norm_eps", 1e-5));
}

TextEmbeddings CLIPTextModel::forward(const torch::Tensor &input_ids,
                                      std::vector<torch::Tensor> *hidden_states) const {
  const int64_t tokens = input_ids.size(1);
  torch::Tensor x =
      at::embedding(token_embedding_, input_ids) + position_embedding_.slice(0, 0, tokens);
  const torch::Tensor mask =
      torch::full({tokens, tokens}, -std::numeric_limits<double>::infinity(), x.options()).triu(1);
  if (hidden_states) hidden_states->push_back(x);
  for (const Layer &layer : layers_) {
    x = x + attend(layer, layer.norm1(x), mask);
    const torch::Tensor inner = layer.fc1(layer.norm2(x));
    x = x + layer.fc2(activation_ == "gelu" ? at::gelu(inner) : inner * at::sigmoid(inner * 1.702));
    if (hidden_states) hidden_states->push_back(x);
  }
  x = final_norm_(x);
  return {x, pool(x, input_ids)};
}

torch::Tensor CLIPTextModel::attend(const Layer &layer, const torch::Tensor &x,
                                    const torch::Tensor &mask) const {
  const int64_t batch = x.size(0), tokens = x.size(1), head = channels() / n_heads_;
  const auto heads_of = [&](const torch::Tensor &y) {
    return y.view({batch, tokens, n_heads_, head}).transpose(1, 2);
  };
  const torch::Tensor q = heads_of(layer.q(x) * (1.0 / std::sqrt(double(head))));
  const torch::Tensor scores = at::matmul(q, heads_of(layer.k(x)).transpose(2, 3)) + mask;
  const torch::Tensor mixed = at::matmul(at::softmax(scores, -1), heads_of(layer.v(x)));
  return layer.out(mixed.transpose(1, 2).reshape({batch, tokens, channels()}));
}

torch::Tensor CLIPTextModel::pool(const torch::Tensor &hidden,
                                  const torch::Tensor &input_ids) const {
  const torch::Tensor ids = input_ids.to(torch::kCPU, torch::kLong).contiguous();
  std::vector<int64_t> positions;
  for (int64_t row = 0; row < ids.size(0); ++row) {
    const auto *begin = ids.data_ptr<int64_t>() + row * ids.size(1), *end = begin + ids.size(1);
    const auto *at =
        eos_id_ == legacy_eos_id ? std::max_element(begin, end) : std::find(begin, end, eos_id_);
    positions.push_back(at == end ? 0 : at - begin);
  }
  const auto index = torch::tensor(positions).to(hidden.device());
  return hidden.index({torch::arange(hidden.size(0), index.options()), index});
}

}  // namespace livepeer
