#include "kernels/elementwise_loops.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/loops.h"

namespace livepeer::kernels::elementwise_loops {
namespace {

ALWAYS_INLINE float load(const float *p) { return *p; }

ALWAYS_INLINE float load(const BFloat16 *p) {
  const uint32_t bits = uint32_t(p->bits) << 16;
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

ALWAYS_INLINE void store(float *p, float value) { *p = value; }

/// To the nearest, ties to even; a NaN stays one.
ALWAYS_INLINE void store(BFloat16 *p, float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  const uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  p->bits = uint16_t((bits & 0x7fffffffu) > 0x7f800000u ? 0x7fc0u : rounded);
}

/// Channels that the loops work on at a time: a few registers of any instruction set.
constexpr int64_t lanes = 32;

/// e^x to about 2 units in the last place; saturates near the ends of the float range.
ALWAYS_INLINE float exponential(float x) {
  x = x > 88.0f ? 88.0f : x;
  x = x < -87.0f ? -87.0f : x;
  // x = n ln 2 + r: adding 1.5 * 2^23 rounds to an integer.
  const float magic = 12582912.0f;
  const float n = (x * 1.44269504f + magic) - magic;
  const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 1.0f / 720;
  p = p * r + 1.0f / 120;
  p = p * r + 1.0f / 24;
  p = p * r + 1.0f / 6;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  const int32_t power = (int32_t(n) + 127) << 23;
  float two_to_n;
  std::memcpy(&two_to_n, &power, sizeof two_to_n);
  return p * two_to_n;
}

ALWAYS_INLINE float silu_of(float x) { return x / (1.0f + exponential(-x)); }

/// x times the normal distribution function, by formula 7.1.26 of Abramowitz and Stegun for the
/// error function (absolute error 1.5e-7).
ALWAYS_INLINE float gelu_of(float x) {
  const float z = std::fabs(x) * 0.70710678f;
  const float t = 1.0f / (1.0f + 0.3275911f * z);
  float p = 1.061405429f;
  p = p * t - 1.453152027f;
  p = p * t + 1.421413741f;
  p = p * t - 0.284496736f;
  p = p * t + 0.254829592f;
  const float tail = 0.5f * p * t * exponential(-z * z);
  return x * (x < 0 ? tail : 1.0f - tail);
}

template <typename T>
ALWAYS_INLINE void sum_and_squares_of(const T *x, const float *origin, int64_t count,
                                      int64_t channels, double *sums) {
  // Short runs in float32, added up in double.
  constexpr int64_t run = 32;
  for (int64_t c = 0; c < channels; c += lanes) {
    const int64_t width = std::min(lanes, channels - c);
    double total[lanes] = {}, total_squares[lanes] = {};
    for (int64_t row = 0; row < count; row += run) {
      const int64_t end = std::min(count, row + run);
      float sum[lanes] = {}, squares[lanes] = {};
      for (int64_t r = row; r < end; ++r) {
        const T *p = x + r * channels + c;
        if (width == lanes) {
          for (int64_t i = 0; i < lanes; ++i) {
            const float d = load(p + i) - origin[c + i];
            sum[i] += d;
            squares[i] += d * d;
          }
        } else {
          for (int64_t i = 0; i < width; ++i) {
            const float d = load(p + i) - origin[c + i];
            sum[i] += d;
            squares[i] += d * d;
          }
        }
      }
      for (int64_t i = 0; i < lanes; ++i) {
        total[i] += double(sum[i]);
        total_squares[i] += double(squares[i]);
      }
    }
    for (int64_t i = 0; i < width; ++i) {
      sums[c + i] = total[i];
      sums[channels + c + i] = total_squares[i];
    }
  }
}

template <typename In, typename Out>
ALWAYS_INLINE void affine_of(const In *x, const float *scale, const float *shift, int64_t count,
                             int64_t channels, bool silu, Out *y) {
  for (int64_t row = 0; row < count; ++row, x += channels, y += channels) {
    if (silu) {
      ELEMENTWISE
      for (int64_t c = 0; c < channels; ++c)
        store(y + c, silu_of(load(x + c) * scale[c] + shift[c]));
    } else {
      ELEMENTWISE
      for (int64_t c = 0; c < channels; ++c) store(y + c, load(x + c) * scale[c] + shift[c]);
    }
  }
}

/// Sum over a row of function(x[c]), in parallel partial sums.
template <typename T, typename Function>
ALWAYS_INLINE float row_sum(const T *x, int64_t channels, Function function) {
  float partial[lanes] = {};
  int64_t c = 0;
  for (; c + lanes <= channels; c += lanes)
    for (int64_t i = 0; i < lanes; ++i) partial[i] += function(load(x + c + i));
  float sum = 0;
  for (; c < channels; ++c) sum += function(load(x + c));
  for (int64_t i = 0; i < lanes; ++i) sum += partial[i];
  return sum;
}

template <typename In, typename Out>
ALWAYS_INLINE void layer_norm_of(const In *x, const float *weight, const float *bias, float eps,
                                 int64_t count, int64_t channels, Out *y) {
  for (int64_t row = 0; row < count; ++row, x += channels, y += channels) {
    const float mean = row_sum(
                           x, channels, [](float v) __attribute__((always_inline)) { return v; }) /
                       float(channels);
    const float variance =
        row_sum(
            x, channels,
            [mean](float v) __attribute__((always_inline)) { return (v - mean) * (v - mean); }) /
        float(channels);
    const float rstd = 1.0f / std::sqrt(variance + eps);
    for (int64_t c = 0; c < channels; ++c)
      store(y + c, (load(x + c) - mean) * rstd * weight[c] + bias[c]);
  }
}

template <typename T>
ALWAYS_INLINE void exponentials_of(T *x, int64_t count, int64_t width, float *sums, float *maxima) {
  for (int64_t row = 0; row < count; ++row, x += width) {
    float largest[lanes];
    for (int64_t i = 0; i < lanes; ++i) largest[i] = load(x);
    int64_t c = 0;
    for (; c + lanes <= width; c += lanes)
      for (int64_t i = 0; i < lanes; ++i) {
        const float v = load(x + c + i);
        largest[i] = v > largest[i] ? v : largest[i];
      }
    for (; c < width; ++c) largest[0] = std::max(largest[0], load(x + c));
    const float most = maxima[row] = *std::max_element(largest, largest + lanes);
    ELEMENTWISE
    for (int64_t i = 0; i < width; ++i) {
      const float d = load(x + i) - most;
      // Also for what is masked by minus infinity.
      store(x + i, d < -80.0f ? 0.0f : exponential(d));
    }
    sums[row] = row_sum(
        x, width, [](float v) __attribute__((always_inline)) { return v; });
  }
}

template <typename In, typename Out>
ALWAYS_INLINE void geglu_of(const In *x, int64_t count, int64_t width, Out *y) {
  for (int64_t row = 0; row < count; ++row, x += 2 * width, y += width)
    for (int64_t c = 0; c < width; ++c) store(y + c, load(x + c) * gelu_of(load(x + width + c)));
}

}  // namespace

template <CpuLevel level>
void Loops<level>::sum_and_squares(const float *x, const float *origin, int64_t count,
                                   int64_t channels, double *sums) {
  sum_and_squares_of(x, origin, count, channels, sums);
}
template <CpuLevel level>
void Loops<level>::sum_and_squares(const BFloat16 *x, const float *origin, int64_t count,
                                   int64_t channels, double *sums) {
  sum_and_squares_of(x, origin, count, channels, sums);
}

template <CpuLevel level>
void Loops<level>::affine(const float *x, const float *scale, const float *shift, int64_t count,
                          int64_t channels, bool silu, float *y) {
  affine_of(x, scale, shift, count, channels, silu, y);
}
template <CpuLevel level>
void Loops<level>::affine(const BFloat16 *x, const float *scale, const float *shift, int64_t count,
                          int64_t channels, bool silu, BFloat16 *y) {
  affine_of(x, scale, shift, count, channels, silu, y);
}

template <CpuLevel level>
void Loops<level>::affine(const float *x, const float *scale, const float *shift, int64_t count,
                          int64_t channels, bool silu, BFloat16 *y) {
  affine_of(x, scale, shift, count, channels, silu, y);
}

template <CpuLevel level>
void Loops<level>::layer_norm(const float *x, const float *weight, const float *bias, float eps,
                              int64_t count, int64_t channels, float *y) {
  layer_norm_of(x, weight, bias, eps, count, channels, y);
}
template <CpuLevel level>
void Loops<level>::layer_norm(const BFloat16 *x, const float *weight, const float *bias, float eps,
                              int64_t count, int64_t channels, BFloat16 *y) {
  layer_norm_of(x, weight, bias, eps, count, channels, y);
}

template <CpuLevel level>
void Loops<level>::layer_norm(const float *x, const float *weight, const float *bias, float eps,
                              int64_t count, int64_t channels, BFloat16 *y) {
  layer_norm_of(x, weight, bias, eps, count, channels, y);
}

template <CpuLevel level>
void Loops<level>::add(const BFloat16 *a, const float *b, int64_t count, float *y) {
  for (int64_t i = 0; i < count; ++i) y[i] = load(a + i) + b[i];
}
template <CpuLevel level>
void Loops<level>::add(const BFloat16 *a, const BFloat16 *b, int64_t count, float *y) {
  for (int64_t i = 0; i < count; ++i) y[i] = load(a + i) + load(b + i);
}

template <CpuLevel level>
void Loops<level>::exponentials(float *x, int64_t count, int64_t width, float *sums,
                                float *maxima) {
  exponentials_of(x, count, width, sums, maxima);
}
template <CpuLevel level>
void Loops<level>::exponentials(BFloat16 *x, int64_t count, int64_t width, float *sums,
                                float *maxima) {
  exponentials_of(x, count, width, sums, maxima);
}

template <CpuLevel level>
void Loops<level>::geglu(const float *x, int64_t count, int64_t width, float *y) {
  geglu_of(x, count, width, y);
}
template <CpuLevel level>
void Loops<level>::geglu(const BFloat16 *x, int64_t count, int64_t width, BFloat16 *y) {
  geglu_of(x, count, width, y);
}
template <CpuLevel level>
void Loops<level>::geglu(const float *x, int64_t count, int64_t width, BFloat16 *y) {
  geglu_of(x, count, width, y);
}

template struct Loops<CpuLevel::LEVEL>;

}  // namespace livepeer::kernels::elementwise_loops
