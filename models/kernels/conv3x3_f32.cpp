#include "kernels/conv3x3_f32.h"

#include <ATen/Parallel.h>

#include <algorithm>

#include "kernels/conv3x3_f32_loops.h"
#include "kernels/conv3x3_panels.h"
#include "kernels/panels.h"
#include "kernels/tensors.h"

namespace livepeer::kernels {
namespace {

namespace loops = conv3x3_f32_loops;

/// Fewer tiles cost more for transforming the filters than they save; fewer channels, for the
/// tiles. So narrow networks, those of bounded reach among them, whose tiles must agree with the
/// whole picture to the bit, are computed directly.
constexpr int64_t min_tiles = 8, min_channels = 96;
/// Bytes of transformed filters at a time. They are used as often as there are tiles, so they
/// should stay in the last-level cache; pixels are transformed again each time.
constexpr int64_t panels_bytes = 20 << 20;

int64_t count_tiles(const torch::Tensor &x) {
  const auto along = [&](int64_t axis) {
    return (x.size(axis) + loops::tile_side - 1) / loops::tile_side;
  };
  return x.size(0) * along(2) * along(3);
}

void convolve_tiles(const loops::Convolution &conv) {
  const int64_t tiles = conv.tiles(), step = equal_step(tiles, loops::tiles_at_once);
  at::parallel_for(0, (tiles + step - 1) / step, 1, [&](int64_t begin, int64_t end) {
    const auto scratch = torch::empty({loops::scratch_size(conv.in)}, torch::kFloat);
    for (int64_t i = begin; i < end; ++i)
      at_loop_level([&](auto level) {
        loops::Loops<level()>::convolve_tiles(conv, i * step, std::min(step, tiles - i * step),
                                              scratch.data_ptr<float>());
      });
  });
}

}  // namespace

bool conv3x3_f32_pays(const torch::Tensor &x, const torch::Tensor &weight, int64_t stride,
                      int64_t padding) {
  // bfloat16 would be rounded far too often.
  if (!takes_kernels(x, weight, torch::kFloat)) return false;
  if (!is_conv3x3(weight, stride, padding)) return false;
  return count_tiles(x) >= min_tiles && x.size(1) >= min_channels && weight.size(0) >= min_channels;
}

torch::Tensor conv3x3_f32(const torch::Tensor &x, const torch::Tensor &weight,
                          const torch::Tensor &bias, bool doubles) {
  const Conv3x3Tensors tensors(x, weight, bias, doubles);
  auto conv = tensors.describe<loops::Convolution, float>();
  const int64_t blocks = (conv.out + loops::block_filters - 1) / loops::block_filters;
  const int64_t panel = loops::panel_size(conv.in);
  const int64_t step = blocks_at_once(blocks, panel * int64_t(sizeof(float)), panels_bytes);
  const auto panels = torch::empty({step * panel}, torch::kFloat);
  conv.panels = panels.data_ptr<float>();
  const int64_t parts = (conv.in + loops::filter_channels - 1) / loops::filter_channels;
  const auto transform = [&] {
    at::parallel_for(0, conv.blocks * parts, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        at_loop_level([&](auto level) {
          loops::Loops<level()>::transform_filters(
              tensors.weight.data_ptr<float>(), conv.in, conv.out, conv.first_block + i / parts,
              i % parts * loops::filter_channels, panels.data_ptr<float>() + i / parts * panel);
        });
    });
  };
  for_panels(conv, blocks, step, transform, [&] { convolve_tiles(conv); });
  return tensors.result;
}

}  // namespace livepeer::kernels
