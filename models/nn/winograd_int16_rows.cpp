#include "nn/winograd_int16_rows.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#if defined(__x86_64__) && (defined(__clang__) || __GNUC__ >= 10)
// gcc 12 takes the undefined operands of its own masked intrinsics for mistakes.
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include <immintrin.h>
#define HAS_WINOGRAD 1
/// So that arrays of sums become registers.
#define UNROLL _Pragma("GCC unroll 16")
#define FOR_VNNI __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")))
#endif

namespace livepeer::kernels::winograd_int16 {

#ifdef HAS_WINOGRAD
namespace {

// By Cauchy's inequality no sum exceeds the product of the norms of its factors, so it fits into
// 32 bits if these are bounded. The rest is left for rounding.
constexpr float largest = 32700, largest_filter_norm = 65400;

/// Tiles whose sums are in registers together.
constexpr int64_t tile_rows_at_once = 6;

/// Where a tile's row or column of 4 positions has only zeros if pixels are repeated: the second of
/// its pixels less the third one, which is the same.
constexpr int64_t zero_if_doubled = 2;

FOR_VNNI inline __m512 load(const BFloat16 *p) {
  const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i *>(p));
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
}

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
FOR_VNNI inline void spread_filter(const BFloat16 *taps, int64_t in, __m512 result[positions]) {
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

/// rows[i][j] becomes rows[j][i].
FOR_VNNI void transpose(__m512i rows[16]) {
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

/// 16 filters at `taps`, times `factors`; `panel` as in transform_filters(), at the first of them.
FOR_VNNI void fill_panel(const BFloat16 *taps, int64_t in, int64_t count, const float factors[16],
                         int16_t *panel) {
  for (int64_t c = 0; c < in; c += 2 * lane_channels) {
    // Pairs of input channels of one filter side by side, in registers of 16 pairs.
    alignas(64) int16_t pairs[positions][16][2 * lane_channels] = {};
    const int64_t channels = std::min(2 * lane_channels, in - c);
    for (int64_t filter = 0; filter < count; ++filter)
      for (int64_t part = 0; part < channels; part += lane_channels) {
        __m512 value[positions];
        spread_filter(taps + filter * 9 * in + c + part, in, value);
        const __m512 factor = _mm512_set1_ps(factors[filter]);
        UNROLL
        for (int64_t p = 0; p < positions; ++p)
          _mm256_store_si256(reinterpret_cast<__m256i *>(pairs[p][filter] + part),
                             whole(_mm512_mul_ps(value[p], factor)));
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

/// sum += a b, of pairs of whole numbers. Not by the intrinsic, for which gcc 12 copies every sum
/// back and forth, at half the speed.
FOR_VNNI inline void add_products(__m512i &sum, __m512i a, __m512i b) {
  asm("vpdpwssd %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
}

/// m[tile][filter] = v[tile][in] * u[in][filter] for as many tiles as registers can hold, and a
/// block of filters.
FOR_VNNI void multiply(const int16_t *v, const int16_t *u, int64_t in, float *m) {
  constexpr int rows = tile_rows_at_once, groups = block_filters / lane_channels;
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

int64_t bytes_of_v(int64_t in) {
  return positions * tiles_at_once(in) * in * int64_t(sizeof(int16_t));
}

int64_t bytes_of_m(int64_t in) {
  return positions * tiles_at_once(in) * block_filters * int64_t(sizeof(float));
}

}  // namespace

bool available() {
  return __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vnni");
}

void transform_filters(const BFloat16 *weight, int64_t in, int64_t out, int64_t block,
                       int16_t *panel, float *scale) {
  for (int64_t group = 0; group < block_filters; group += 16) {
    const int64_t first = block * block_filters + group,
                  count = std::clamp<int64_t>(out - first, 0, 16);
    float factors[16] = {};
    for (int64_t i = 0; i < 16; ++i) {
      float &value = scale[group + i];
      value = i < count ? filter_scale(weight + (first + i) * 9 * in, in) : 0;
      factors[i] = value > 0 ? 1 / value : 0;
    }
    fill_panel(weight + first * 9 * in, in, count, factors, panel + 2 * group);
  }
}

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

int64_t tiles_at_once(int64_t in) { return in <= 256 ? 48 : 24; }

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
      float *const mp = m + p * step * block_filters;
      // The last rows may be nobody's.
      for (int64_t tile = 0; tile < count; tile += tile_rows_at_once)
        multiply(v + (p * step + tile) * conv.in,
                 conv.panels + block * panel_size(conv.in) + p * conv.in * block_filters, conv.in,
                 mp + tile * block_filters);
    }
    for_runs(conv, first, count, [&](const Run &run, int64_t tile) {
      transform_output(conv, run, block, step, m + tile * block_filters, scales + tile);
    });
  }
}

#else  // processors without the instructions

bool available() { return false; }
void transform_filters(const BFloat16 *, int64_t, int64_t, int64_t, int16_t *, float *) {}
void pixel_norms(const BFloat16 *, int64_t, int64_t, float *) {}
int64_t tiles_at_once(int64_t) { return 1; }
int64_t scratch_bytes(int64_t) { return 0; }
void convolve_tiles(const Convolution &, int64_t, int64_t, void *) {}

#endif

}  // namespace livepeer::kernels::winograd_int16
