#pragma once

#include "kernels/conv3x3_fused_loops.h"
#include "kernels/cpu_level.h"

/// The loops of the fused 3x3 convolution of float32 pictures, compiled for several
/// levels. No torch in here, as in elementwise_loops.h.
namespace livepeer::kernels::conv3x3_fused_f32_loops {

using Convolution = conv3x3_fused::Convolution<float>;

/// Bytes that row_pair() needs to work in.
inline int64_t scratch_bytes(int64_t in, int64_t out) {
  return conv3x3_fused::positions * conv3x3_fused::tiles_at_once * (in + out) *
         int64_t(sizeof(float));
}

template <CpuLevel level>
struct Loops {
  /// `weight` [out, in, 3, 3] as a panel of matmul_f32_loops for each position.
  static void transform_weight(const float *weight, int64_t in, int64_t out, float *result);

  /// Output rows 2 * pair and, if there is one, 2 * pair + 1.
  static void row_pair(const Convolution &conv, int64_t pair, void *scratch);
};

}  // namespace livepeer::kernels::conv3x3_fused_f32_loops
