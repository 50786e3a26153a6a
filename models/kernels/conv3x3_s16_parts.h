#pragma once

#include <algorithm>
#include <cstring>

#include "kernels/avx512.h"
#include "kernels/conv3x3_s16_loops.h"

/// What both algorithms of conv3x3_s16_loops.h are made of.

#ifdef HAS_AVX512
#define FOR_VNNI __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")))

namespace livepeer::kernels::conv3x3_s16_loops {
/// To the nearest, ties to even; a NaN stays one.
FOR_VNNI inline void store(BFloat16 *p, __m512 value) {
  const __m512i bits = _mm512_castps_si512(value);
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  const __m512i rounded = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
  const __mmask16 nan = _mm512_cmp_ps_mask(value, value, _CMP_UNORD_Q);
  const __m512i kept = _mm512_mask_mov_epi32(rounded, nan, _mm512_set1_epi32(0x7fc00000));
  _mm256_storeu_si256(reinterpret_cast<__m256i *>(p),
                      _mm512_cvtepi32_epi16(_mm512_srli_epi32(kept, 16)));
}

FOR_VNNI inline __m256i whole(__m512 value) {
  return _mm512_cvtepi32_epi16(_mm512_cvtps_epi32(value));
}

/// The `count` <= 16 filters at `taps`, transformed by spread_filter(taps, in, result[positions]),
/// times `factors`; `panel` as in transform_filters(), at the first of them.
template <int64_t positions, void (*spread_filter)(const BFloat16 *, int64_t, __m512 *)>
FOR_VNNI inline void fill_panel(const BFloat16 *taps, int64_t in, int64_t count,
                                const float (&factors)[positions][16], int16_t *panel) {
  for (int64_t c = 0; c < in; c += 2 * lane_channels) {
    // Pairs of input channels of one filter side by side, in registers of 16 pairs.
    alignas(64) int16_t pairs[positions][16][2 * lane_channels] = {};
    const int64_t channels = std::min(2 * lane_channels, in - c);
    for (int64_t filter = 0; filter < count; ++filter)
      for (int64_t part = 0; part < channels; part += lane_channels) {
        __m512 value[positions];
        spread_filter(taps + filter * 9 * in + c + part, in, value);
        UNROLL
        for (int64_t p = 0; p < positions; ++p)
          _mm256_store_si256(reinterpret_cast<__m256i *>(pairs[p][filter] + part),
                             whole(_mm512_mul_ps(value[p], _mm512_set1_ps(factors[p][filter]))));
      }
    for (int64_t p = 0; p < positions; ++p) {
      __m512i rows[16];
      UNROLL
      for (int i = 0; i < 16; ++i) rows[i] = _mm512_load_si512(pairs[p][i]);
      transpose(rows);
      int16_t *out = panel + (p * in + c) * block_filters;
      for (int64_t pair = 0; pair < channels / 2; ++pair)
        _mm512_storeu_si512(out + pair * 2 * block_filters, rows[pair]);
    }
  }
}

/// Tiles of one row of tiles: the first one's place.
struct Run {
  int64_t picture, row, column, count;
};

/// Calls function(run, its first tile less `first`) for the tiles [first, first + count).
template <typename Function>
void for_runs(const Convolution &conv, int64_t first, int64_t count, Function function) {
  const int64_t columns = conv.tile_columns();
  for (int64_t done = 0; done < count;) {
    const int64_t row = (first + done) / columns, column = (first + done) % columns;
    const Run run{row / conv.tile_rows(), row % conv.tile_rows(), column,
                  std::min(count - done, columns - column)};
    function(run, done);
    done += run.count;
  }
}

/// sum += a b, of pairs of whole numbers. Not by the intrinsic, for which gcc 12 copies every sum
/// back and forth, at half the speed.
FOR_VNNI inline void add_products(__m512i &sum, __m512i a, __m512i b) {
  asm("vpdpwssd %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
}

/// m[tile][filter] = v[tile][in] * u[in][filter] for a few tiles and a block of filters.
template <int rows>
FOR_VNNI inline void multiply(const int16_t *v, const int16_t *u, int64_t in, float *m) {
  constexpr int groups = block_filters / lane_channels;
  __m512i sum[rows][groups];
  UNROLL
  for (int r = 0; r < rows; ++r) UNROLL
  for (int g = 0; g < groups; ++g) sum[r][g] = _mm512_setzero_si512();
  for (int64_t k = 0; k < in; k += 2) {
    __m512i b[groups];
    UNROLL
    for (int g = 0; g < groups; ++g)
      b[g] = _mm512_loadu_si512(u + k * block_filters + 2 * lane_channels * g);
    UNROLL
    for (int r = 0; r < rows; ++r) {
      int32_t both;
      std::memcpy(&both, v + r * in + k, sizeof both);
      const auto a = _mm512_set1_epi32(both);
      UNROLL
      for (int g = 0; g < groups; ++g) add_products(sum[r][g], a, b[g]);
    }
  }
  UNROLL
  for (int r = 0; r < rows; ++r) UNROLL
  for (int g = 0; g < groups; ++g)
    _mm512_storeu_ps(m + r * block_filters + lane_channels * g, _mm512_cvtepi32_ps(sum[r][g]));
}

/// The same for any number of tiles.
FOR_VNNI inline void multiply_tiles(const int16_t *v, const int16_t *u, int64_t count, int64_t in,
                                    float *m) {
  constexpr int64_t most = 6;  // whose sums are in registers together
  int64_t tile = 0;
  for (; tile + most <= count; tile += most)
    multiply<most>(v + tile * in, u, in, m + tile * block_filters);
  for (; tile + 2 <= count; tile += 2) multiply<2>(v + tile * in, u, in, m + tile * block_filters);
  if (tile < count) multiply<1>(v + tile * in, u, in, m + tile * block_filters);
}

}  // namespace livepeer::kernels::conv3x3_s16_loops
#endif
