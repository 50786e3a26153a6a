#include "nn/clip/clip_encoder.h"

#include "nn/attention.h"
#include "nn/output_observer.h"

namespace livepeer {

CLIPEncoder::Layer::Layer(const ParameterScope &scope, int64_t channels, int64_t mlp_channels,
                          double eps)
    : layer_norm1(scope / "layer_norm1", channels, eps),
      q_proj(scope / "self_attn.q_proj", channels, channels),
      k_proj(scope / "self_attn.k_proj", channels, channels),
      v_proj(scope / "self_attn.v_proj", channels, channels),
      out_proj(scope / "self_attn.out_proj", channels, channels),
      layer_norm2(scope / "layer_norm2", channels, eps),
      fc1(scope / "mlp.fc1", channels, mlp_channels),
      fc2(scope / "mlp.fc2", mlp_channels, channels),
      path(scope.path()) {}

CLIPEncoder::CLIPEncoder(const Config &config, const ParameterScope &scope)
    : heads_(config.require<int64_t>("num_attention_heads")) {
  const auto channels = config.require<int64_t>("hidden_size");
  const auto mlp_channels = config.require<int64_t>("intermediate_size");
  const auto layers = config.require<int64_t>("num_hidden_layers");
  if (channels < 1 || channels > 1 << 16 || mlp_channels < 1 || mlp_channels > 1 << 18)
    config.fail("\"hidden_size\" or \"intermediate_size\" is out of range");
  if (layers < 0 || layers > 256) config.fail("\"num_hidden_layers\" is out of range");
  if (heads_ < 1 || channels % heads_ != 0)
    config.fail("\"num_attention_heads\" must divide \"hidden_size\"");
  const auto activation = config.get<std::string>("hidden_act", "quick_gelu");
  if (activation != "gelu" && activation != "quick_gelu")
    config.fail("\"hidden_act\" must be gelu or quick_gelu, not " + activation);
  quick_gelu_ = activation == "quick_gelu";
  const auto eps = config.get<double>("layer_norm_eps", 1e-5);
  for (size_t i = 0; i < size_t(layers); ++i)
    layers_.emplace_back(scope / "layers" / i, channels, mlp_channels, eps);
}

torch::Tensor CLIPEncoder::self_attention(const Layer &layer, const torch::Tensor &x,
                                          bool causal) const {
  const auto split = [this](const torch::Tensor &y) {
    return y.view({y.size(0), y.size(1), heads_, y.size(2) / heads_}).transpose(1, 2);
  };
  return layer.out_proj(
      attend(split(layer.q_proj(x)), {split(layer.k_proj(x)), split(layer.v_proj(x))}, causal));
}

torch::Tensor CLIPEncoder::activate(const torch::Tensor &x) const {
  return quick_gelu_ ? x * at::sigmoid(1.702 * x) : at::gelu(x);
}

torch::Tensor CLIPEncoder::operator()(torch::Tensor x, bool causal) const {
  for (const auto &layer : layers_) {
    x = x + self_attention(layer, layer.layer_norm1(x), causal);
    x = x + layer.fc2(activate(layer.fc1(layer.layer_norm2(x))));
    OutputObserver::report(layer.path, x);
  }
  return x;
}

}  // namespace livepeer
