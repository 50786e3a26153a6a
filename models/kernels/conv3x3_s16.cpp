#include "kernels/conv3x3_s16.h"

#include <ATen/Parallel.h>

#include <algorithm>

#include "kernels/conv3x3_panels.h"
#include "kernels/conv3x3_s16_loops.h"
#include "kernels/cpu_level.h"
#include "kernels/panels.h"
#include "kernels/tensors.h"

namespace livepeer::kernels {
namespace {

namespace loops = conv3x3_s16_loops;

/// Fewer tiles cost more for transforming the filters than they save; fewer channels, for the
/// tiles. So narrow networks, those of bounded reach among them, are computed directly.
constexpr int64_t min_tiles = 64, min_channels = 96;
/// Bytes of transformed filters at a time. They are used as often as there are tiles, so they
/// should stay in the last-level cache; pixels are transformed again each time.
constexpr int64_t panels_bytes = 16 << 20;
/// More share the range of the whole numbers, until large tiles lose what bfloat16 does.
constexpr int64_t max_channels_of_large_tiles = 1024;
constexpr int64_t min_tiles_per_thread = 12;

/// [batch, h, w].
torch::Tensor pixel_norms(const torch::Tensor &x) {
  auto result = torch::empty({x.size(0), x.size(2), x.size(3)}, torch::kFloat);
  const int64_t channels = x.size(1);
  at::parallel_for(0, result.numel(), 64, [&](int64_t begin, int64_t end) {
    loops::pixel_norms(bits(x) + begin * channels, end - begin, channels,
                       result.data_ptr<float>() + begin);
  });
  return result;
}

void convolve_tiles(const loops::Convolution &conv) {
  const auto &algorithm = *conv.algorithm;
  const int64_t step = algorithm.tiles_at_once(conv.in);
  at::parallel_for(0, conv.tiles(), min_tiles_per_thread, [&](int64_t begin, int64_t end) {
    const auto scratch = torch::empty({algorithm.scratch_bytes(conv.in)}, torch::kByte);
    for (int64_t first = begin; first < end; first += step)
      algorithm.convolve_tiles(conv, first, std::min(step, end - first), scratch.data_ptr());
  });
}

/// The products that the algorithm needs, over the channel counts; transforming a filter takes as
/// long as some tiles' products with it.
int64_t cost(const loops::Algorithm &algorithm, const loops::Convolution &conv) {
  constexpr int64_t filter_tiles = 50;
  auto tried = conv;
  tried.algorithm = &algorithm;
  return algorithm.positions * (tried.tiles() + filter_tiles);
}

const loops::Algorithm *best_algorithm(const loops::Convolution &conv) {
  const bool large = !conv.doubles && conv.in <= max_channels_of_large_tiles &&
                     cost(loops::large_tiles, conv) < cost(loops::small_tiles, conv);
  return large ? &loops::large_tiles : &loops::small_tiles;
}

}  // namespace

bool conv3x3_s16_pays(const torch::Tensor &x, const torch::Tensor &weight, int64_t stride,
                      int64_t padding) {
  if (!takes_kernels(x, weight, torch::kBFloat16) || cpu_level() < CpuLevel::avx512_bf16)
    return false;
  if (!is_conv3x3(weight, stride, padding)) return false;
  const int64_t in = x.size(1), out = weight.size(0);
  if (in % loops::lane_channels != 0 || out % loops::lane_channels != 0) return false;
  const int64_t tiles = x.size(0) * ((x.size(2) + 1) / 2) * ((x.size(3) + 1) / 2);
  return tiles >= min_tiles && in >= min_channels && out >= min_channels;
}

torch::Tensor conv3x3_s16(const torch::Tensor &x, const torch::Tensor &weight,
                          const torch::Tensor &bias, bool doubles) {
  const Conv3x3Tensors tensors(x, weight, bias, doubles);
  auto conv = tensors.describe<loops::Convolution, BFloat16>();
  conv.algorithm = best_algorithm(conv);
  const auto &algorithm = *conv.algorithm;
  torch::Tensor norms;
  if (conv.algorithm == &loops::small_tiles) {
    norms = pixel_norms(tensors.x);
    conv.norms = norms.data_ptr<float>();
  }
  const int64_t blocks = (conv.out + loops::block_filters - 1) / loops::block_filters;
  const int64_t panel = algorithm.panel_size(conv.in),
                scale = algorithm.scale_rows * loops::block_filters;
  const int64_t step = blocks_at_once(blocks, panel * int64_t(sizeof(int16_t)), panels_bytes);
  const auto panels = torch::empty({step * panel}, torch::kShort);
  const auto scales = torch::empty({step * scale}, torch::kFloat);
  conv.panels = panels.data_ptr<int16_t>();
  conv.scales = scales.data_ptr<float>();
  const auto transform = [&] {
    at::parallel_for(0, conv.blocks, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        algorithm.transform_filters(bits(tensors.weight), conv.in, conv.out, conv.first_block + i,
                                    panels.data_ptr<int16_t>() + i * panel,
                                    scales.data_ptr<float>() + i * scale);
    });
  };
  for_panels(conv, blocks, step, transform, [&] { convolve_tiles(conv); });
  return tensors.result;
}

}  // namespace livepeer::kernels
