#pragma once

#include <torch/types.h>

namespace livepeer::kernels {

/// 3x3 convolution of bfloat16 pictures with stride 1 and padding 1 by the algorithms of Winograd,
/// in whole numbers of 16 bits: see conv3x3_s16_loops.h. The error of its sums is a fifth to
/// two thirds of what rounding them to bfloat16 costs anyway (with 256 to 1024 channels).

/// Whether it is faster, and this processor can.
bool conv3x3_s16_pays(const torch::Tensor &x, const torch::Tensor &weight, int64_t stride,
                      int64_t padding);

/// `x` [batch, in, h, w], `weight` [out, in, 3, 3], bfloat16 on the CPU; `bias` [out] or undefined
/// -> [batch, out, h, w] in channels-last order. Where `doubles`, of `x` enlarged to [batch, in,
/// 2 h, 2 w] by repeating pixels, which saves 7 of 16 products.
torch::Tensor conv3x3_s16(const torch::Tensor &x, const torch::Tensor &weight,
                          const torch::Tensor &bias, bool doubles = false);

}  // namespace livepeer::kernels
