#pragma once

#include <cstdint>

#include "kernels/bfloat16.h"

/// Inner loops of the 3x3 convolution by Winograd's minimal filtering F(2x2, 3x3) (Lavin and Gray
/// 2015, "Fast algorithms for convolutional neural networks"): 16 multiplications for four outputs
/// instead of 36. For processors with AVX512-BF16; no torch in here, as in elementwise_loops.h.
namespace livepeer::kernels::conv3x3_bf16_loops {

constexpr int64_t positions = 16;      ///< products per tile of 2x2 outputs
constexpr int64_t tiles_at_once = 24;  ///< keeps a thread's scratch memory inside its cache
constexpr int64_t lane_channels = 16;  ///< channel counts are multiples of this

bool available();

/// `weight` [out, in, 3, 3] as [positions][in / 2][out][2], which multiply() reads in order.
void transform_weight(const float *weight, int64_t in, int64_t out, BFloat16 *result);

/// What becomes of a sum: y = relu(scale * sum + shift + residual).
struct Epilogue {
  const float *scale, *shift;  ///< [out]
  const BFloat16 *residual;    ///< [height][width][out], or null
  bool relu;
};

struct Convolution {
  const BFloat16 *input;  ///< [height][width][in]
  const BFloat16 *weight;
  int64_t height, width, in, out;
  Epilogue epilogue;
  BFloat16 *output;     ///< [height][width][out], or null
  float *output_float;  ///< the same, where output is null
};

/// Bytes that rows() needs to work in, aligned to 64.
int64_t scratch_bytes(int64_t in, int64_t out);

/// Output rows 2 * pair and, if there is one, 2 * pair + 1. Each value depends on its nine inputs
/// and on whether its row and column are even or odd, and on nothing else.
void row_pair(const Convolution &conv, int64_t pair, void *scratch);

}  // namespace livepeer::kernels::conv3x3_bf16_loops
