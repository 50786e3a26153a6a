#include "kernels/conv3x3_fused_f32_loops.h"

#include <algorithm>

#include "kernels/loops.h"
#include "kernels/matmul_f32_loops.h"

namespace livepeer::kernels::conv3x3_fused_f32_loops {
namespace {

using conv3x3_fused::positions;
using conv3x3_fused::tiles_at_once;
using matmul_f32_loops::lane_columns;

/// Channels worked on at a time: all 16 values of a tile then fit into the registers of AVX2.
constexpr int64_t lanes = 8;
typedef float Lanes __attribute__((vector_size(32), aligned(sizeof(float)), may_alias));

ALWAYS_INLINE Lanes load(const float *p) { return *reinterpret_cast<const Lanes *>(p); }
ALWAYS_INLINE void store(float *p, Lanes value) { *reinterpret_cast<Lanes *>(p) = value; }

/// Four values of a column, transformed; a column or row outside the picture is zero.
struct Column {
  Lanes value[4];
};

ALWAYS_INLINE Column load_column(const float *const rows[4], int64_t offset, bool inside) {
  Lanes d[4];
  UNROLL
  for (int i = 0; i < 4; ++i) d[i] = inside && rows[i] ? load(rows[i] + offset) : Lanes{};
  return {{d[0] - d[2], d[1] + d[2], d[2] - d[1], d[1] - d[3]}};
}

/// v[position][tile][in] of the tiles [first, first + count) of a pair of rows.
void transform_input(const Convolution &conv, int64_t pair, int64_t first, int64_t count,
                     float *v) {
  const int64_t step = tiles_at_once * conv.in;
  const conv3x3_fused::InputRows<float> rows(conv, pair);
  for (int64_t channel = 0; channel < conv.in; channel += lanes) {
    int64_t x = 2 * first - 1;
    Column a = load_column(rows.row, x * conv.in + channel, x >= 0);
    Column b = load_column(rows.row, (x + 1) * conv.in + channel, true);
    for (int64_t tile = 0; tile < count; ++tile, x += 2) {
      const Column c = load_column(rows.row, (x + 2) * conv.in + channel, x + 2 < conv.width);
      const Column d = load_column(rows.row, (x + 3) * conv.in + channel, x + 3 < conv.width);
      float *out = v + tile * conv.in + channel;
      UNROLL
      for (int i = 0; i < 4; ++i, out += 4 * step) {
        store(out, a.value[i] - c.value[i]);
        store(out + step, b.value[i] + c.value[i]);
        store(out + 2 * step, c.value[i] - b.value[i]);
        store(out + 3 * step, b.value[i] - d.value[i]);
      }
      a = c;
      b = d;
    }
  }
}

/// Scale, shift, residual and relu of some channels of a pixel.
ALWAYS_INLINE void finish(const Convolution &conv, int64_t y, int64_t x, int64_t channel,
                          Lanes sum) {
  if (y >= conv.height || x >= conv.width) return;
  const auto &epilogue = conv.epilogue;
  const int64_t at = (y * conv.width + x) * conv.out + channel;
  sum = sum * load(epilogue.scale + channel) + load(epilogue.shift + channel);
  if (epilogue.residual) sum += load(epilogue.residual + at);
  if (epilogue.relu) sum = sum > 0 ? sum : Lanes{};
  store((conv.output ? conv.output : conv.output_float) + at, sum);
}

void transform_output(const Convolution &conv, int64_t pair, int64_t first, int64_t count,
                      const float *m) {
  const int64_t step = tiles_at_once * conv.out;
  for (int64_t tile = 0; tile < count; ++tile) {
    const int64_t y = 2 * pair, x = 2 * (first + tile);
    for (int64_t channel = 0; channel < conv.out; channel += lanes) {
      const float *in = m + tile * conv.out + channel;
      Lanes upper[4], lower[4];
      UNROLL
      for (int j = 0; j < 4; ++j, in += step) {
        const Lanes m0 = load(in), m1 = load(in + 4 * step), m2 = load(in + 8 * step),
                    m3 = load(in + 12 * step);
        upper[j] = m0 + m1 + m2;
        lower[j] = m1 - m2 - m3;
      }
      finish(conv, y, x, channel, upper[0] + upper[1] + upper[2]);
      finish(conv, y, x + 1, channel, upper[1] - upper[2] - upper[3]);
      finish(conv, y + 1, x, channel, lower[0] + lower[1] + lower[2]);
      finish(conv, y + 1, x + 1, channel, lower[1] - lower[2] - lower[3]);
    }
  }
}

}  // namespace

template <CpuLevel level>
void Loops<level>::transform_weight(const float *weight, int64_t in, int64_t out, float *result) {
  for (int64_t o = 0; o < out; ++o)
    for (int64_t i = 0; i < in; ++i) {
      double values[positions];
      conv3x3_fused::spread_filter(weight + (o * in + i) * 9, values);
      const int64_t at = (o / lane_columns * in + i) * lane_columns + o % lane_columns;
      for (int64_t p = 0; p < positions; ++p) result[p * in * out + at] = float(values[p]);
    }
}

template <CpuLevel level>
void Loops<level>::row_pair(const Convolution &conv, int64_t pair, void *scratch) {
  float *const v = static_cast<float *>(scratch), *const m =
                                                      v + positions * tiles_at_once * conv.in;
  const int64_t tiles = (conv.width + 1) / 2;
  for (int64_t first = 0; first < tiles; first += tiles_at_once) {
    const int64_t count = std::min(tiles_at_once, tiles - first);
    transform_input(conv, pair, first, count, v);
    for (int64_t p = 0; p < positions; ++p)
      matmul_f32_loops::multiply<level>({count,
                                         conv.in,
                                         conv.out,
                                         {v + p * tiles_at_once * conv.in, conv.in},
                                         conv.weight + p * conv.in * conv.out,
                                         {m + p * tiles_at_once * conv.out, conv.out}});
    transform_output(conv, pair, first, count, m);
  }
}

template struct Loops<CpuLevel::LEVEL>;

}  // namespace livepeer::kernels::conv3x3_fused_f32_loops
