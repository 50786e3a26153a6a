#include "kernels/matmul_bf16.h"

#include <ATen/Parallel.h>

#include "kernels/cpu_level.h"
#include "kernels/matmul_bf16_loops.h"
#include "kernels/panels.h"
#include "kernels/tensors.h"

namespace livepeer::kernels {
namespace {

namespace loops = matmul_bf16_loops;

/// Packing the weight does not pay for fewer.
constexpr int64_t min_rows = 48;
constexpr int64_t min_rows_per_thread = 24;
/// Bytes of packed weights at a time. They are read again for each group of rows, so they should
/// stay in the last-level cache.
constexpr int64_t panels_bytes = 4 << 20;

}  // namespace

bool matmul_bf16_pays(const torch::Tensor &x, const torch::Tensor &weight) {
  if (!takes_kernels(x, weight, torch::kBFloat16) || cpu_level() < CpuLevel::avx512_bf16)
    return false;
  const int64_t in = weight.size(1), out = weight.size(0);
  return in % loops::input_step == 0 && out % loops::output_step == 0 && x.numel() >= min_rows * in;
}

bool gated_matmul_bf16_pays(const torch::Tensor &x, const torch::Tensor &weight) {
  return matmul_bf16_pays(x, weight) && weight.size(0) % loops::block_outputs == 0;
}

torch::Tensor matmul_bf16(const torch::Tensor &x_, const torch::Tensor &weight_,
                          const torch::Tensor &bias_, bool gated) {
  const auto x = x_.contiguous(), weight = weight_.contiguous();
  const int64_t in = weight.size(1), out = weight.size(0), rows = x.numel() / in;
  const auto bias = bias_.defined() ? bias_.to(torch::kFloat).contiguous()
                                    : torch::zeros({out}, torch::dtype(torch::kFloat));
  auto sizes = x.sizes().vec();
  sizes.back() = gated ? out / 2 : out;
  auto result = torch::empty(sizes, x.options());

  const int64_t panel = in * loops::block_outputs, blocks = loops::block_count(out);
  const int64_t step = blocks_at_once(blocks, panel * int64_t(sizeof(BFloat16)), panels_bytes);
  const auto panels = torch::empty({step * panel}, x.options());
  loops::Product part{bits(x), in,          out, 0, 0, bits(panels), bias.data_ptr<float>(),
                      gated,   bits(result)};
  const auto pack = [&] {
    at::parallel_for(0, part.blocks, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        loops::pack(bits(weight), in, loops::Block(part.first_block + i, out, gated),
                    bits(panels) + i * panel);
    });
  };
  const auto compute = [&] {
    at::parallel_for(0, rows, min_rows_per_thread, [&](int64_t begin, int64_t end) {
      loops::multiply_rows(part, begin, end - begin);
    });
  };
  for_panels(part, blocks, step, pack, compute);
  return result;
}

}  // namespace livepeer::kernels
