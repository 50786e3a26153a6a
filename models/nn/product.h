#pragma once

#include <torch/torch.h>

namespace livepeer {

/// Products of bfloat16 matrices on CPUs, see nn/product_rows.h.

/// Whether they are faster than libtorch's for x W^T over the last axis of `x` [..., in] with
/// `weight` [out, in], and this processor can.
bool product_pays(const torch::Tensor &x, const torch::Tensor &weight);

/// x W^T + b, with `bias` [out] or undefined -> [..., out]. Where `gated`, of the first half times
/// gelu(second half), [..., out / 2], without rounding in between; needs what gated_product_pays()
/// says.
torch::Tensor product(const torch::Tensor &x, const torch::Tensor &weight,
                      const torch::Tensor &bias, bool gated = false);

bool gated_product_pays(const torch::Tensor &x, const torch::Tensor &weight);

}  // namespace livepeer
