#include "kernels/matmul_bf16_loops.h"

#include <algorithm>
#include <type_traits>

#include "kernels/avx512_bf16.h"
#include "kernels/elementwise_loops.h"

namespace livepeer::kernels::matmul_bf16_loops {

Block::Block(int64_t index, int64_t out, bool gated)
    : runs(gated ? 2 : 1),
      width(std::min(block_outputs / runs, (out - index * block_outputs) / runs)),
      first{index * (block_outputs / runs), out / 2 + index * (block_outputs / runs)} {}

#ifdef HAS_AVX512
namespace {

constexpr int64_t lanes = 16, groups = block_outputs / lanes;
/// Rows whose sums are in registers together.
constexpr int64_t most_rows = 6;
/// Inputs at a time, so that their part of the panel stays in the second-level cache for all rows.
constexpr int64_t inputs_at_once = 512;

/// The bias added, and the results of one row written.
FOR_BF16 void finish(const Product &product, const Block &block, float *m, int64_t row) {
  for (int64_t run = 0; run < block.runs; ++run)
    for (int64_t i = 0; i < block.width; i += lanes) {
      float *const sums = m + run * block.width + i;
      const __m512 value = _mm512_add_ps(_mm512_loadu_ps(sums),
                                         _mm512_loadu_ps(product.bias + block.first[run] + i));
      if (product.gated)
        _mm512_storeu_ps(sums, value);
      else
        _mm256_storeu_si256(
            reinterpret_cast<__m256i *>(product.y + row * product.out + block.first[0] + i),
            (__m256i)_mm512_cvtneps_pbh(value));
    }
  if (product.gated)
    elementwise_loops::Loops<CpuLevel::avx512>::geglu(
        m, 1, block.width, product.y + row * (product.out / 2) + block.first[0]);
}

/// Calls function(row, its number as a constant) for groups of rows.
template <typename Function>
FOR_BF16 inline void for_rows(int64_t count, Function function) {
  int64_t row = 0;
  for (; row + most_rows <= count; row += most_rows)
    function(row, std::integral_constant<int, most_rows>());
  for (; row + 2 <= count; row += 2) function(row, std::integral_constant<int, 2>());
  if (row < count) function(row, std::integral_constant<int, 1>());
}

/// For a few dozen rows.
FOR_BF16 void multiply_block(const Product &product, int64_t index, int64_t first, int64_t count,
                             float *m) {
  const Block block(product.first_block + index, product.out, product.gated);
  const BFloat16 *const panel = product.panels + index * product.in * block_outputs,
                        *const x = product.x + first * product.in;
  for (int64_t k = 0; k < product.in; k += inputs_at_once) {
    const int64_t inputs = std::min(inputs_at_once, product.in - k);
    for_rows(count, [&](int64_t row, auto rows) FOR_BF16 {
      float *const sums = m + row * block_outputs;
      multiply_bf16<rows, groups>(x + row * product.in + k, product.in, panel + k * block_outputs,
                                  block_outputs, inputs, k > 0, sums, block_outputs);
      if (k + inputs < product.in) return;
      for (int64_t i = 0; i < rows; ++i)
        finish(product, block, sums + i * block_outputs, first + row + i);
    });
  }
}

}  // namespace

FOR_AVX512 void pack(const BFloat16 *weight, int64_t in, const Block &block, BFloat16 *panel) {
  for (int64_t group = 0; group < block_outputs; group += lanes) {
    const int64_t run = std::min(group / block.width, block.runs), row = group - run * block.width;
    const bool inside = run < block.runs;
    for (int64_t k = 0; k < in; k += input_step) {
      __m512i pairs[lanes];
      UNROLL
      for (int64_t i = 0; i < lanes; ++i)
        pairs[i] = inside ? _mm512_loadu_si512(weight + (block.first[run] + row + i) * in + k)
                          : _mm512_setzero_si512();
      transpose(pairs);
      UNROLL
      for (int64_t i = 0; i < lanes; ++i)
        _mm512_storeu_si512(panel + (k + 2 * i) * block_outputs + 2 * group, pairs[i]);
    }
  }
}

void multiply_rows(const Product &product, int64_t first, int64_t count) {
  // So many that they stay in the second-level cache.
  constexpr int64_t rows_at_once = 96, bytes_at_once = 384 << 10;
  const int64_t fitting = bytes_at_once / (product.in * int64_t(sizeof(BFloat16)));
  const int64_t step = std::clamp(fitting / most_rows * most_rows, most_rows, rows_at_once);
  alignas(64) float m[rows_at_once * block_outputs];
  for (int64_t done = 0; done < count; done += step)
    for (int64_t block = 0; block < product.blocks; ++block)
      multiply_block(product, block, first + done, std::min(step, count - done), m);
}

#else  // processors without the instructions

void pack(const BFloat16 *, int64_t, const Block &, BFloat16 *) {}
void multiply_rows(const Product &, int64_t, int64_t) {}

#endif

}  // namespace livepeer::kernels::matmul_bf16_loops
