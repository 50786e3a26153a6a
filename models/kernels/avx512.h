#pragma once

#include <cstdint>

#include "kernels/bfloat16.h"
#include "kernels/loops.h"

/// What kernels written with AVX-512's intrinsics share. HAS_AVX512 where the compiler has them;
/// whether the processor does, cpu_level() knows.

#if defined(__x86_64__)
#include <immintrin.h>
#define HAS_AVX512 1
#define FOR_AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq")))
#endif

#ifdef HAS_AVX512
namespace livepeer::kernels {

FOR_AVX512 inline __m512 load(const BFloat16 *p) {
  const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i *>(p));
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
}

/// rows[i][j] becomes rows[j][i].
FOR_AVX512 inline void transpose(__m512i rows[16]) {
  __m512i a[16], b[16];
  UNROLL
  for (int i = 0; i < 16; i += 2) {
    a[i] = _mm512_unpacklo_epi32(rows[i], rows[i + 1]);
    a[i + 1] = _mm512_unpackhi_epi32(rows[i], rows[i + 1]);
  }
  UNROLL
  for (int i = 0; i < 16; i += 4) {
    b[i] = _mm512_unpacklo_epi64(a[i], a[i + 2]);
    b[i + 1] = _mm512_unpackhi_epi64(a[i], a[i + 2]);
    b[i + 2] = _mm512_unpacklo_epi64(a[i + 1], a[i + 3]);
    b[i + 3] = _mm512_unpackhi_epi64(a[i + 1], a[i + 3]);
  }
  UNROLL
  for (int i = 0; i < 4; ++i) {
    const __m512i even_upper = _mm512_shuffle_i32x4(b[i], b[4 + i], 0x88),
                  even_lower = _mm512_shuffle_i32x4(b[8 + i], b[12 + i], 0x88),
                  odd_upper = _mm512_shuffle_i32x4(b[i], b[4 + i], 0xdd),
                  odd_lower = _mm512_shuffle_i32x4(b[8 + i], b[12 + i], 0xdd);
    rows[i] = _mm512_shuffle_i32x4(even_upper, even_lower, 0x88);
    rows[4 + i] = _mm512_shuffle_i32x4(odd_upper, odd_lower, 0x88);
    rows[8 + i] = _mm512_shuffle_i32x4(even_upper, even_lower, 0xdd);
    rows[12 + i] = _mm512_shuffle_i32x4(odd_upper, odd_lower, 0xdd);
  }
}

}  // namespace livepeer::kernels
#endif
