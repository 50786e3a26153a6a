#include "kernels/conv3x3_f32_loops.h"

#include <algorithm>
#include <array>

#include "kernels/loops.h"

namespace livepeer::kernels::conv3x3_f32_loops {
namespace {

using matmul_f32_loops::lane_columns;

// The algorithm is one for any five points at which polynomials are evaluated, with infinity as the
// sixth. 0, +-a and +-b let sums be shared. The usual 1 and 2 would round twice as much.
constexpr float a = 0.625f, b = 1.5f;
constexpr float aa = a * a, bb = b * b;

/// Channels that the loops work on at a time.
constexpr int64_t chunk = scratch_zeros;
using Chunk = float[chunk];

// The three maps along one axis, of `count` channels.

/// Six inputs.
ALWAYS_INLINE void map_input(const std::array<const float *, 6> &x, int64_t count,
                             const std::array<float *, 6> &y) {
  const float *x0 = x[0], *x1 = x[1], *x2 = x[2], *x3 = x[3], *x4 = x[4], *x5 = x[5];
  float *y0 = y[0], *y1 = y[1], *y2 = y[2], *y3 = y[3], *y4 = y[4], *y5 = y[5];
  ELEMENTWISE
  for (int64_t c = 0; c < count; ++c) {
    const float even_a = x4[c] - bb * x2[c], odd_a = a * (x3[c] - bb * x1[c]);
    const float even_b = x4[c] - aa * x2[c], odd_b = b * (x3[c] - aa * x1[c]);
    y0[c] = x4[c] - (aa + bb) * x2[c] + aa * bb * x0[c];
    y1[c] = even_a + odd_a;
    y2[c] = even_a - odd_a;
    y3[c] = even_b + odd_b;
    y4[c] = even_b - odd_b;
    y5[c] = x5[c] - (aa + bb) * x3[c] + aa * bb * x1[c];
  }
}

/// Three filter taps.
ALWAYS_INLINE void map_filter(const std::array<const float *, 3> &x, int64_t count,
                              const std::array<float *, 6> &y) {
  constexpr float at_0 = 1 / (aa * bb), at_a = 1 / (2 * aa * (aa - bb)),
                  at_b = 1 / (2 * bb * (bb - aa));
  const float *x0 = x[0], *x1 = x[1], *x2 = x[2];
  float *y0 = y[0], *y1 = y[1], *y2 = y[2], *y3 = y[3], *y4 = y[4], *y5 = y[5];
  ELEMENTWISE
  for (int64_t c = 0; c < count; ++c) {
    const float even_a = at_a * (x0[c] + aa * x2[c]), odd_a = at_a * a * x1[c];
    const float even_b = at_b * (x0[c] + bb * x2[c]), odd_b = at_b * b * x1[c];
    y0[c] = at_0 * x0[c];
    y1[c] = even_a + odd_a;
    y2[c] = even_a - odd_a;
    y3[c] = even_b + odd_b;
    y4[c] = even_b - odd_b;
    y5[c] = x2[c];
  }
}

/// Six products; `bias` is added.
ALWAYS_INLINE void map_output(const std::array<const float *, 6> &x, const float *bias,
                              int64_t count, const std::array<float *, 4> &y) {
  const float *x0 = x[0], *x1 = x[1], *x2 = x[2], *x3 = x[3], *x4 = x[4], *x5 = x[5];
  float *y0 = y[0], *y1 = y[1], *y2 = y[2], *y3 = y[3];
  ELEMENTWISE
  for (int64_t c = 0; c < count; ++c) {
    const float even_a = x1[c] + x2[c], odd_a = a * (x1[c] - x2[c]);
    const float even_b = x3[c] + x4[c], odd_b = b * (x3[c] - x4[c]);
    y0[c] = x0[c] + even_a + even_b + bias[c];
    y1[c] = odd_a + odd_b + bias[c];
    y2[c] = aa * even_a + bb * even_b + bias[c];
    y3[c] = aa * odd_a + bb * odd_b + x5[c] + bias[c];
  }
}

/// Six chunks, or rows of chunks, `stride` elements apart.
template <typename T>
ALWAYS_INLINE std::array<T *, 6> six(T *first, int64_t stride) {
  return {first,
          first + stride,
          first + 2 * stride,
          first + 3 * stride,
          first + 4 * stride,
          first + 5 * stride};
}

/// A tile of the batch: its picture, and its first output's row and column.
struct Tile {
  Tile(const Convolution &conv, int64_t tile)
      : y(tile / conv.tile_columns() % conv.tile_rows() * tile_side),
        x(tile % conv.tile_columns() * tile_side),
        picture(tile / (conv.tile_columns() * conv.tile_rows())) {}
  int64_t y, x, picture;
};

/// Where the channels of a pixel begin, in pictures that are smaller by 2^shift; `outside` where
/// there is none.
template <typename T>
ALWAYS_INLINE T *pixel(const Convolution &conv, T *pictures, int shift, int64_t channels,
                       const Tile &tile, int64_t dy, int64_t dx, T *outside) {
  const int64_t y = tile.y + dy, x = tile.x + dx;
  if (y < 0 || y >= conv.height || x < 0 || x >= conv.width) return outside;
  const int64_t row = tile.picture * (conv.height >> shift) + (y >> shift);
  return pictures + (row * (conv.width >> shift) + (x >> shift)) * channels;
}

/// `v` [positions][stride] at one tile's row of inputs.
void transform_input(const Convolution &conv, const Tile &tile, const float *zeros, int64_t stride,
                     float *v) {
  const float *pixels[6][6];
  for (int64_t x = 0; x < 6; ++x)
    for (int64_t y = 0; y < 6; ++y)
      pixels[x][y] =
          pixel(conv, conv.input, conv.doubles ? 1 : 0, conv.in, tile, y - 1, x - 1, zeros);
  for (int64_t begin = 0; begin < conv.in; begin += chunk) {
    const int64_t count = std::min(chunk, conv.in - begin);
    Chunk columns[6][6];
    for (int64_t x = 0; x < 6; ++x) {
      std::array<const float *, 6> column;
      for (size_t y = 0; y < 6; ++y) column[y] = pixels[x][y] + (pixels[x][y] == zeros ? 0 : begin);
      map_input(column, count, six(columns[0][x], 6 * chunk));
    }
    for (int64_t y = 0; y < 6; ++y)
      map_input(six<const float>(columns[y][0], chunk), count,
                six(v + 6 * y * stride + begin, stride));
  }
}

/// The outputs of a block of filters for one tile from `m` [positions][stride].
void transform_output(const Convolution &conv, const Tile &tile, int64_t filter, int64_t stride,
                      const float *m) {
  const int64_t count = std::min(block_filters, conv.out - filter);
  const Chunk no_bias = {};
  Chunk rows[tile_side][6], outside;
  for (int64_t x = 0; x < 6; ++x)
    map_output(six(m + x * stride, 6 * stride), no_bias, count,
               {rows[0][x], rows[1][x], rows[2][x], rows[3][x]});
  for (int64_t y = 0; y < tile_side; ++y) {
    std::array<float *, 4> outputs;
    for (int64_t x = 0; x < tile_side; ++x)
      outputs[size_t(x)] = pixel(conv, conv.output + filter, 0, conv.out, tile, y, x, outside);
    map_output(six<const float>(rows[y][0], chunk), conv.bias + filter, count, outputs);
  }
}

}  // namespace

template <CpuLevel level>
void Loops<level>::transform_filters(const float *weight, int64_t in, int64_t out, int64_t block,
                                     int64_t begin, float *panel) {
  const int64_t first = block * block_filters, count = std::min(block_filters, out - first),
                channels = std::min(filter_channels, in - begin),
                step = position_step(in * block_filters);
  Chunk taps[filter_channels][9] = {};
  for (int64_t filter = 0; filter < count; ++filter)
    for (int64_t tap = 0; tap < 9; ++tap) {
      const float *from = weight + ((first + filter) * 9 + tap) * in + begin;
      __builtin_prefetch(from + filter_channels);
      for (int64_t c = 0; c < channels; ++c) taps[c][tap][filter] = from[c];
    }
  for (int64_t c = 0; c < channels; ++c) {
    Chunk columns[6][3];
    for (int64_t x = 0; x < 3; ++x)
      map_filter({taps[c][x], taps[c][3 + x], taps[c][6 + x]}, block_filters,
                 six(columns[0][x], 3 * chunk));
    for (int64_t y = 0; y < 6; ++y)
      for (int64_t group = 0; group < block_filters; group += lane_columns)
        map_filter({columns[y][0] + group, columns[y][1] + group, columns[y][2] + group},
                   lane_columns,
                   six(panel + 6 * y * step + group * in + (begin + c) * lane_columns, step));
  }
}

template <CpuLevel level>
void Loops<level>::convolve_tiles(const Convolution &conv, int64_t first, int64_t count,
                                  float *scratch) {
  const int64_t v_step = position_step(tiles_at_once * conv.in),
                m_step = position_step(tiles_at_once * block_filters),
                panel_step = position_step(conv.in * block_filters);
  float *const zeros = scratch, *const v = zeros + chunk, *const m = v + positions * v_step;
  std::fill_n(zeros, chunk, 0.0f);
  for (int64_t tile = 0; tile < count; ++tile)
    transform_input(conv, {conv, first + tile}, zeros, v_step, v + tile * conv.in);
  for (int64_t block = 0; block < conv.blocks; ++block) {
    const float *const panel = conv.panels + block * panel_size(conv.in);
    for (int64_t p = 0; p < positions; ++p)
      matmul_f32_loops::multiply<level>({count,
                                         conv.in,
                                         block_filters,
                                         {v + p * v_step, conv.in},
                                         panel + p * panel_step,
                                         {m + p * m_step, block_filters}});
    for (int64_t tile = 0; tile < count; ++tile)
      transform_output(conv, {conv, first + tile}, (conv.first_block + block) * block_filters,
                       m_step, m + tile * block_filters);
  }
}

template struct Loops<CpuLevel::LEVEL>;

}  // namespace livepeer::kernels::conv3x3_f32_loops
