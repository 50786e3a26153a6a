#pragma once

#include <cstdint>

#include "kernels/bfloat16.h"

/// Inner loops of the CPU kernels over rows of contiguous channels, compiled for several
/// instruction sets, of which the best that the machine has is taken at run time. No torch in here:
/// included templates would otherwise be compiled for the wrong instruction set.
namespace livepeer::kernels::elementwise_loops {

/// Sums over `count` rows of d = x - origin, and of d^2: sums[0 .. channels) and
/// sums[channels .. 2 channels).
void sum_and_squares(const float *x, const float *origin, int64_t count, int64_t channels,
                     double *sums);
void sum_and_squares(const BFloat16 *x, const float *origin, int64_t count, int64_t channels,
                     double *sums);

/// y = scale * x + shift per channel, then y * sigmoid(y) where `silu`.
void affine(const float *x, const float *scale, const float *shift, int64_t count, int64_t channels,
            bool silu, float *y);
void affine(const BFloat16 *x, const float *scale, const float *shift, int64_t count,
            int64_t channels, bool silu, BFloat16 *y);
void affine(const float *x, const float *scale, const float *shift, int64_t count, int64_t channels,
            bool silu, BFloat16 *y);

/// Normalises each row.
void layer_norm(const float *x, const float *weight, const float *bias, float eps, int64_t count,
                int64_t channels, float *y);
void layer_norm(const BFloat16 *x, const float *weight, const float *bias, float eps, int64_t count,
                int64_t channels, BFloat16 *y);
void layer_norm(const float *x, const float *weight, const float *bias, float eps, int64_t count,
                int64_t channels, BFloat16 *y);

/// y = a + b.
void add(const BFloat16 *a, const float *b, int64_t count, float *y);
void add(const BFloat16 *a, const BFloat16 *b, int64_t count, float *y);

/// x = e^(x - maximum of the row), in place; sums[row]: of the stored values.
void exponentials(float *x, int64_t count, int64_t width, float *sums);
void exponentials(BFloat16 *x, int64_t count, int64_t width, float *sums);

/// y[i] = x[i] * gelu(x[width + i]); rows of 2 width in, of width out.
void geglu(const float *x, int64_t count, int64_t width, float *y);
void geglu(const BFloat16 *x, int64_t count, int64_t width, BFloat16 *y);
void geglu(const float *x, int64_t count, int64_t width, BFloat16 *y);

}  // namespace livepeer::kernels::elementwise_loops
