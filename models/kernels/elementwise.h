#pragma once

#include <torch/types.h>

/// Fused operators for inference on CPUs, where libtorch has slow versions or none (bfloat16 in
/// 1.13). Tensors are float32 or bfloat16 on the CPU; results have the type of the parameters,
/// which is that of `x` or a smaller one; statistics and arithmetic are float32 or better. Results
/// do not depend on the number of threads.
namespace livepeer::kernels {

/// Group norm of `x + offset` (offset [batch, channels] or undefined) over [batch, channels, h, w],
/// then silu where asked for. The result is in channels-last order.
torch::Tensor group_norm(const torch::Tensor &x, const torch::Tensor &offset,
                         const torch::Tensor &weight, const torch::Tensor &bias, int64_t groups,
                         double eps, bool silu);

/// The same in place; `x` must have the type of the parameters and be in channels-last order.
void group_norm_(torch::Tensor &x, const torch::Tensor &offset, const torch::Tensor &weight,
                 const torch::Tensor &bias, int64_t groups, double eps, bool silu);

/// Normalises over the last axis.
torch::Tensor layer_norm(const torch::Tensor &x, const torch::Tensor &weight,
                         const torch::Tensor &bias, double eps);

/// Of each row, [..., 1] float32.
struct Exponentials {
  torch::Tensor sums, maxima;
};
/// Softmax over the last axis of contiguous `x` but for the division, in place: e^(x - maximum).
/// Returns what to divide by, the sums of the (rounded) results, and the maxima. A row of NaN stays
/// one.
Exponentials exponentials_(torch::Tensor &x);

/// `branch` (bfloat16) + `x` (either type) in float32, in the memory order of `branch`.
torch::Tensor add(const torch::Tensor &branch, const torch::Tensor &x);

/// [..., 2n] -> [..., n]: first half * gelu(second half).
torch::Tensor geglu(const torch::Tensor &x);

/// [batch, channels, h, w] -> [batch, channels, height, width] in channels-last order.
torch::Tensor upsample_nearest(const torch::Tensor &x, int64_t height, int64_t width);

}  // namespace livepeer::kernels
