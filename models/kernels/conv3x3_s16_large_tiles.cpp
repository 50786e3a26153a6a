// F(4x4, 3x3) with the points 0, +-3/4, +-3/2 and infinity. With the usual ones, whole numbers: 0,
// +-1, +-2 and infinity, results would be half as exact.

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/conv3x3_s16_parts.h"

namespace livepeer::kernels::conv3x3_s16_loops {

#ifdef HAS_AVX512
namespace {

constexpr int64_t side = 4, window = side + 2, positions = window * window;
constexpr float a = 0.75f, b = 1.5f, aa = a * a, bb = b * b;

// Bounds as for small tiles, here the same for pixels and filters.
constexpr float largest_norm = 46300, largest = 32700;

struct Six {
  __m512 value[window];
};

FOR_VNNI inline __m512 times(float factor, __m512 x) {
  return _mm512_mul_ps(_mm512_set1_ps(factor), x);
}

/// factor * x + y.
FOR_VNNI inline __m512 times_plus(float factor, __m512 x, __m512 y) {
  return _mm512_fmadd_ps(_mm512_set1_ps(factor), x, y);
}

/// The transform of three filter taps to six: values of the polynomial at the points, each over the
/// product of its point's distances to the others.
FOR_VNNI inline Six spread(__m512 x0, __m512 x1, __m512 x2) {
  constexpr float at_a = 1 / (2 * aa * (aa - bb)), at_b = 1 / (2 * bb * (bb - aa));
  const __m512 even_a = times(at_a, times_plus(aa, x2, x0)),
               even_b = times(at_b, times_plus(bb, x2, x0)), odd_a = times(at_a * a, x1),
               odd_b = times(at_b * b, x1);
  return {{times(1 / (aa * bb), x0), _mm512_add_ps(even_a, odd_a), _mm512_sub_ps(even_a, odd_a),
           _mm512_add_ps(even_b, odd_b), _mm512_sub_ps(even_b, odd_b), x2}};
}

/// The transform of six pixels: coefficients of the products of all points' factors but one.
FOR_VNNI inline Six spread(const Six &x) {
  const __m512 *const d = x.value;
  const __m512 even_a = times_plus(-bb, d[2], d[4]), even_b = times_plus(-aa, d[2], d[4]),
               odd_a = times_plus(-bb, d[1], d[3]), odd_b = times_plus(-aa, d[1], d[3]);
  return {{times_plus(aa * bb, d[0], times_plus(-(aa + bb), d[2], d[4])),
           times_plus(a, odd_a, even_a), times_plus(-a, odd_a, even_a),
           times_plus(b, odd_b, even_b), times_plus(-b, odd_b, even_b),
           times_plus(aa * bb, d[1], times_plus(-(aa + bb), d[3], d[5]))}};
}

struct Outputs {
  __m512 value[side];
};

/// The transform of six sums to four outputs: those times the powers of their points.
FOR_VNNI inline Outputs gather(const Six &x) {
  const __m512 *const m = x.value;
  const __m512 even_a = _mm512_add_ps(m[1], m[2]), odd_a = _mm512_sub_ps(m[1], m[2]),
               even_b = _mm512_add_ps(m[3], m[4]), odd_b = _mm512_sub_ps(m[3], m[4]);
  return {{_mm512_add_ps(m[0], _mm512_add_ps(even_a, even_b)),
           times_plus(a, odd_a, times(b, odd_b)), times_plus(aa, even_a, times(bb, even_b)),
           times_plus(a * aa, odd_a, times_plus(b * bb, odd_b, m[5]))}};
}

/// What a unit of the whole numbers for the `count` values is worth; NaN where there can be none.
FOR_VNNI float scale_of(const float *values, int64_t count) {
  __m512 sum = _mm512_setzero_ps(), other_sum = sum, most = sum;
  for (int64_t i = 0; i < count; i += lane_channels) {
    const __m512 value = _mm512_loadu_ps(values + i);
    const __m512 next = _mm512_fmadd_ps(value, value, sum);
    sum = other_sum;  // two in turn, not to wait for the last one
    other_sum = next;
    most = _mm512_max_ps(most, _mm512_abs_ps(value));
  }
  const float square = _mm512_reduce_add_ps(_mm512_add_ps(sum, other_sum));
  return std::isfinite(square)
             ? std::max(std::sqrt(square) / largest_norm, _mm512_reduce_max_ps(most) / largest)
             : std::numeric_limits<float>::quiet_NaN();
}

float inverse(float scale) { return scale > 0 ? 1 / scale : 0; }

/// From one position's row of channels to the next: not a power of two, so that they do not share
/// the same places of the first-level cache.
constexpr int64_t row_stride(int64_t in) { return in + lane_channels; }

/// 16 input channels of one filter at all positions; `taps` [3][3][in].
FOR_VNNI inline void spread_filter(const BFloat16 *taps, int64_t in, __m512 *result) {
  Six columns[3];
  UNROLL
  for (int64_t x = 0; x < 3; ++x)
    columns[x] = spread(load(taps + x * in), load(taps + (3 + x) * in), load(taps + (6 + x) * in));
  UNROLL
  for (int64_t y = 0; y < window; ++y) {
    const Six row = spread(columns[0].value[y], columns[1].value[y], columns[2].value[y]);
    UNROLL
    for (int64_t x = 0; x < window; ++x) result[window * y + x] = row.value[x];
  }
}

/// A filter as rows of input channels, one per position.
FOR_VNNI void spread_rows(const BFloat16 *taps, int64_t in, float *values) {
  for (int64_t channel = 0; channel < in; channel += lane_channels) {
    __m512 value[positions];
    spread_filter(taps + channel, in, value);
    UNROLL
    for (int64_t p = 0; p < positions; ++p)
      _mm512_storeu_ps(values + p * row_stride(in) + channel, value[p]);
  }
}

FOR_VNNI void transform_filters(const BFloat16 *weight, int64_t in, int64_t out, int64_t block,
                                int16_t *panel, float *scales) {
  std::vector<float> values(size_t(positions * row_stride(in)));
  for (int64_t group = 0; group < block_filters; group += 16) {
    const int64_t first = block * block_filters + group,
                  count = std::clamp<int64_t>(out - first, 0, 16);
    float factors[positions][16] = {};
    for (int64_t i = 0; i < 16; ++i) {
      if (i < count) spread_rows(weight + (first + i) * 9 * in, in, values.data());
      for (int64_t p = 0; p < positions; ++p) {
        float &scale = scales[p * block_filters + group + i];
        scale = i < count ? scale_of(values.data() + p * row_stride(in), in) : 0;
        factors[p][i] = inverse(scale);
      }
    }
    fill_panel<positions, spread_filter>(weight + first * 9 * in, in, count, factors,
                                         panel + 2 * group);
  }
}

/// The pixels that a tile sees.
struct Window {
  Window(const Convolution &conv, const Run &run, int64_t tile) {
    for (int64_t i = 0; i < window; ++i)
      for (int64_t j = 0; j < window; ++j) {
        const int64_t y = side * run.row - 1 + i, x = side * (run.column + tile) - 1 + j;
        inside[i][j] = y >= 0 && y < conv.height && x >= 0 && x < conv.width ? 0xffff : 0;
        pixel[i][j] = conv.input;
        if (inside[i][j])
          pixel[i][j] += ((run.picture * conv.height + y) * conv.width + x) * conv.in;
      }
  }
  /// 16 of its channels; zeros outside.
  FOR_VNNI __m512 at(int64_t i, int64_t j, int64_t channel) const {
    const __m256i bits = _mm256_maskz_loadu_epi16(inside[i][j], pixel[i][j] + channel);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
  }

  const BFloat16 *pixel[window][window];
  __mmask16 inside[window][window];
};

/// A tile as rows of input channels, one per position.
FOR_VNNI void spread_window(const Window &pixels, int64_t in, float *values) {
  for (int64_t channel = 0; channel < in; channel += lane_channels) {
    Six columns[window];
    UNROLL
    for (int64_t x = 0; x < window; ++x) {
      Six column;
      UNROLL
      for (int64_t y = 0; y < window; ++y) column.value[y] = pixels.at(y, x, channel);
      columns[x] = spread(column);
    }
    UNROLL
    for (int64_t y = 0; y < window; ++y) {
      Six row;
      UNROLL
      for (int64_t x = 0; x < window; ++x) row.value[x] = columns[x].value[y];
      row = spread(row);
      UNROLL
      for (int64_t x = 0; x < window; ++x)
        _mm512_storeu_ps(values + (window * y + x) * row_stride(in) + channel, row.value[x]);
    }
  }
}

/// `v` [positions][step tiles][in] of a run, and what a unit of its numbers is worth: `scales`
/// [tiles][positions]. `values`: to work in.
FOR_VNNI void transform_input(const Convolution &conv, const Run &run, int64_t step, float *values,
                              int16_t *v, float *scales) {
  for (int64_t tile = 0; tile < run.count; ++tile) {
    spread_window(Window(conv, run, tile), conv.in, values);
    for (int64_t p = 0; p < positions; ++p) {
      const float *const row = values + p * row_stride(conv.in);
      const float scale = scale_of(row, conv.in);
      scales[tile * positions + p] = scale;
      const __m512 factor = _mm512_set1_ps(inverse(scale));
      int16_t *const out = v + (p * step + tile) * conv.in;
      for (int64_t c = 0; c < conv.in; c += lane_channels)
        _mm256_storeu_si256(reinterpret_cast<__m256i *>(out + c),
                            whole(_mm512_mul_ps(_mm512_loadu_ps(row + c), factor)));
    }
  }
}

/// Writes a run's outputs of the `block`th of the given blocks of filters.
FOR_VNNI void transform_output(const Convolution &conv, const Run &run, int64_t block, int64_t step,
                               const float *m, const float *scales) {
  const float *const filter_scales = conv.scales + block * positions * block_filters;
  const int64_t filter = (conv.first_block + block) * block_filters;
  const int64_t filters = std::min(block_filters, conv.out - filter);
  for (int64_t tile = 0; tile < run.count; ++tile) {
    const int64_t y = side * run.row, x = side * (run.column + tile);
    const int64_t rows = std::min(side, conv.height - y), columns = std::min(side, conv.width - x);
    BFloat16 *const out =
        conv.output + ((run.picture * conv.height + y) * conv.width + x) * conv.out + filter;
    for (int64_t channel = 0; channel < filters; channel += lane_channels) {
      Outputs upright[window];
      UNROLL
      for (int64_t j = 0; j < window; ++j) {
        Six column;
        UNROLL
        for (int64_t i = 0; i < window; ++i) {
          const int64_t p = window * i + j;
          const __m512 scale =
              _mm512_mul_ps(_mm512_set1_ps(scales[tile * positions + p]),
                            _mm512_loadu_ps(filter_scales + p * block_filters + channel));
          column.value[i] = _mm512_mul_ps(
              scale, _mm512_loadu_ps(m + (p * step + tile) * block_filters + channel));
        }
        upright[j] = gather(column);
      }
      const __m512 bias = _mm512_loadu_ps(conv.bias + filter + channel);
      UNROLL
      for (int64_t i = 0; i < side; ++i) {
        Six row;
        UNROLL
        for (int64_t j = 0; j < window; ++j) row.value[j] = upright[j].value[i];
        const Outputs sums = gather(row);
        UNROLL
        for (int64_t j = 0; j < side; ++j)
          if (i < rows && j < columns)
            store(out + (i * conv.width + j) * conv.out + channel,
                  _mm512_add_ps(sums.value[j], bias));
      }
    }
  }
}

int64_t tiles_at_once(int64_t) { return 24; }

/// Where the parts of the scratch memory are.
struct Scratch {
  Scratch(void *start, int64_t in)
      : v(static_cast<int16_t *>(start)),
        m(reinterpret_cast<float *>(v + positions * tiles_at_once(in) * in)),
        values(m + positions * tiles_at_once(in) * block_filters),
        scales(values + positions * row_stride(in)),
        end(scales + positions * tiles_at_once(in)) {}

  int16_t *v;
  float *m, *values, *scales, *end;
};

int64_t scratch_bytes(int64_t in) {
  return reinterpret_cast<char *>(Scratch(nullptr, in).end) - static_cast<char *>(nullptr);
}

void convolve_tiles(const Convolution &conv, int64_t first, int64_t count, void *memory) {
  const int64_t step = tiles_at_once(conv.in);
  const Scratch scratch(memory, conv.in);
  for_runs(conv, first, count, [&](const Run &run, int64_t tile) {
    transform_input(conv, run, step, scratch.values, scratch.v + tile * conv.in,
                    scratch.scales + tile * positions);
  });
  for (int64_t block = 0; block < conv.blocks; ++block) {
    for (int64_t p = 0; p < positions; ++p)
      multiply_tiles(scratch.v + p * step * conv.in,
                     conv.panels + (block * positions + p) * conv.in * block_filters, count,
                     conv.in, scratch.m + p * step * block_filters);
    for_runs(conv, first, count, [&](const Run &run, int64_t tile) {
      transform_output(conv, run, block, step, scratch.m + tile * block_filters,
                       scratch.scales + tile * positions);
    });
  }
}

}  // namespace

const Algorithm large_tiles{
    side,          positions,     /*scale_rows=*/positions, transform_filters, tiles_at_once,
    scratch_bytes, convolve_tiles};

#else  // processors without the instructions

const Algorithm large_tiles{};

#endif

}  // namespace livepeer::kernels::conv3x3_s16_loops
