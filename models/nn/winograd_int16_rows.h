#pragma once

#include <cstdint>

#include "nn/cpu_rows.h"

/// Inner loops of the 3x3 convolution by Winograd's minimal filtering F(2x2, 3x3) (Lavin and Gray
/// 2015, "Fast algorithms for convolutional neural networks") for wide layers: transformed pixels
/// and filters are whole numbers of 16 bits with one scale per tile and per filter, their sums
/// whole numbers of 32 bits. That takes as long as bfloat16, and rounds several times finer than
/// its 8 bits would, which the transforms need. For processors with AVX512-VNNI; no torch in here,
/// as in cpu_rows.h.
namespace livepeer::kernels::winograd_int16 {

constexpr int64_t positions = 16;      ///< products per tile of 2x2 outputs
constexpr int64_t lane_channels = 16;  ///< channel counts are multiples of this
constexpr int64_t block_filters = 64;  ///< output channels worked on at a time

bool available();

/// The filters `block_filters * block` and following of `weight` [out][3][3][in], those beyond the
/// last one as zeros: `panel` [positions][in / 2][block_filters][2] times `scale` [block_filters].
void transform_filters(const BFloat16 *weight, int64_t in, int64_t out, int64_t block,
                       int16_t *panel, float *scale);

/// Euclidean norms of `count` pixels of `channels` values.
void pixel_norms(const BFloat16 *x, int64_t count, int64_t channels, float *norms);

struct Convolution {
  const BFloat16 *input;  ///< [batch][height][width][in]; where `doubles`, half as high and wide
  const float *norms;     ///< of the input's pixels
  int64_t first_block, blocks;  ///< of filters, to compute
  const int16_t *panels;        ///< theirs, one after the other
  const float *scales;          ///< [blocks][block_filters]
  const float *bias;            ///< [out]
  int64_t batch, height, width, in, out;
  /// Whether the input is to be enlarged to twice its height and width first, by repeating pixels.
  bool doubles;
  BFloat16 *output;  ///< [batch][height][width][out]

  int64_t tile_rows() const { return (height + 1) / 2; }
  int64_t tile_columns() const { return (width + 1) / 2; }
  int64_t tiles() const { return batch * tile_rows() * tile_columns(); }
};

/// Values of a panel.
inline int64_t panel_size(int64_t in) { return positions * in * block_filters; }

/// How many tiles are best computed at a time.
int64_t tiles_at_once(int64_t in);

/// Bytes that convolve_tiles() needs to work in, aligned to 64.
int64_t scratch_bytes(int64_t in);

/// The outputs, of the given filters, of `count` <= tiles_at_once() tiles, counted row by row and
/// picture by picture. They depend on the 4x4 inputs of their tile and on nothing else. A tile that
/// sees a NaN, or numbers the squares of which are beyond float32, becomes NaN.
void convolve_tiles(const Convolution &conv, int64_t first, int64_t count, void *scratch);

}  // namespace livepeer::kernels::winograd_int16
