#pragma once

#include <torch/types.h>

namespace livepeer::kernels {

/// Products of bfloat16 matrices on CPUs, see matmul_bf16_loops.h.

/// Whether they are faster than libtorch's for x W^T over the last axis of `x` [..., in] with
/// `weight` [out, in], and this processor can.
bool matmul_bf16_pays(const torch::Tensor &x, const torch::Tensor &weight);

/// x W^T + b, with `bias` [out] or undefined -> [..., out]. Where `gated`, of the first half times
/// gelu(second half), [..., out / 2], without rounding in between; needs what
/// gated_matmul_bf16_pays() says.
torch::Tensor matmul_bf16(const torch::Tensor &x, const torch::Tensor &weight,
                          const torch::Tensor &bias, bool gated = false);

bool gated_matmul_bf16_pays(const torch::Tensor &x, const torch::Tensor &weight);

}  // namespace livepeer::kernels
