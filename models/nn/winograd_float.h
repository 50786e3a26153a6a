#pragma once

#include <torch/torch.h>

namespace livepeer {

/// 3x3 convolution with stride 1 and padding 1 by the algorithm F(2x2, 3x3) of Winograd (Lavin &
/// Gray 2015, "Fast Algorithms for Convolutional Neural Networks"): each 2x2 output pixels need 16
/// products instead of 36. Of the same result up to rounding.

/// Whether it is faster, and numerically equal: float32 only.
bool winograd_pays(const torch::Tensor &x, const torch::Tensor &weight, int64_t stride,
                   int64_t padding);

/// `x` [batch, in, h, w], `weight` [out, in, 3, 3], `bias` [out] or undefined, float32 on
/// the CPU -> [batch, out, h, w] in channels-last order.
torch::Tensor winograd_convolve(const torch::Tensor &x, const torch::Tensor &weight,
                                const torch::Tensor &bias);

}  // namespace livepeer
