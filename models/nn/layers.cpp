#include "nn/layers.h"

#include <cmath>

namespace livepeer {

Conv2d::Conv2d(const ParameterScope &scope, int64_t in, int64_t out, int64_t kernel,
               int64_t stride_, int64_t padding_, bool has_bias)
    : weight(scope.get("weight", {out, in, kernel, kernel})),
      bias(has_bias ? scope.get("bias", {out}) : torch::Tensor()),
      stride(stride_),
      padding(padding_ < 0 ? kernel / 2 : padding_) {}

torch::Tensor Conv2d::operator()(const torch::Tensor &x) const {
  return at::conv2d(x, weight, bias, stride, padding);
}

Linear::Linear(const ParameterScope &scope, int64_t in, int64_t out, bool has_bias)
    : weight(scope.get("weight", {out, in})),
      bias(has_bias ? scope.get("bias", {out}) : torch::Tensor()) {}

torch::Tensor Linear::operator()(const torch::Tensor &x) const {
  return at::linear(x, weight, bias);
}

LayerNorm::LayerNorm(const ParameterScope &scope, int64_t channels, double eps_)
    : weight(scope.get("weight", {channels})), bias(scope.get("bias", {channels})), eps(eps_) {}

torch::Tensor LayerNorm::operator()(const torch::Tensor &x) const {
  return at::layer_norm(x, {x.size(-1)}, weight, bias, eps);
}

GroupNorm::GroupNorm(const ParameterScope &scope, int64_t groups_, int64_t channels, double eps_)
    : weight(scope.get("weight", {channels})),
      bias(scope.get("bias", {channels})),
      groups(groups_),
      eps(eps_) {}

torch::Tensor GroupNorm::operator()(const torch::Tensor &x) const {
  return at::group_norm(x, groups, weight, bias, eps);
}

torch::Tensor timestep_embedding(const torch::Tensor &values, int64_t dim) {
  const int64_t half = dim / 2;
  const auto exponent = -std::log(10000.0) * torch::arange(half, torch::kFloat) / double(half);
  const auto angles = values.to(torch::kFloat).unsqueeze(1) * exponent.exp().to(values.device());
  return torch::cat({angles.cos(), angles.sin()}, 1);
}

}  // namespace livepeer
