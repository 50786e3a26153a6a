#pragma once

#include <cstdint>

#include "kernels/bfloat16.h"
#include "kernels/cpu_level.h"

/// Inner loops of the CPU kernels over rows of contiguous channels, compiled for several levels. No
/// torch in here: included templates would otherwise be compiled for the wrong instruction set.
namespace livepeer::kernels::elementwise_loops {

template <CpuLevel level>
struct Loops {
  /// Sums over `count` rows of d = x - origin, and of d^2: sums[0 .. channels) and
  /// sums[channels .. 2 channels).
  static void sum_and_squares(const float *x, const float *origin, int64_t count, int64_t channels,
                              double *sums);
  static void sum_and_squares(const BFloat16 *x, const float *origin, int64_t count,
                              int64_t channels, double *sums);

  /// y = scale * x + shift per channel, then y * sigmoid(y) where `silu`.
  static void affine(const float *x, const float *scale, const float *shift, int64_t count,
                     int64_t channels, bool silu, float *y);
  static void affine(const BFloat16 *x, const float *scale, const float *shift, int64_t count,
                     int64_t channels, bool silu, BFloat16 *y);
  static void affine(const float *x, const float *scale, const float *shift, int64_t count,
                     int64_t channels, bool silu, BFloat16 *y);

  /// Normalises each row.
  static void layer_norm(const float *x, const float *weight, const float *bias, float eps,
                         int64_t count, int64_t channels, float *y);
  static void layer_norm(const BFloat16 *x, const float *weight, const float *bias, float eps,
                         int64_t count, int64_t channels, BFloat16 *y);
  static void layer_norm(const float *x, const float *weight, const float *bias, float eps,
                         int64_t count, int64_t channels, BFloat16 *y);

  /// y = a + b.
  static void add(const BFloat16 *a, const float *b, int64_t count, float *y);
  static void add(const BFloat16 *a, const BFloat16 *b, int64_t count, float *y);

  /// x = e^(x - maxima[row]), in place; sums[row]: of the stored values.
  static void exponentials(float *x, int64_t count, int64_t width, float *sums, float *maxima);
  static void exponentials(BFloat16 *x, int64_t count, int64_t width, float *sums, float *maxima);

  /// y[i] = x[i] * gelu(x[width + i]); rows of 2 width in, of width out.
  static void geglu(const float *x, int64_t count, int64_t width, float *y);
  static void geglu(const BFloat16 *x, int64_t count, int64_t width, BFloat16 *y);
  static void geglu(const float *x, int64_t count, int64_t width, BFloat16 *y);
};

}  // namespace livepeer::kernels::elementwise_loops
