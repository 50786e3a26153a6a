#pragma once

#include "kernels/bfloat16.h"
#include "kernels/conv3x3_fused_loops.h"

/// The loops of the fused 3x3 convolution of bfloat16 pictures, for processors with AVX512-BF16. No
/// torch in here, as in elementwise_loops.h.
namespace livepeer::kernels::conv3x3_fused_bf16_loops {

using Convolution = conv3x3_fused::Convolution<BFloat16>;

/// `weight` [out, in, 3, 3] as [positions][in / 2][out][2], which the products read in order.
void transform_weight(const float *weight, int64_t in, int64_t out, BFloat16 *result);

/// Bytes that row_pair() needs to work in, aligned to 64.
int64_t scratch_bytes(int64_t in, int64_t out);

/// Output rows 2 * pair and, if there is one, 2 * pair + 1.
void row_pair(const Convolution &conv, int64_t pair, void *scratch);

}  // namespace livepeer::kernels::conv3x3_fused_bf16_loops
