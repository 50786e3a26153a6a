#include "nn/winograd_float.h"

#include <ATen/Parallel.h>

#include <algorithm>

#include "nn/layers.h"
#include "nn/winograd_float_rows.h"

namespace livepeer {
namespace {

namespace winograd = kernels::winograd_float;

/// Fewer tiles cost more for transforming the filters than they save; fewer channels, for the
/// tiles. So narrow networks, those of bounded reach among them, whose tiles must agree with the
/// whole picture to the bit, are computed directly.
constexpr int64_t min_tiles = 8, min_channels = 96;
/// Bytes of transformed filters at a time. They are used as often as there are tiles, so they
/// should stay in the last-level cache; pixels are transformed again each time.
constexpr int64_t panels_bytes = 20 << 20;

int64_t count_tiles(const torch::Tensor &x) {
  const auto along = [&](int64_t axis) {
    return (x.size(axis) + winograd::tile_side - 1) / winograd::tile_side;
  };
  return x.size(0) * along(2) * along(3);
}

void convolve_tiles(const winograd::Convolution &conv) {
  // As many for each thread.
  const int64_t tiles = conv.tiles(), threads = at::get_num_threads();
  const int64_t rounds =
      (tiles + threads * winograd::tiles_at_once - 1) / (threads * winograd::tiles_at_once);
  const int64_t step = (tiles + rounds * threads - 1) / (rounds * threads);
  at::parallel_for(0, (tiles + step - 1) / step, 1, [&](int64_t begin, int64_t end) {
    const auto scratch = torch::empty({winograd::scratch_size(conv.in)}, torch::kFloat);
    for (int64_t i = begin; i < end; ++i)
      winograd::convolve_tiles(conv, i * step, std::min(step, tiles - i * step),
                               scratch.data_ptr<float>());
  });
}

}  // namespace

bool winograd_pays(const torch::Tensor &x, const torch::Tensor &weight, int64_t stride,
                   int64_t padding) {
  // bfloat16 would be rounded far too often.
  if (!takes_kernels(x) || !takes_kernels(weight) || x.scalar_type() != torch::kFloat ||
      weight.scalar_type() != torch::kFloat)
    return false;
  if (weight.size(2) != 3 || weight.size(3) != 3 || stride != 1 || padding != 1) return false;
  return count_tiles(x) >= min_tiles && x.size(1) >= min_channels && weight.size(0) >= min_channels;
}

torch::Tensor winograd_convolve(const torch::Tensor &x_, const torch::Tensor &weight_,
                                const torch::Tensor &bias, bool doubles) {
  const auto x = x_.contiguous(at::MemoryFormat::ChannelsLast);
  const auto weight = weight_.contiguous(at::MemoryFormat::ChannelsLast);
  const int64_t out = weight.size(0), factor = doubles ? 2 : 1;
  const auto offsets = bias.defined() ? bias.contiguous() : torch::zeros({out}, x.options());
  auto result = torch::empty({x.size(0), out, factor * x.size(2), factor * x.size(3)}, x.options(),
                             at::MemoryFormat::ChannelsLast);
  winograd::Convolution conv{};
  conv.input = x.data_ptr<float>();
  conv.bias = offsets.data_ptr<float>();
  conv.batch = x.size(0);
  conv.height = result.size(2);
  conv.width = result.size(3);
  conv.in = x.size(1);
  conv.out = out;
  conv.doubles = doubles;
  conv.output = result.data_ptr<float>();
  const int64_t all_blocks = (out + winograd::block_filters - 1) / winograd::block_filters;
  const int64_t panel = winograd::panel_size(conv.in);
  const int64_t blocks_at_once =
      std::clamp<int64_t>(panels_bytes / (panel * int64_t(sizeof(float))), 1, all_blocks);
  const auto panels = torch::empty({blocks_at_once * panel}, torch::kFloat);
  conv.panels = panels.data_ptr<float>();
  while (conv.first_block < all_blocks) {
    conv.blocks = std::min(blocks_at_once, all_blocks - conv.first_block);
    const int64_t parts = (conv.in + winograd::filter_channels - 1) / winograd::filter_channels;
    at::parallel_for(0, conv.blocks * parts, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        winograd::transform_filters(
            weight.data_ptr<float>(), conv.in, out, conv.first_block + i / parts,
            i % parts * winograd::filter_channels, panels.data_ptr<float>() + i / parts * panel);
    });
    convolve_tiles(conv);
    conv.first_block += conv.blocks;
  }
  return result;
}

}  // namespace livepeer
