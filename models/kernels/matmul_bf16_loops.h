#pragma once

#include <cstdint>

#include "kernels/bfloat16.h"

/// Inner loops of products of bfloat16 matrices with float32 sums, which are rounded once, for
/// processors with AVX512-BF16. No torch in here, as in elementwise_loops.h.
namespace livepeer::kernels::matmul_bf16_loops {

constexpr int64_t block_outputs = 64;  ///< columns of the result worked on at a time
constexpr int64_t input_step = 32;     ///< input widths are multiples of this
constexpr int64_t output_step = 16;    ///< output widths are multiples of this

/// Which rows of a weight [out][in] make the `index`th block: one run, or two where values and
/// gates of a gated unit go together.
struct Block {
  Block(int64_t index, int64_t out, bool gated);

  int64_t runs, width;  ///< width: rows in a run, a multiple of output_step
  int64_t first[2];
};

/// Blocks of a weight with `out` rows.
inline int64_t block_count(int64_t out) { return (out + block_outputs - 1) / block_outputs; }

struct Product {
  const BFloat16 *x;            ///< [rows][in]
  int64_t in, out;              ///< of the weight, which is [out][in]
  int64_t first_block, blocks;  ///< of its rows, to compute
  const BFloat16 *panels;       ///< theirs, one after the other
  const float *bias;            ///< [out]
  /// Whether the result is values * gelu(gates), [rows][out / 2], of out / 2 values followed by as
  /// many gates, a multiple of block_outputs / 2.
  bool gated;
  BFloat16 *y;  ///< [rows][out]
};

/// A block of `weight` as [in / 2][block_outputs][2]; zeros where the weight has no more rows.
void pack(const BFloat16 *weight, int64_t in, const Block &block, BFloat16 *panel);

/// The results for the given blocks of `count` rows from `first` on. They do not depend on which
/// rows are computed together.
void multiply_rows(const Product &product, int64_t first, int64_t count);

}  // namespace livepeer::kernels::matmul_bf16_loops
