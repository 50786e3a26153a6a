#include "nn/layers.h"

#include <cmath>

#include "kernels/dispatch.h"
#include "kernels/elementwise.h"
#include "kernels/tensors.h"
#include "nn/output_observer.h"

namespace livepeer {
using kernels::takes_kernels;

Conv2d::Conv2d(const ParameterScope &scope, int64_t in, int64_t out, int64_t kernel,
               int64_t stride_, int64_t padding_, bool has_bias)
    : weight(scope.get("weight", {out, in, kernel, kernel})),
      bias(has_bias ? scope.get("bias", {out}) : torch::Tensor()),
      stride(stride_),
      padding(padding_ < 0 ? kernel / 2 : padding_),
      path(scope.path()) {}

torch::Tensor Conv2d::operator()(const torch::Tensor &x) const {
  auto result = kernels::convolve(x, weight, bias, stride, padding);
  OutputObserver::report(path, result);
  return result;
}

Linear::Linear(const ParameterScope &scope, int64_t in, int64_t out, bool has_bias)
    : Linear(scope, scope.get("weight", {out, in}),
             has_bias ? scope.get("bias", {out}) : torch::Tensor()) {}

Linear::Linear(const ParameterScope &scope, torch::Tensor weight_, torch::Tensor bias_)
    : weight(std::move(weight_)), bias(std::move(bias_)), path(scope.path()) {}

torch::Tensor Linear::operator()(const torch::Tensor &x) const {
  auto result = kernels::multiply(x, weight, bias);
  OutputObserver::report(path, result);
  return result;
}

torch::Tensor Linear::geglu(const torch::Tensor &x) const {
  torch::Tensor result;
  if (!OutputObserver::active()) result = kernels::multiply_geglu(x, weight, bias);
  return result.defined() ? result : livepeer::geglu((*this)(x));
}

LayerNorm::LayerNorm(const ParameterScope &scope, int64_t channels, double eps_)
    : weight(scope.get("weight", {channels})),
      bias(scope.get("bias", {channels})),
      eps(eps_),
      path(scope.path()) {}

torch::Tensor LayerNorm::operator()(const torch::Tensor &x) const {
  auto result = takes_kernels(x, weight) ? kernels::layer_norm(x, weight, bias, eps)
                                         : at::layer_norm(x, {x.size(-1)}, weight, bias, eps);
  OutputObserver::report(path, result);
  return result;
}

GroupNorm::GroupNorm(const ParameterScope &scope, int64_t groups_, int64_t channels, double eps_)
    : weight(scope.get("weight", {channels})),
      bias(scope.get("bias", {channels})),
      groups(groups_),
      eps(eps_),
      path(scope.path()) {}

torch::Tensor GroupNorm::operator()(const torch::Tensor &x) const {
  auto result = takes_kernels(x, weight)
                    ? kernels::group_norm(x, {}, weight, bias, groups, eps, /*silu=*/false)
                    : at::group_norm(x, groups, weight, bias, eps);
  OutputObserver::report(path, result);
  return result;
}

torch::Tensor GroupNorm::silu(const torch::Tensor &x, const torch::Tensor &offset) const {
  if (takes_kernels(x, weight) && !OutputObserver::active())
    return kernels::group_norm(x, offset, weight, bias, groups, eps, /*silu=*/true);
  return at::silu((*this)(offset.defined() ? x + offset.unsqueeze(-1).unsqueeze(-1) : x));
}

torch::Tensor GroupNorm::silu_(torch::Tensor x, const torch::Tensor &offset) const {
  if (!takes_kernels(x, weight) || kernels::is_wide(x, weight) || OutputObserver::active() ||
      !x.is_contiguous(at::MemoryFormat::ChannelsLast))
    return silu(x, offset);
  kernels::group_norm_(x, offset, weight, bias, groups, eps, /*silu=*/true);
  return x;
}

torch::Tensor add_branch(torch::Tensor branch, const torch::Tensor &x) {
  if (branch.scalar_type() == torch::kBFloat16 && takes_kernels(branch) && takes_kernels(x))
    return kernels::add(branch, x);
  return branch.add_(x);
}

torch::Tensor geglu(const torch::Tensor &x) {
  if (takes_kernels(x, x)) return kernels::geglu(x);
  const auto halves = x.chunk(2, -1);
  return halves[0] * at::gelu(halves[1]);
}

torch::Tensor repeat_samples(const torch::Tensor &x, int64_t batch) {
  if (x.size(0) == batch) return x;
  return at::cat(std::vector<torch::Tensor>(size_t(batch / x.size(0)), x));
}

torch::Tensor upsample_nearest(const torch::Tensor &x, int64_t height, int64_t width) {
  if (takes_kernels(x, x)) return kernels::upsample_nearest(x, height, width);
  return at::upsample_nearest2d(x, {height, width});
}

torch::Tensor timestep_embedding(const torch::Tensor &values, int64_t dim) {
  const int64_t half = dim / 2;
  const auto exponent = -std::log(10000.0) * torch::arange(half, torch::kFloat) / double(half);
  const auto angles = values.to(torch::kFloat).unsqueeze(1) * exponent.exp().to(values.device());
  return torch::cat({angles.cos(), angles.sin()}, 1);
}

}  // namespace livepeer
