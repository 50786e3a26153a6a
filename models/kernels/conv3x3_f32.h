#pragma once

#include <torch/types.h>

namespace livepeer::kernels {

/// 3x3 convolution with stride 1 and padding 1 by the algorithm F(4x4, 3x3) of Winograd: each 4x4
/// outputs need 36 products instead of 144. See conv3x3_f32_loops.h. Rounds about three times
/// as much as a direct convolution: by up to 7e-6 of the largest output.

/// Whether it is faster, and precise enough: float32 for inference on the CPU only.
bool conv3x3_f32_pays(const torch::Tensor &x, const torch::Tensor &weight, int64_t stride,
                      int64_t padding);

/// `x` [batch, in, h, w], `weight` [out, in, 3, 3], `bias` [out] or undefined, float32 on
/// the CPU -> [batch, out, h, w] in channels-last order. Where `doubles`, of `x` enlarged to
/// [batch, in, 2 h, 2 w] by repeating pixels.
torch::Tensor conv3x3_f32(const torch::Tensor &x, const torch::Tensor &weight,
                          const torch::Tensor &bias, bool doubles = false);

}  // namespace livepeer::kernels
