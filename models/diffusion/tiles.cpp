#include "diffusion/tiles.h"

#include <algorithm>

namespace livepeer {
namespace {

constexpr int grid = 8;

struct Span {
  int crop_begin, crop_end, core_begin, core_end;
};

/// Cores of equal length (but for the last) that cover [begin, end), with margins inside [0, size).
std::vector<Span> make_spans(int begin, int end, int size, const TileLayout &layout) {
  if (layout.size == 0) return {{0, size, begin, end}};
  const auto span = [&](int from, int to) {
    return Span{std::max(from - layout.margin, 0) / grid * grid, std::min(to + layout.margin, size),
                from, to};
  };
  if (size <= layout.size) return {span(begin, end)};
  const int room = std::max(layout.size - 2 * layout.margin, 1);
  const int core = std::max(room / grid * grid, std::min(grid, end - begin));
  std::vector<Span> spans;
  for (int at = begin; at < end; at += core) spans.push_back(span(at, std::min(at + core, end)));
  return spans;
}

/// Weight of every position of a tile along one axis: rises smoothly over the margins on both sides
/// of a seam, one elsewhere. `before`, `after`: how far the crop reaches beyond the core.
torch::Tensor ramp(int length, int before, int after, bool seam_before, bool seam_after) {
  torch::Tensor weight = torch::ones({length});
  float *w = weight.data_ptr<float>();
  const auto smooth = [](double x) { return float(x * x * (3 - 2 * x)); };
  for (int i = 0; seam_before && i < std::min(2 * before, length); i++)
    w[i] *= smooth((i + 0.5) / (2 * before));
  for (int i = 0; seam_after && i < std::min(2 * after, length); i++)
    w[length - 1 - i] *= smooth((i + 0.5) / (2 * after));
  return weight;
}

/// [1, 1, height, width] weights of a tile's result inside a picture of width x height.
torch::Tensor blend_weight(const Tile &tile, int64_t width, int64_t height, int scale) {
  const auto axis = [&](int crop_begin, int crop_length, int core_begin, int core_length,
                        int64_t size) {
    const int crop_end = crop_begin + crop_length, core_end = core_begin + core_length;
    return ramp(crop_length * scale, (core_begin - crop_begin) * scale,
                (crop_end - core_end) * scale, core_begin > 0, core_end < size);
  };
  const torch::Tensor x = axis(tile.crop.x, tile.crop.width, tile.core.x, tile.core.width, width);
  const torch::Tensor y =
      axis(tile.crop.y, tile.crop.height, tile.core.y, tile.core.height, height);
  return (y.unsqueeze(1) * x.unsqueeze(0)).unsqueeze(0).unsqueeze(0);
}

}  // namespace

torch::Tensor crop(const torch::Tensor &x, const Rect &rect) {
  return x.narrow(-2, rect.y, rect.height).narrow(-1, rect.x, rect.width);
}

std::vector<Tile> make_tiles(const Rect &area, int width, int height, const TileLayout &layout) {
  std::vector<Tile> tiles;
  for (const Span &y : make_spans(area.y, area.y + area.height, height, layout))
    for (const Span &x : make_spans(area.x, area.x + area.width, width, layout))
      tiles.push_back(
          {{x.crop_begin, y.crop_begin, x.crop_end - x.crop_begin, y.crop_end - y.crop_begin},
           {x.core_begin, y.core_begin, x.core_end - x.core_begin, y.core_end - y.core_begin}});
  return tiles;
}

torch::Tensor apply_tiled(int64_t width, int64_t height, const TileLayout &layout,
                          const std::function<torch::Tensor(const Rect &crop)> &network) {
  const Rect whole{0, 0, int(width), int(height)};
  if (layout.covers(width, height)) return network(whole);

  torch::Tensor result, weights;
  int64_t scale = 1;
  for (const Tile &tile : make_tiles(whole, int(width), int(height), layout)) {
    const torch::Tensor part = network(tile.crop);
    if (!result.defined()) {
      scale = part.size(2) / tile.crop.height;
      result = at::empty({part.size(0), part.size(1), height * scale, width * scale},
                         part.options(), part.suggest_memory_format());
      if (!layout.exact) {
        result.zero_();
        weights = torch::zeros({1, 1, height * scale, width * scale}, part.options());
      }
    }
    const auto in_result = [scale](const Rect &rect) {
      const int s = int(scale);
      return Rect{rect.x * s, rect.y * s, rect.width * s, rect.height * s};
    };
    if (layout.exact) {
      const Rect inner{tile.core.x - tile.crop.x, tile.core.y - tile.crop.y, tile.core.width,
                       tile.core.height};
      crop(result, in_result(tile.core)).copy_(crop(part, in_result(inner)));
      continue;
    }
    const torch::Tensor weight = blend_weight(tile, width, height, int(scale)).to(part.device());
    crop(result, in_result(tile.crop)).add_(part * weight);
    crop(weights, in_result(tile.crop)).add_(weight);
  }
  return layout.exact ? result : result.div_(weights);
}

}  // namespace livepeer
