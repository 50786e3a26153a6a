#pragma once

#include <torch/types.h>

/// Which implementation computes a product or a convolution: the one place that knows them, but for
/// the convolutions that the embedded denoiser prepares for itself (conv3x3_fused.h). For inference
/// on a CPU these are kernels of our own where they pay, and else oneDNN wherever it can rather
/// than the BLAS that happens to be installed; for autograd, other types and other devices it is
/// ATen.
namespace livepeer::kernels {

/// 2-D convolution of NCHW `x` with `weight` [out, in, k, k] and `bias` [out] or undefined. A
/// float32 `x` before bfloat16 parameters is rounded first.
torch::Tensor convolve(const torch::Tensor &x, const torch::Tensor &weight,
                       const torch::Tensor &bias, int64_t stride, int64_t padding);

/// The same, with stride 1, of `x` enlarged to twice its height and width by repeating pixels, in
/// one go; undefined where no kernel pays.
torch::Tensor convolve_doubled(const torch::Tensor &x, const torch::Tensor &weight,
                               const torch::Tensor &bias, int64_t padding);

/// x W^T + b over the last axis of `x` [..., in], with `weight` [out, in] and `bias` [out] or
/// undefined.
torch::Tensor multiply(const torch::Tensor &x, const torch::Tensor &weight,
                       const torch::Tensor &bias);

/// a b^T of each pair of matrices, [n, rows, k] and [n, columns, k] -> [n, rows, columns].
torch::Tensor multiply_batches(const torch::Tensor &a, const torch::Tensor &b);

/// The gated unit of the transformers behind that, in one go: of the product [..., 2n], the first
/// half times gelu(second half); undefined where no kernel pays.
torch::Tensor multiply_geglu(const torch::Tensor &x, const torch::Tensor &weight,
                             const torch::Tensor &bias);

}  // namespace livepeer::kernels
