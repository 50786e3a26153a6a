#pragma once

#include <torch/types.h>

#include <functional>
#include <vector>

#include "runtime/frame.h"

namespace livepeer {

/// How a picture of width x height is cut up for one network, in pixels of the network's input.
struct TileLayout {
  int size = 0;       ///< side of a tile with its margins; 0: one tile, whatever the picture's size
  int margin = 0;     ///< exact tiles: the network's radius; blended ones: half of what two share
  bool exact = true;  ///< margins are thrown away; else neighbours are blended smoothly over them

  bool covers(int64_t width, int64_t height) const {
    return size == 0 || (width <= size && height <= size);
  }
};

/// One tile: `crop` is what the network sees, `core` the part of it that is kept.
struct Tile {
  Rect crop, core;
};

/// Cores that cover `area` once; crops reach `layout.margin` pixels around them, within width x
/// height. Tiles begin at multiples of 8, the grid of the UNet's deepest level.
std::vector<Tile> make_tiles(const Rect &area, int width, int height, const TileLayout &layout);

/// Runs `network` on the tiles of a picture of width x height and joins what comes out: each result
/// [batch, channels, scale * crop.height, scale * crop.width] for a scale of the network's own.
/// With exact tiles and a network whose radius is at most the margin this equals one call for
/// everything, bit for bit.
torch::Tensor apply_tiled(int64_t width, int64_t height, const TileLayout &layout,
                          const std::function<torch::Tensor(const Rect &crop)> &network);

/// That part of [..., height, width].
torch::Tensor crop(const torch::Tensor &x, const Rect &rect);

}  // namespace livepeer
