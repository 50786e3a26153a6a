#pragma once

#include <torch/types.h>

namespace livepeer::kernels {

/// Products of float32 matrices. See matmul_f32_loops.h.

/// Whether it is faster than the library: measured with AVX2, where a product as a 1x1 convolution
/// of oneDNN takes a third longer, and BLAS as long as the one that is installed does.
bool matmul_f32_pays(const torch::Tensor &x, const torch::Tensor &weight);

/// x W^T + b over the last axis of `x` [..., in], with `weight` [out, in] and `bias` [out] or
/// undefined; float32 on the CPU, `out` a multiple of 16. Does not depend on how many rows there
/// are, or threads.
torch::Tensor matmul_f32(const torch::Tensor &x, const torch::Tensor &weight,
                         const torch::Tensor &bias);

}  // namespace livepeer::kernels
