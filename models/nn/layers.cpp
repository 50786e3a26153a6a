#include "nn/layers.h"

#include <cmath>

#include "nn/cpu_kernels.h"
#include "nn/output_observer.h"
#include "nn/product.h"
#include "nn/winograd_float.h"
#include "nn/winograd_int16.h"

namespace livepeer {
namespace {

/// Whether `x` is a sum kept in float32 before bfloat16 parameters.
bool is_wide(const torch::Tensor &x, const torch::Tensor &weight) {
  return takes_kernels(x) && takes_kernels(weight) && x.scalar_type() == torch::kFloat &&
         weight.scalar_type() == torch::kBFloat16;
}

/// Whether our own kernels take `x` with parameters like `weight`.
bool has_kernel(const torch::Tensor &x, const torch::Tensor &weight) {
  return is_wide(x, weight) ||
         (takes_kernels(x) && takes_kernels(weight) && weight.scalar_type() == x.scalar_type());
}

}  // namespace

bool takes_kernels(const torch::Tensor &x) {
  return x.defined() && x.is_cpu() &&
         (x.scalar_type() == torch::kFloat || x.scalar_type() == torch::kBFloat16) &&
         !(torch::GradMode::is_enabled() && x.requires_grad());
}

torch::Tensor convolve(const torch::Tensor &x, const torch::Tensor &weight,
                       const torch::Tensor &bias, int64_t stride, int64_t padding) {
  if (is_wide(x, weight))
    return convolve(x.to(weight.scalar_type()), weight, bias, stride, padding);
  if (winograd_int16_pays(x, weight, stride, padding))
    return winograd_int16_convolve(x, weight, bias);
  if (winograd_pays(x, weight, stride, padding)) return winograd_convolve(x, weight, bias);
  if (weight.size(2) == 1 && weight.size(3) == 1 && stride == 1 && padding == 0) {
    const auto pixels = x.permute({0, 2, 3, 1}), matrix = weight.flatten(1);
    if (product_pays(pixels, matrix)) return product(pixels, matrix, bias).permute({0, 3, 1, 2});
  }
  // Left to itself, libtorch takes BLAS for float32 where it has one thread only. bfloat16 it gives
  // to oneDNN on all machines that compute in it.
  if (x.numel() > 0 && x.scalar_type() == torch::kFloat && has_kernel(x, weight) && at::hasMKLDNN())
    return at::mkldnn_convolution(x, weight, bias, {padding, padding}, {stride, stride}, {1, 1}, 1);
  return at::conv2d(x, weight, bias, stride, padding);
}

torch::Tensor multiply(const torch::Tensor &x, const torch::Tensor &weight,
                       const torch::Tensor &bias) {
  if (is_wide(x, weight)) return multiply(x.to(weight.scalar_type()), weight, bias);
  if (product_pays(x, weight)) return product(x, weight, bias);
  // oneDNN multiplies bfloat16 matrices anyway, and few rows faster than it convolves them.
  if (x.numel() == 0 || !has_kernel(x, weight) || x.scalar_type() == torch::kBFloat16)
    return at::linear(x, weight, bias);
  // As a 1x1 convolution of a picture one pixel wide, in channels-last order.
  const int64_t in = weight.size(1), out = weight.size(0), rows = x.numel() / in;
  const auto picture = x.reshape({1, rows, 1, in}).permute({0, 3, 1, 2});
  auto sizes = x.sizes().vec();
  sizes.back() = out;
  return convolve(picture, weight.view({out, in, 1, 1}), bias, 1, 0)
      .permute({0, 2, 3, 1})
      .reshape(sizes);
}

Conv2d::Conv2d(const ParameterScope &scope, int64_t in, int64_t out, int64_t kernel,
               int64_t stride_, int64_t padding_, bool has_bias)
    : weight(scope.get("weight", {out, in, kernel, kernel})),
      bias(has_bias ? scope.get("bias", {out}) : torch::Tensor()),
      stride(stride_),
      padding(padding_ < 0 ? kernel / 2 : padding_),
      path(scope.path()) {}

torch::Tensor Conv2d::operator()(const torch::Tensor &x) const {
  auto result = convolve(x, weight, bias, stride, padding);
  OutputObserver::report(path, result);
  return result;
}

Linear::Linear(const ParameterScope &scope, int64_t in, int64_t out, bool has_bias)
    : Linear(scope, scope.get("weight", {out, in}),
             has_bias ? scope.get("bias", {out}) : torch::Tensor()) {}

Linear::Linear(const ParameterScope &scope, torch::Tensor weight_, torch::Tensor bias_)
    : weight(std::move(weight_)), bias(std::move(bias_)), path(scope.path()) {}

torch::Tensor Linear::operator()(const torch::Tensor &x) const {
  auto result = multiply(x, weight, bias);
  OutputObserver::report(path, result);
  return result;
}

torch::Tensor Linear::geglu(const torch::Tensor &x) const {
  if (gated_product_pays(x, weight) && !OutputObserver::active())
    return product(x, weight, bias, /*gated=*/true);
  return livepeer::geglu((*this)(x));
}

LayerNorm::LayerNorm(const ParameterScope &scope, int64_t channels, double eps_)
    : weight(scope.get("weight", {channels})),
      bias(scope.get("bias", {channels})),
      eps(eps_),
      path(scope.path()) {}

torch::Tensor LayerNorm::operator()(const torch::Tensor &x) const {
  auto result = has_kernel(x, weight) ? kernels::layer_norm(x, weight, bias, eps)
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
  auto result = has_kernel(x, weight)
                    ? kernels::group_norm(x, {}, weight, bias, groups, eps, /*silu=*/false)
                    : at::group_norm(x, groups, weight, bias, eps);
  OutputObserver::report(path, result);
  return result;
}

torch::Tensor GroupNorm::silu(const torch::Tensor &x, const torch::Tensor &offset) const {
  if (has_kernel(x, weight) && !OutputObserver::active())
    return kernels::group_norm(x, offset, weight, bias, groups, eps, /*silu=*/true);
  return at::silu((*this)(offset.defined() ? x + offset.unsqueeze(-1).unsqueeze(-1) : x));
}

torch::Tensor GroupNorm::silu_(torch::Tensor x, const torch::Tensor &offset) const {
  if (!has_kernel(x, weight) || is_wide(x, weight) || OutputObserver::active() ||
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
  if (has_kernel(x, x)) return kernels::geglu(x);
  const auto halves = x.chunk(2, -1);
  return halves[0] * at::gelu(halves[1]);
}

torch::Tensor repeat_samples(const torch::Tensor &x, int64_t batch) {
  if (x.size(0) == batch) return x;
  return at::cat(std::vector<torch::Tensor>(size_t(batch / x.size(0)), x));
}

torch::Tensor upsample_nearest(const torch::Tensor &x, int64_t height, int64_t width) {
  if (has_kernel(x, x)) return kernels::upsample_nearest(x, height, width);
  return at::upsample_nearest2d(x, {height, width});
}

torch::Tensor timestep_embedding(const torch::Tensor &values, int64_t dim) {
  const int64_t half = dim / 2;
  const auto exponent = -std::log(10000.0) * torch::arange(half, torch::kFloat) / double(half);
  const auto angles = values.to(torch::kFloat).unsqueeze(1) * exponent.exp().to(values.device());
  return torch::cat({angles.cos(), angles.sin()}, 1);
}

}  // namespace livepeer
