#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/conv3x3_s16_parts.h"

namespace livepeer::kernels::conv3x3_s16_loops {

#ifdef HAS_AVX512
namespace {

// By Cauchy's inequality no sum exceeds the product of the norms of its factors, so it fits into
// 32 bits if these are bounded. The rest is left for rounding.
constexpr float largest = 32700, largest_filter_norm = 65400;

constexpr int64_t positions = 16;

/// Where a tile's row or column of 4 positions has only zeros if pixels are repeated: the second of
/// its pixels less the third one, which is the same.
constexpr int64_t zero_if_doubled = 2;

struct Four {
  __m512 value[4];
};

/// The transform of three filter taps to four.
FOR_VNNI inline Four spread(__m512 a, __m512 b, __m512 c) {
  const __m512 half = _mm512_set1_ps(0.5f);
  const __m512 outer = _mm512_add_ps(a, c);
  return {{a, _mm512_mul_ps(half, _mm512_add_ps(outer, b)),
           _mm512_mul_ps(half, _mm512_sub_ps(outer, b)), c}};
}

/// 16 input channels of one filter at all positions; `taps` [3][3][in].
FOR_VNNI inline void spread_filter(const BFloat16 *taps, int64_t in, __m512 *result) {
  Four columns[3];
  UNROLL
  for (int64_t x = 0; x < 3; ++x)
    columns[x] = spread(load(taps + x * in), load(taps + (3 + x) * in), load(taps + (6 + x) * in));
  UNROLL
  for (int64_t y = 0; y < 4; ++y) {
    const Four row = spread(columns[0].value[y], columns[1].value[y], columns[2].value[y]);
    UNROLL
    for (int64_t x = 0; x < 4; ++x) result[4 * y + x] = row.value[x];
  }
}

/// What one unit of a filter's whole numbers is worth.
FOR_VNNI float filter_scale(const BFloat16 *taps, int64_t in) {
  __m512 squares[positions], most = _mm512_setzero_ps();
  for (auto &sum : squares) sum = _mm512_setzero_ps();
  for (int64_t c = 0; c < in; c += lane_channels) {
    __m512 value[positions];
    spread_filter(taps + c, in, value);
    UNROLL
    for (int64_t p = 0; p < positions; ++p) {
      squares[p] = _mm512_fmadd_ps(value[p], value[p], squares[p]);
      most = _mm512_max_ps(most, _mm512_abs_ps(value[p]));
    }
  }
  float square = 0;
  for (const auto &sum : squares) {
    const float total = _mm512_reduce_add_ps(sum);
    if (!std::isfinite(total)) return std::numeric_limits<float>::quiet_NaN();
    square = std::max(square, total);
  }
  return std::max(_mm512_reduce_max_ps(most) / largest, std::sqrt(square) / largest_filter_norm);
}

/// The four rows of pixels that a run sees, as indices of their first pixels; -1: outside.
struct PixelRows {
  PixelRows(const Convolution &conv, const Run &run)
      : shift(conv.doubles ? 1 : 0), width(conv.width) {
    const int64_t height = (conv.height + shift) >> shift, stride = (width + shift) >> shift;
    for (int64_t i = 0; i < 4; ++i) {
      const int64_t y = 2 * run.row - 1 + i;
      first[i] = y >= 0 && y < conv.height ? (run.picture * height + (y >> shift)) * stride : -1;
    }
  }
  /// The pixel in column `x` of row `i`, or -1.
  int64_t at(int64_t i, int64_t x) const {
    return first[i] >= 0 && x >= 0 && x < width ? first[i] + (x >> shift) : -1;
  }

  int shift;
  int64_t width, first[4];
};

/// A bound of the norms of a tile's transformed pixels. NaN where there can be none.
float bound(const Convolution &conv, const PixelRows &rows, int64_t x) {
  constexpr int pairs[3][2] = {{0, 2}, {1, 2}, {1, 3}};  // of pixels that are added or subtracted
  float norm[4][4], sum = 0;
  for (int i = 0; i < 4; ++i)
    for (int j = 0; j < 4; ++j) {
      const int64_t pixel = rows.at(i, x + j);
      norm[i][j] = pixel < 0 ? 0 : conv.norms[pixel];
      sum += norm[i][j];
    }
  if (!std::isfinite(sum)) return std::numeric_limits<float>::quiet_NaN();
  float most = 0;
  for (const auto &i : pairs)
    for (const auto &j : pairs)
      most =
          std::max(most, norm[i[0]][j[0]] + norm[i[0]][j[1]] + norm[i[1]][j[0]] + norm[i[1]][j[1]]);
  return most;
}

/// Four values of a column, transformed.
FOR_VNNI inline Four load_column(const Convolution &conv, const PixelRows &rows, int64_t x,
                                 int64_t channel) {
  __m512 d[4];
  UNROLL
  for (int i = 0; i < 4; ++i) {
    const int64_t pixel = rows.at(i, x);
    d[i] = pixel < 0 ? _mm512_setzero_ps() : load(conv.input + pixel * conv.in + channel);
  }
  return {{_mm512_sub_ps(d[0], d[2]), _mm512_add_ps(d[1], d[2]), _mm512_sub_ps(d[2], d[1]),
           _mm512_sub_ps(d[1], d[3])}};
}

/// `v` [positions][step tiles][in] of a run, and what a unit of each tile's numbers is worth.
FOR_VNNI void transform_input(const Convolution &conv, const Run &run, int64_t step, int16_t *v,
                              float *scales) {
  const PixelRows rows(conv, run);
  const int64_t begin = 2 * run.column - 1;
  float factors[64];
  for (int64_t tile = 0; tile < run.count; ++tile) {
    const float norm = bound(conv, rows, begin + 2 * tile);
    scales[tile] = norm / largest;
    factors[tile] = norm > 0 ? largest / norm : 0;
  }
  const auto write = [](int16_t *to, __m512 value, __m512 factor) FOR_VNNI {
    _mm256_storeu_si256(reinterpret_cast<__m256i *>(to), whole(_mm512_mul_ps(value, factor)));
  };
  const int64_t position = step * conv.in;
  for (int64_t channel = 0; channel < conv.in; channel += lane_channels) {
    int64_t x = begin;
    Four a = load_column(conv, rows, x, channel), b = load_column(conv, rows, x + 1, channel);
    for (int64_t tile = 0; tile < run.count; ++tile, x += 2) {
      const Four c = load_column(conv, rows, x + 2, channel),
                 d = load_column(conv, rows, x + 3, channel);
      const __m512 factor = _mm512_set1_ps(factors[tile]);
      int16_t *out = v + tile * conv.in + channel;
      UNROLL
      for (int i = 0; i < 4; ++i, out += 4 * position) {
        write(out, _mm512_sub_ps(a.value[i], c.value[i]), factor);
        write(out + position, _mm512_add_ps(b.value[i], c.value[i]), factor);
        write(out + 2 * position, _mm512_sub_ps(c.value[i], b.value[i]), factor);
        write(out + 3 * position, _mm512_sub_ps(b.value[i], d.value[i]), factor);
      }
      a = c;
      b = d;
    }
  }
}

/// Writes a run's outputs of the `block`th of the given blocks of filters.
FOR_VNNI void transform_output(const Convolution &conv, const Run &run, int64_t block, int64_t step,
                               const float *m, const float *scales) {
  const float *const filter_scales = conv.scales + block * block_filters;
  const int64_t filter = (conv.first_block + block) * block_filters,
                position = step * block_filters;
  const int64_t filters = std::min(block_filters, conv.out - filter);
  for (int64_t tile = 0; tile < run.count; ++tile) {
    const int64_t y = 2 * run.row, x = 2 * (run.column + tile);
    BFloat16 *const out =
        conv.output + ((run.picture * conv.height + y) * conv.width + x) * conv.out + filter;
    for (int64_t channel = 0; channel < filters; channel += lane_channels) {
      const float *in = m + tile * block_filters + channel;
      __m512 upper[4], lower[4];
      UNROLL
      for (int j = 0; j < 4; ++j, in += position) {
        const __m512 m0 = _mm512_loadu_ps(in), m1 = _mm512_loadu_ps(in + 4 * position),
                     m2 = _mm512_loadu_ps(in + 8 * position),
                     m3 = _mm512_loadu_ps(in + 12 * position);
        upper[j] = _mm512_add_ps(_mm512_add_ps(m0, m1), m2);
        lower[j] = _mm512_sub_ps(_mm512_sub_ps(m1, m2), m3);
      }
      const __m512 scale = _mm512_mul_ps(_mm512_set1_ps(scales[tile]),
                                         _mm512_loadu_ps(filter_scales + channel)),
                   bias = _mm512_loadu_ps(conv.bias + filter + channel);
      const auto finish = [&](int64_t dy, int64_t dx, __m512 sum) FOR_VNNI {
        if (y + dy < conv.height && x + dx < conv.width)
          store(out + (dy * conv.width + dx) * conv.out + channel,
                _mm512_fmadd_ps(sum, scale, bias));
      };
      finish(0, 0, _mm512_add_ps(_mm512_add_ps(upper[0], upper[1]), upper[2]));
      finish(0, 1, _mm512_sub_ps(_mm512_sub_ps(upper[1], upper[2]), upper[3]));
      finish(1, 0, _mm512_add_ps(_mm512_add_ps(lower[0], lower[1]), lower[2]));
      finish(1, 1, _mm512_sub_ps(_mm512_sub_ps(lower[1], lower[2]), lower[3]));
    }
  }
}

int64_t tiles_at_once(int64_t in) { return in <= 256 ? 48 : 24; }

int64_t bytes_of_v(int64_t in) {
  return positions * tiles_at_once(in) * in * int64_t(sizeof(int16_t));
}

int64_t bytes_of_m(int64_t in) {
  return positions * tiles_at_once(in) * block_filters * int64_t(sizeof(float));
}

void transform_filters(const BFloat16 *weight, int64_t in, int64_t out, int64_t block,
                       int16_t *panel, float *scales) {
  for (int64_t group = 0; group < block_filters; group += 16) {
    const int64_t first = block * block_filters + group,
                  count = std::clamp<int64_t>(out - first, 0, 16);
    float factors[positions][16] = {};
    for (int64_t i = 0; i < 16; ++i) {
      float &scale = scales[group + i];
      scale = i < count ? filter_scale(weight + (first + i) * 9 * in, in) : 0;
      for (auto &row : factors) row[i] = scale > 0 ? 1 / scale : 0;
    }
    fill_panel<positions, spread_filter>(weight + first * 9 * in, in, count, factors,
                                         panel + 2 * group);
  }
}

int64_t scratch_bytes(int64_t in) { return bytes_of_v(in) + bytes_of_m(in); }

void convolve_tiles(const Convolution &conv, int64_t first, int64_t count, void *scratch) {
  const int64_t step = tiles_at_once(conv.in);
  auto *const v = static_cast<int16_t *>(scratch);
  auto *const m = reinterpret_cast<float *>(static_cast<char *>(scratch) + bytes_of_v(conv.in));
  float scales[64];
  for_runs(conv, first, count, [&](const Run &run, int64_t tile) {
    transform_input(conv, run, step, v + tile * conv.in, scales + tile);
  });
  if (conv.doubles) std::fill_n(m, positions * step * block_filters, 0.0f);
  for (int64_t block = 0; block < conv.blocks; ++block) {
    for (int64_t p = 0; p < positions; ++p) {
      if (conv.doubles && (p / 4 == zero_if_doubled || p % 4 == zero_if_doubled)) continue;
      multiply_tiles(v + p * step * conv.in,
                     conv.panels + (block * positions + p) * conv.in * block_filters, count,
                     conv.in, m + p * step * block_filters);
    }
    for_runs(conv, first, count, [&](const Run &run, int64_t tile) {
      transform_output(conv, run, block, step, m + tile * block_filters, scales + tile);
    });
  }
}

}  // namespace

const Algorithm small_tiles{2,
                            positions,
                            /*scale_rows=*/1,
                            transform_filters,
                            tiles_at_once,
                            scratch_bytes,
                            convolve_tiles};

FOR_VNNI void pixel_norms(const BFloat16 *x, int64_t count, int64_t channels, float *norms) {
  for (int64_t pixel = 0; pixel < count; ++pixel, x += channels) {
    __m512 sum = _mm512_setzero_ps();
    for (int64_t c = 0; c < channels; c += lane_channels) {
      const __m512 value = load(x + c);
      sum = _mm512_fmadd_ps(value, value, sum);
    }
    norms[pixel] = std::sqrt(_mm512_reduce_add_ps(sum));
  }
}

#else  // processors without the instructions

const Algorithm small_tiles{};
void pixel_norms(const BFloat16 *, int64_t, int64_t, float *) {}

#endif

}  // namespace livepeer::kernels::conv3x3_s16_loops
