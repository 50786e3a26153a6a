#pragma once

#include <cstring>

#include "kernels/avx512.h"

/// What kernels for processors with AVX512-BF16 share, beyond avx512.h.
#ifdef HAS_AVX512
#define FOR_BF16 __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16")))

namespace livepeer::kernels {

/// m[row][column] = (or, where `adds`, +=) x[row][in] * panel[in][column] for 16 * groups columns;
/// `panel` is stored as [in / 2][panel_width][2].
template <int rows, int groups>
FOR_BF16 inline void multiply_bf16(const BFloat16 *x, int64_t x_stride, const BFloat16 *panel,
                                   int64_t panel_width, int64_t in, bool adds, float *m,
                                   int64_t m_stride) {
  constexpr int64_t lanes = 16;
  __m512 sum[rows][groups];
  UNROLL
  for (int r = 0; r < rows; ++r) UNROLL
  for (int g = 0; g < groups; ++g)
    sum[r][g] = adds ? _mm512_loadu_ps(m + r * m_stride + lanes * g) : _mm512_setzero_ps();
  for (int64_t k = 0; k < in; k += 2) {
    __m512bh b[groups];
    UNROLL
    for (int g = 0; g < groups; ++g)
      b[g] = (__m512bh)_mm512_loadu_si512(panel + k * panel_width + 2 * lanes * g);
    UNROLL
    for (int r = 0; r < rows; ++r) {
      int32_t both;
      std::memcpy(&both, x + r * x_stride + k, sizeof both);
      const auto a = (__m512bh)_mm512_set1_epi32(both);
      UNROLL
      for (int g = 0; g < groups; ++g) sum[r][g] = _mm512_dpbf16_ps(sum[r][g], a, b[g]);
    }
  }
  UNROLL
  for (int r = 0; r < rows; ++r) UNROLL
  for (int g = 0; g < groups; ++g) _mm512_storeu_ps(m + r * m_stride + lanes * g, sum[r][g]);
}

}  // namespace livepeer::kernels
#endif
