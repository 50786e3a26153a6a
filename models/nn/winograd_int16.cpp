#include "nn/winograd_int16.h"

#include <ATen/Parallel.h>

#include <algorithm>

#include "nn/layers.h"
#include "nn/winograd_int16_rows.h"

namespace livepeer {
namespace {

using kernels::BFloat16;
namespace winograd = kernels::winograd_int16;

/// Fewer tiles cost more for transforming the filters than they save; fewer channels, for the
/// tiles. So narrow networks, those of bounded reach among them, are computed directly.
constexpr int64_t min_tiles = 64, min_channels = 96;
/// Bytes of transformed filters at a time. They are used as often as there are tiles, so they
/// should stay in the last-level cache; pixels are transformed again each time.
constexpr int64_t panels_bytes = 16 << 20;
/// More share the range of the whole numbers, until large tiles lose what bfloat16 does.
constexpr int64_t max_channels_of_large_tiles = 1024;
constexpr int64_t min_tiles_per_thread = 12;

BFloat16 *bits(const torch::Tensor &x) { return static_cast<BFloat16 *>(x.data_ptr()); }

/// [batch, h, w].
torch::Tensor pixel_norms(const torch::Tensor &x) {
  auto result = torch::empty({x.size(0), x.size(2), x.size(3)}, torch::kFloat);
  const int64_t channels = x.size(1);
  at::parallel_for(0, result.numel(), 64, [&](int64_t begin, int64_t end) {
    winograd::pixel_norms(bits(x) + begin * channels, end - begin, channels,
                          result.data_ptr<float>() + begin);
  });
  return result;
}

void convolve_tiles(const winograd::Convolution &conv) {
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
int64_t cost(const winograd::Algorithm &algorithm, const winograd::Convolution &conv) {
  constexpr int64_t filter_tiles = 50;
  auto tried = conv;
  tried.algorithm = &algorithm;
  return algorithm.positions * (tried.tiles() + filter_tiles);
}

const winograd::Algorithm *best_algorithm(const winograd::Convolution &conv) {
  const bool large = !conv.doubles && conv.in <= max_channels_of_large_tiles &&
                     cost(winograd::large_tiles, conv) < cost(winograd::small_tiles, conv);
  return large ? &winograd::large_tiles : &winograd::small_tiles;
}

}  // namespace

bool winograd_int16_pays(const torch::Tensor &x, const torch::Tensor &weight, int64_t stride,
                         int64_t padding) {
  if (!takes_kernels(x) || !takes_kernels(weight) || x.scalar_type() != torch::kBFloat16 ||
      weight.scalar_type() != torch::kBFloat16 || !winograd::available())
    return false;
  if (weight.size(2) != 3 || weight.size(3) != 3 || stride != 1 || padding != 1) return false;
  const int64_t in = x.size(1), out = weight.size(0);
  if (in % winograd::lane_channels != 0 || out % winograd::lane_channels != 0) return false;
  const int64_t tiles = x.size(0) * ((x.size(2) + 1) / 2) * ((x.size(3) + 1) / 2);
  return tiles >= min_tiles && in >= min_channels && out >= min_channels;
}

torch::Tensor winograd_int16_convolve(const torch::Tensor &x_, const torch::Tensor &weight_,
                                      const torch::Tensor &bias, bool doubles) {
  const auto x = x_.contiguous(at::MemoryFormat::ChannelsLast);
  const auto weight = weight_.contiguous(at::MemoryFormat::ChannelsLast);
  const int64_t out = weight.size(0), factor = doubles ? 2 : 1;
  const auto offsets = bias.defined() ? bias.to(torch::kFloat).contiguous()
                                      : torch::zeros({out}, torch::dtype(torch::kFloat));
  auto result = torch::empty({x.size(0), out, factor * x.size(2), factor * x.size(3)}, x.options(),
                             at::MemoryFormat::ChannelsLast);
  winograd::Convolution conv{};
  conv.input = bits(x);
  conv.bias = offsets.data_ptr<float>();
  conv.batch = x.size(0);
  conv.height = result.size(2);
  conv.width = result.size(3);
  conv.in = x.size(1);
  conv.out = out;
  conv.doubles = doubles;
  conv.output = bits(result);
  conv.algorithm = best_algorithm(conv);
  const auto &algorithm = *conv.algorithm;
  torch::Tensor norms;
  if (conv.algorithm == &winograd::small_tiles) {
    norms = pixel_norms(x);
    conv.norms = norms.data_ptr<float>();
  }
  const int64_t all_blocks = (out + winograd::block_filters - 1) / winograd::block_filters;
  const int64_t panel = algorithm.panel_size(conv.in),
                scale = algorithm.scale_rows * winograd::block_filters;
  const int64_t blocks_at_once =
      std::clamp<int64_t>(panels_bytes / (panel * int64_t(sizeof(int16_t))), 1, all_blocks);
  const auto panels = torch::empty({blocks_at_once * panel}, torch::kShort);
  const auto scales = torch::empty({blocks_at_once * scale}, torch::kFloat);
  conv.panels = panels.data_ptr<int16_t>();
  conv.scales = scales.data_ptr<float>();
  while (conv.first_block < all_blocks) {
    conv.blocks = std::min(blocks_at_once, all_blocks - conv.first_block);
    at::parallel_for(0, conv.blocks, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        algorithm.transform_filters(bits(weight), conv.in, out, conv.first_block + i,
                                    panels.data_ptr<int16_t>() + i * panel,
                                    scales.data_ptr<float>() + i * scale);
    });
    convolve_tiles(conv);
    conv.first_block += conv.blocks;
  }
  return result;
}

}  // namespace livepeer
