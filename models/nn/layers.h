#pragma once

#include <torch/torch.h>

#include "nn/parameter_source.h"

namespace livepeer {

/// The few operators that all networks are made of. Each has one plain definition; fast versions
/// stand behind the same names. Inputs are cast to the weights' type by the networks, not here.

/// 2-D convolution of NCHW input; `weight` [out, in, k, k].
struct Conv2d {
  Conv2d(const ParameterScope &scope, int64_t in, int64_t out, int64_t kernel, int64_t stride = 1,
         int64_t padding = -1 /* kernel / 2 */, bool has_bias = true);
  torch::Tensor operator()(const torch::Tensor &x) const;

  torch::Tensor weight, bias;
  int64_t stride, padding;
};

/// y = x W^T + b over the last axis; `weight` [out, in].
struct Linear {
  Linear(const ParameterScope &scope, int64_t in, int64_t out, bool has_bias = true);
  torch::Tensor operator()(const torch::Tensor &x) const;

  torch::Tensor weight, bias;
};

/// Normalises over the last axis.
struct LayerNorm {
  LayerNorm(const ParameterScope &scope, int64_t channels, double eps = 1e-5);
  torch::Tensor operator()(const torch::Tensor &x) const;

  torch::Tensor weight, bias;
  double eps;
};

/// Normalises NCHW input over groups of channels.
struct GroupNorm {
  GroupNorm(const ParameterScope &scope, int64_t groups, int64_t channels, double eps);
  torch::Tensor operator()(const torch::Tensor &x) const;

  torch::Tensor weight, bias;
  int64_t groups;
  double eps;
};

/// Sinusoids of `values` [batch] as [batch, dim], float32, in the order [cos | sin] (diffusers'
/// get_timestep_embedding with flip_sin_to_cos and freq_shift 0).
torch::Tensor timestep_embedding(const torch::Tensor &values, int64_t dim);

}  // namespace livepeer
