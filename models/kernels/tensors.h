#pragma once

#include <torch/types.h>

#include "kernels/bfloat16.h"

/// What the kernels ask of tensors.
namespace livepeer::kernels {

/// Whether kernels are for `x`: a float32 or bfloat16 tensor on the CPU that takes no part in
/// autograd.
inline bool takes_kernels(const torch::Tensor &x) {
  return x.defined() && x.is_cpu() &&
         (x.scalar_type() == torch::kFloat || x.scalar_type() == torch::kBFloat16) &&
         !(torch::GradMode::is_enabled() && x.requires_grad());
}

/// Whether kernels are for `x` and a `weight`, both of type `type`.
inline bool takes_kernels(const torch::Tensor &x, const torch::Tensor &weight,
                          torch::ScalarType type) {
  return takes_kernels(x) && takes_kernels(weight) && x.scalar_type() == type &&
         weight.scalar_type() == type;
}

/// Whether `x` is a sum kept in float32 before bfloat16 parameters.
inline bool is_wide(const torch::Tensor &x, const torch::Tensor &weight) {
  return takes_kernels(x) && takes_kernels(weight) && x.scalar_type() == torch::kFloat &&
         weight.scalar_type() == torch::kBFloat16;
}

/// Whether kernels are for `x` with parameters like `weight`.
inline bool takes_kernels(const torch::Tensor &x, const torch::Tensor &weight) {
  return is_wide(x, weight) || takes_kernels(x, weight, weight.scalar_type());
}

/// The numbers of a bfloat16 tensor, for the loops, which know no torch.
inline BFloat16 *bits(const torch::Tensor &x) { return static_cast<BFloat16 *>(x.data_ptr()); }

}  // namespace livepeer::kernels
