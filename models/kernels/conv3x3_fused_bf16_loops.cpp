#include "kernels/conv3x3_fused_bf16_loops.h"

#include <algorithm>
#include <cstring>

#include "kernels/avx512_bf16.h"

namespace livepeer::kernels::conv3x3_fused_bf16_loops {

#ifdef HAS_AVX512
namespace {

using conv3x3_fused::lane_channels;
using conv3x3_fused::positions;
using conv3x3_fused::tiles_at_once;

uint16_t rounded(double value) {
  const auto single = float(value);
  uint32_t bits;
  std::memcpy(&bits, &single, sizeof bits);
  return uint16_t((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

FOR_BF16 inline void store(BFloat16 *p, __m512 value) {
  _mm256_storeu_si256(reinterpret_cast<__m256i *>(p), (__m256i)_mm512_cvtneps_pbh(value));
}

/// Four values of a column, transformed; a column or row outside the picture is zero.
struct Column {
  __m512 value[4];
};

FOR_BF16 inline Column load_column(const BFloat16 *const rows[4], int64_t offset, bool inside) {
  __m512 d[4];
  for (int i = 0; i < 4; ++i)
    d[i] = inside && rows[i] ? load(rows[i] + offset) : _mm512_setzero_ps();
  return {{_mm512_sub_ps(d[0], d[2]), _mm512_add_ps(d[1], d[2]), _mm512_sub_ps(d[2], d[1]),
           _mm512_sub_ps(d[1], d[3])}};
}

/// v[position][tile][in] of the tiles [first, first + count) of a pair of rows.
FOR_BF16 void transform_input(const Convolution &conv, int64_t pair, int64_t first, int64_t count,
                              BFloat16 *v) {
  const int64_t step = tiles_at_once * conv.in;
  const conv3x3_fused::InputRows<BFloat16> rows(conv, pair);
  for (int64_t channel = 0; channel < conv.in; channel += lane_channels) {
    int64_t x = 2 * first - 1;
    Column a = load_column(rows.row, x * conv.in + channel, x >= 0);
    Column b = load_column(rows.row, (x + 1) * conv.in + channel, true);
    for (int64_t tile = 0; tile < count; ++tile, x += 2) {
      const Column c = load_column(rows.row, (x + 2) * conv.in + channel, x + 2 < conv.width);
      const Column d = load_column(rows.row, (x + 3) * conv.in + channel, x + 3 < conv.width);
      BFloat16 *out = v + tile * conv.in + channel;
      for (int i = 0; i < 4; ++i, out += 4 * step) {
        store(out, _mm512_sub_ps(a.value[i], c.value[i]));
        store(out + step, _mm512_add_ps(b.value[i], c.value[i]));
        store(out + 2 * step, _mm512_sub_ps(c.value[i], b.value[i]));
        store(out + 3 * step, _mm512_sub_ps(b.value[i], d.value[i]));
      }
      a = c;
      b = d;
    }
  }
}

/// All rows of a block, a few at a time; `count` is rounded up, which scratch memory allows.
template <int groups>
FOR_BF16 void multiply_block(const BFloat16 *v, const BFloat16 *u, int64_t count, int64_t in,
                             int64_t out, float *m) {
  constexpr int rows = groups == 4 ? 6 : 8;  // as many sums as there are registers
  static_assert(tiles_at_once % rows == 0);
  for (int64_t row = 0; row < count; row += rows)
    multiply_bf16<rows, groups>(v + row * in, in, u, out, in, /*adds=*/false, m + row * out, out);
}

FOR_BF16 void multiply_all(const Convolution &conv, int64_t count, const BFloat16 *v, float *m) {
  for (int64_t p = 0; p < positions; ++p) {
    const BFloat16 *vp = v + p * tiles_at_once * conv.in,
                   *up = conv.weight + p * conv.in * conv.out;
    float *mp = m + p * tiles_at_once * conv.out;
    int64_t group = 0;
    const int64_t groups = conv.out / lane_channels;
    while (group < groups) {
      const int64_t left = groups - group, column = group * lane_channels;
      if (left == 4) {
        multiply_block<4>(vp, up + 2 * column, count, conv.in, conv.out, mp + column);
        group += 4;
      } else if (left >= 3) {
        multiply_block<3>(vp, up + 2 * column, count, conv.in, conv.out, mp + column);
        group += 3;
      } else {
        multiply_block<1>(vp, up + 2 * column, count, conv.in, conv.out, mp + column);
        group += 1;
      }
    }
  }
}

/// Scale, shift, residual and relu of 16 channels of a pixel.
FOR_BF16 inline void finish(const Convolution &conv, int64_t y, int64_t x, int64_t channel,
                            __m512 sum) {
  if (y >= conv.height || x >= conv.width) return;
  const auto &epilogue = conv.epilogue;
  const int64_t at = (y * conv.width + x) * conv.out + channel;
  sum = _mm512_fmadd_ps(sum, _mm512_loadu_ps(epilogue.scale + channel),
                        _mm512_loadu_ps(epilogue.shift + channel));
  if (epilogue.residual) sum = _mm512_add_ps(sum, load(epilogue.residual + at));
  if (epilogue.relu) sum = _mm512_max_ps(sum, _mm512_setzero_ps());
  if (conv.output)
    store(conv.output + at, sum);
  else
    _mm512_storeu_ps(conv.output_float + at, sum);
}

FOR_BF16 void transform_output(const Convolution &conv, int64_t pair, int64_t first, int64_t count,
                               const float *m) {
  const int64_t step = tiles_at_once * conv.out;
  for (int64_t tile = 0; tile < count; ++tile) {
    const int64_t y = 2 * pair, x = 2 * (first + tile);
    for (int64_t channel = 0; channel < conv.out; channel += lane_channels) {
      const float *in = m + tile * conv.out + channel;
      __m512 upper[4], lower[4];
      for (int j = 0; j < 4; ++j, in += step) {
        const __m512 m0 = _mm512_loadu_ps(in), m1 = _mm512_loadu_ps(in + 4 * step),
                     m2 = _mm512_loadu_ps(in + 8 * step), m3 = _mm512_loadu_ps(in + 12 * step);
        upper[j] = _mm512_add_ps(_mm512_add_ps(m0, m1), m2);
        lower[j] = _mm512_sub_ps(_mm512_sub_ps(m1, m2), m3);
      }
      finish(conv, y, x, channel, _mm512_add_ps(_mm512_add_ps(upper[0], upper[1]), upper[2]));
      finish(conv, y, x + 1, channel, _mm512_sub_ps(_mm512_sub_ps(upper[1], upper[2]), upper[3]));
      finish(conv, y + 1, x, channel, _mm512_add_ps(_mm512_add_ps(lower[0], lower[1]), lower[2]));
      finish(conv, y + 1, x + 1, channel,
             _mm512_sub_ps(_mm512_sub_ps(lower[1], lower[2]), lower[3]));
    }
  }
}

int64_t bytes_of_v(int64_t in) {
  return positions * tiles_at_once * in * int64_t(sizeof(BFloat16));
}

}  // namespace

void transform_weight(const float *weight, int64_t in, int64_t out, BFloat16 *result) {
  for (int64_t o = 0; o < out; ++o)
    for (int64_t i = 0; i < in; ++i) {
      double values[positions];
      conv3x3_fused::spread_filter(weight + (o * in + i) * 9, values);
      for (int64_t p = 0; p < positions; ++p)
        result[((p * (in / 2) + i / 2) * out + o) * 2 + i % 2].bits = rounded(values[p]);
    }
}

int64_t scratch_bytes(int64_t in, int64_t out) {
  return bytes_of_v(in) + positions * tiles_at_once * out * int64_t(sizeof(float));
}

void row_pair(const Convolution &conv, int64_t pair, void *scratch) {
  auto *v = static_cast<BFloat16 *>(scratch);
  auto *m = reinterpret_cast<float *>(static_cast<char *>(scratch) + bytes_of_v(conv.in));
  const int64_t tiles = (conv.width + 1) / 2;
  for (int64_t first = 0; first < tiles; first += tiles_at_once) {
    const int64_t count = std::min(tiles_at_once, tiles - first);
    transform_input(conv, pair, first, count, v);
    multiply_all(conv, count, v, m);
    transform_output(conv, pair, first, count, m);
  }
}

#else  // processors without the instructions

void transform_weight(const float *, int64_t, int64_t, BFloat16 *) {}
int64_t scratch_bytes(int64_t, int64_t) { return 0; }
void row_pair(const Convolution &, int64_t, void *) {}

#endif

}  // namespace livepeer::kernels::conv3x3_fused_bf16_loops
