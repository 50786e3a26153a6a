#include "kernels/matmul_f32.h"

#include <ATen/Parallel.h>

#include <algorithm>

#include "kernels/cpu_level.h"
#include "kernels/matmul_f32_loops.h"
#include "kernels/panels.h"
#include "kernels/tensors.h"

namespace livepeer::kernels {
namespace {

namespace loops = matmul_f32_loops;

/// Packing the weight does not pay for fewer.
constexpr int64_t min_rows = 48;
/// Rows at a time, which are read again for each block of outputs.
constexpr int64_t rows_at_once = 96;
/// Bytes of packed weights at a time. They are read again for each group of rows, so they should
/// stay in the last-level cache.
constexpr int64_t panels_bytes = 8 << 20;

/// A product, of which the given blocks of outputs are packed.
struct Work {
  const float *x, *panels, *bias;
  int64_t rows, in, out, first_block, blocks;
  float *result;

  int64_t width(int64_t block) const {
    return std::min(loops::panel_width, out - block * loops::panel_width);
  }
};

void multiply_rows(const Work &work, int64_t first, int64_t count) {
  for (int64_t i = 0; i < work.blocks; ++i) {
    const int64_t block = work.first_block + i, column = block * loops::panel_width,
                  width = work.width(block);
    const float *panel = work.panels + i * work.in * loops::panel_width;
    float *const result = work.result + first * work.out + column;
    for (int64_t row = 0; row < count; ++row)
      std::copy_n(work.bias + column, width, result + row * work.out);
    at_loop_level([&](auto level) {
      loops::multiply<level()>({count,
                                work.in,
                                width,
                                {work.x + first * work.in, work.in},
                                panel,
                                {result, work.out},
                                /*adds=*/true});
    });
  }
}

}  // namespace

bool matmul_f32_pays(const torch::Tensor &x, const torch::Tensor &weight) {
  if (!takes_kernels(x, weight, torch::kFloat) || cpu_level() != CpuLevel::avx2) return false;
  return weight.size(0) % loops::lane_columns == 0 && x.numel() >= min_rows * weight.size(1);
}

torch::Tensor matmul_f32(const torch::Tensor &x_, const torch::Tensor &weight_,
                         const torch::Tensor &bias_) {
  const auto x = x_.contiguous(), weight = weight_.contiguous();
  const int64_t in = weight.size(1), out = weight.size(0), rows = x.numel() / in;
  const auto bias =
      bias_.defined() ? bias_.contiguous() : torch::zeros({out}, torch::dtype(torch::kFloat));
  auto sizes = x.sizes().vec();
  sizes.back() = out;
  auto result = torch::empty(sizes, x.options());

  const int64_t panel = in * loops::panel_width,
                blocks = (out + loops::panel_width - 1) / loops::panel_width;
  const int64_t step = blocks_at_once(blocks, panel * int64_t(sizeof(float)), panels_bytes);
  const auto panels = torch::empty({step * panel}, torch::kFloat);
  Work work{x.data_ptr<float>(),
            panels.data_ptr<float>(),
            bias.data_ptr<float>(),
            rows,
            in,
            out,
            0,
            0,
            result.data_ptr<float>()};
  const auto pack = [&] {
    at::parallel_for(0, work.blocks, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t block = work.first_block + i;
        at_loop_level([&](auto level) {
          loops::pack<level()>(weight.data_ptr<float>() + block * panel, in, work.width(block),
                               panels.data_ptr<float>() + i * panel);
        });
      }
    });
  };
  const int64_t count = equal_step(rows, rows_at_once);
  const auto compute = [&] {
    at::parallel_for(0, (rows + count - 1) / count, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        multiply_rows(work, i * count, std::min(count, rows - i * count));
    });
  };
  for_panels(work, blocks, step, pack, compute);
  return result;
}

}  // namespace livepeer::kernels
