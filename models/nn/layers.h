#pragma once

#include <torch/types.h>

#include <string>

#include "weights/parameter_source.h"

namespace livepeer {

/// The few operators that all networks are made of. Each has one plain definition in ATen, which
/// runs under autograd, autocast and on GPUs; for inference on a CPU faster versions with the same
/// result (up to rounding) stand behind the same names. They are fastest for float32 and bfloat16
/// activations in channels-last order. Inputs are cast to the weights' type by the networks, not
/// here, but for float32 inputs (sums, see add_branch) of bfloat16 weights on CPUs.

/// 2-D convolution of NCHW input; `weight` [out, in, k, k].
struct Conv2d {
  Conv2d(const ParameterScope &scope, int64_t in, int64_t out, int64_t kernel, int64_t stride = 1,
         int64_t padding = -1 /* kernel / 2 */, bool has_bias = true);
  torch::Tensor operator()(const torch::Tensor &x) const;
  torch::ScalarType dtype() const { return weight.scalar_type(); }

  torch::Tensor weight, bias;
  int64_t stride, padding;
  std::string path;
};

/// y = x W^T + b over the last axis; `weight` [out, in].
struct Linear {
  Linear(const ParameterScope &scope, int64_t in, int64_t out, bool has_bias = true);
  /// With parameters that are stored under other names than those of a linear layer.
  Linear(const ParameterScope &scope, torch::Tensor weight, torch::Tensor bias);
  torch::Tensor operator()(const torch::Tensor &x) const;
  /// geglu() of that.
  torch::Tensor geglu(const torch::Tensor &x) const;

  torch::Tensor weight, bias;
  std::string path;
};

/// Normalises over the last axis.
struct LayerNorm {
  LayerNorm(const ParameterScope &scope, int64_t channels, double eps = 1e-5);
  torch::Tensor operator()(const torch::Tensor &x) const;

  torch::Tensor weight, bias;
  double eps;
  std::string path;
};

/// Normalises NCHW input over groups of channels.
struct GroupNorm {
  GroupNorm(const ParameterScope &scope, int64_t groups, int64_t channels, double eps);
  torch::Tensor operator()(const torch::Tensor &x) const;
  /// silu(norm(x + offset)), where `offset` [batch, channels] (undefined: 0) is the same for all
  /// pixels.
  torch::Tensor silu(const torch::Tensor &x, const torch::Tensor &offset = {}) const;
  /// The same, where `x` may be overwritten; saves memory and time.
  torch::Tensor silu_(torch::Tensor x, const torch::Tensor &offset = {}) const;

  torch::Tensor weight, bias;
  int64_t groups;
  double eps;
  std::string path;
};

/// `branch` + `x`, which has the shape of `branch` and may be float32 where `branch` is bfloat16.
/// bfloat16 sums are float32 for inference on a CPU: a network adds dozens of branches to a
/// picture, and rounding after each is most of what bfloat16 would lose. May overwrite `branch`.
torch::Tensor add_branch(torch::Tensor branch, const torch::Tensor &x);

/// The gated unit of the transformers: of `x` [..., 2n], the first half times gelu(second half),
/// [..., n]. The exact gelu, by the error function.
torch::Tensor geglu(const torch::Tensor &x);

/// `x` over and over until there are `batch` samples, a multiple of its own number. Keeps the order
/// in memory.
torch::Tensor repeat_samples(const torch::Tensor &x, int64_t batch);

/// Enlarges NCHW `x` to height x width by repeating the nearest pixel.
torch::Tensor upsample_nearest(const torch::Tensor &x, int64_t height, int64_t width);

/// Sinusoids of `values` [batch] as [batch, dim], float32, in the order [cos | sin] (diffusers'
/// get_timestep_embedding with flip_sin_to_cos and freq_shift 0).
torch::Tensor timestep_embedding(const torch::Tensor &values, int64_t dim);

}  // namespace livepeer
