#pragma once

#include <cstdint>

#include "kernels/matmul_f32_loops.h"

/// Inner loops of the 3x3 convolution of float32 pictures by Winograd's minimal filtering
/// F(4x4, 3x3) (Lavin and Gray 2015, "Fast algorithms for convolutional neural networks"), compiled
/// for several levels. No torch in here, as in elementwise_loops.h.
namespace livepeer::kernels::conv3x3_f32_loops {

constexpr int64_t tile_side = 4;       ///< outputs of a tile in each direction
constexpr int64_t positions = 36;      ///< products per tile
constexpr int64_t tiles_at_once = 48;  ///< whose inputs stay in the last-level cache
constexpr int64_t block_filters =
    matmul_f32_loops::panel_width;  ///< output channels worked on at a time

/// Floats from a position to the next one, for `size` of them each: more, or the same channels of
/// all positions would compete for the same few places of the nearest cache.
inline int64_t position_step(int64_t size) { return size + 64; }

/// Floats of a panel.
inline int64_t panel_size(int64_t in) { return positions * position_step(in * block_filters); }

/// Input channels whose filters are best transformed at a time.
constexpr int64_t filter_channels = 16;

/// Zeros at the begin of the memory to work in, for pixels outside of a picture.
constexpr int64_t scratch_zeros = 64;

struct Convolution {
  const float *input;           ///< [batch][height][width][in]; where `doubles`, half of each
  int64_t first_block, blocks;  ///< of filters, to compute
  const float *panels;          ///< theirs, one after the other
  const float *bias;            ///< [out]
  int64_t batch, height, width, in, out;
  /// Whether the input is to be enlarged to twice its height and width first, by repeating pixels.
  bool doubles;
  float *output;  ///< [batch][height][width][out]

  int64_t tile_rows() const { return (height + tile_side - 1) / tile_side; }
  int64_t tile_columns() const { return (width + tile_side - 1) / tile_side; }
  int64_t tiles() const { return batch * tile_rows() * tile_columns(); }
};

/// Floats that convolve_tiles() needs to work in.
inline int64_t scratch_size(int64_t in) {
  return scratch_zeros + positions * (position_step(tiles_at_once * in) +
                                      position_step(tiles_at_once * block_filters));
}

template <CpuLevel level>
struct Loops {
  /// The input channels `begin` to `begin + filter_channels`, if there are as many, of `panel`
  /// [positions] panels of matmul_f32_loops, position_step() apart: the filters
  /// `block_filters * block` and following of `weight` [out][3][3][in], those beyond the last one
  /// as zeros.
  static void transform_filters(const float *weight, int64_t in, int64_t out, int64_t block,
                                int64_t begin, float *panel);

  /// The outputs, of the given filters, of `count` <= tiles_at_once tiles, counted row by row and
  /// picture by picture. They depend on the 6x6 inputs of their tile and on nothing else.
  static void convolve_tiles(const Convolution &conv, int64_t first, int64_t count, float *scratch);
};

}  // namespace livepeer::kernels::conv3x3_f32_loops
