#include "nn/product.h"

#include <ATen/Parallel.h>

#include <algorithm>

#include "nn/layers.h"
#include "nn/product_rows.h"

namespace livepeer {
namespace {

using kernels::BFloat16;
namespace products = kernels::products;

/// Packing the weight does not pay for fewer.
constexpr int64_t min_rows = 48;
constexpr int64_t min_rows_per_thread = 24;
/// Bytes of packed weights at a time. They are read again for each group of rows, so they should
/// stay in the last-level cache.
constexpr int64_t panels_bytes = 4 << 20;

BFloat16 *bits(const torch::Tensor &x) { return static_cast<BFloat16 *>(x.data_ptr()); }

}  // namespace

bool product_pays(const torch::Tensor &x, const torch::Tensor &weight) {
  if (!takes_kernels(x) || !takes_kernels(weight) || x.scalar_type() != torch::kBFloat16 ||
      weight.scalar_type() != torch::kBFloat16 || !products::available())
    return false;
  const int64_t in = weight.size(1), out = weight.size(0);
  return in % products::input_step == 0 && out % products::output_step == 0 &&
         x.numel() >= min_rows * in;
}

bool gated_product_pays(const torch::Tensor &x, const torch::Tensor &weight) {
  return product_pays(x, weight) && weight.size(0) % products::block_outputs == 0;
}

torch::Tensor product(const torch::Tensor &x_, const torch::Tensor &weight_,
                      const torch::Tensor &bias_, bool gated) {
  const auto x = x_.contiguous(), weight = weight_.contiguous();
  const int64_t in = weight.size(1), out = weight.size(0), rows = x.numel() / in;
  const auto bias = bias_.defined() ? bias_.to(torch::kFloat).contiguous()
                                    : torch::zeros({out}, torch::dtype(torch::kFloat));
  auto sizes = x.sizes().vec();
  sizes.back() = gated ? out / 2 : out;
  auto result = torch::empty(sizes, x.options());

  const int64_t panel = in * products::block_outputs, all_blocks = products::block_count(out);
  const int64_t blocks_at_once =
      std::clamp<int64_t>(panels_bytes / (panel * int64_t(sizeof(BFloat16))), 1, all_blocks);
  const auto panels = torch::empty({blocks_at_once * panel}, x.options());
  products::Product part{bits(x), in,          out, 0, 0, bits(panels), bias.data_ptr<float>(),
                         gated,   bits(result)};
  while (part.first_block < all_blocks) {
    part.blocks = std::min(blocks_at_once, all_blocks - part.first_block);
    at::parallel_for(0, part.blocks, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        products::pack(bits(weight), in, products::Block(part.first_block + i, out, gated),
                       bits(panels) + i * panel);
    });
    at::parallel_for(0, rows, min_rows_per_thread, [&](int64_t begin, int64_t end) {
      products::multiply_rows(part, begin, end - begin);
    });
    part.first_block += part.blocks;
  }
  return result;
}

}  // namespace livepeer
