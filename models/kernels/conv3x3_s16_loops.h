#pragma once

#include <cstdint>

#include "kernels/bfloat16.h"

/// Inner loops of the 3x3 convolution by Winograd's minimal filtering F(2x2, 3x3) and F(4x4, 3x3)
/// (Lavin and Gray 2015, "Fast algorithms for convolutional neural networks") for wide layers:
/// transformed pixels and filters are whole numbers of 16 bits with common scales, their sums whole
/// numbers of 32 bits. That takes as long as bfloat16, and rounds several times finer than its 8
/// bits would, which the transforms need. For processors with AVX512-VNNI; no torch in here, as in
/// elementwise_loops.h.
namespace livepeer::kernels::conv3x3_s16_loops {

constexpr int64_t lane_channels = 16;  ///< channel counts are multiples of this
constexpr int64_t block_filters = 64;  ///< output channels worked on at a time

/// Euclidean norms of `count` pixels of `channels` values.
void pixel_norms(const BFloat16 *x, int64_t count, int64_t channels, float *norms);

struct Algorithm;

struct Convolution {
  const Algorithm *algorithm;
  const BFloat16 *input;  ///< [batch][height][width][in]; where `doubles`, half as high and wide
  const float *norms;     ///< of the input's pixels; only for `small_tiles`
  int64_t first_block, blocks;  ///< of filters, to compute
  const int16_t *panels;        ///< theirs, one after the other
  const float *scales;          ///< theirs
  const float *bias;            ///< [out]
  int64_t batch, height, width, in, out;
  /// Whether the input is to be enlarged to twice its height and width first, by repeating pixels;
  /// only for `small_tiles`.
  bool doubles;
  BFloat16 *output;  ///< [batch][height][width][out]

  int64_t tile_rows() const;
  int64_t tile_columns() const;
  int64_t tiles() const { return batch * tile_rows() * tile_columns(); }
};

struct Algorithm {
  int64_t side;        ///< tiles have side x side outputs
  int64_t positions;   ///< products per tile
  int64_t scale_rows;  ///< scales per filter

  /// The filters `block_filters * block` and following of `weight` [out][3][3][in], those beyond
  /// the last one as zeros: `panel` [positions][in / 2][block_filters][2] times `scales`
  /// [scale_rows][block_filters].
  void (*transform_filters)(const BFloat16 *weight, int64_t in, int64_t out, int64_t block,
                            int16_t *panel, float *scales);
  /// How many tiles are best computed at a time.
  int64_t (*tiles_at_once)(int64_t in);
  /// Bytes that convolve_tiles() needs to work in, aligned to 64.
  int64_t (*scratch_bytes)(int64_t in);
  /// The outputs, of the given filters, of `count` <= tiles_at_once() tiles, counted row by row and
  /// picture by picture. They depend on the inputs of their tile and on nothing else. A tile that
  /// sees a NaN, or numbers the squares of which are beyond float32, becomes NaN.
  void (*convolve_tiles)(const Convolution &conv, int64_t first, int64_t count, void *scratch);

  /// Values of a panel.
  int64_t panel_size(int64_t in) const { return positions * in * block_filters; }
};

/// F(2x2, 3x3), with one scale per tile and per filter.
extern const Algorithm small_tiles;
/// F(4x4, 3x3): 1.8 times fewer products, filters that are dearer to transform. Its transforms
/// mix larger factors, so each tile and each filter has a scale for each position, which makes it
/// as exact as the other one.
extern const Algorithm large_tiles;

inline int64_t Convolution::tile_rows() const {
  return (height + algorithm->side - 1) / algorithm->side;
}
inline int64_t Convolution::tile_columns() const {
  return (width + algorithm->side - 1) / algorithm->side;
}

}  // namespace livepeer::kernels::conv3x3_s16_loops
