#include "kernels/matmul_f32_loops.h"

#include "kernels/loops.h"

namespace livepeer::kernels::matmul_f32_loops {
namespace {

/// Rows whose sums are in registers together.
constexpr int64_t rows_at_once = 6;

template <int64_t bytes>
struct Register {
  typedef float type __attribute__((vector_size(bytes), aligned(sizeof(float)), may_alias));
};

/// `rows` rows from `row`, and as many columns from `column` as there are in `groups` registers.
template <int64_t bytes, int64_t groups, int64_t rows>
ALWAYS_INLINE void multiply_block(const Product &p, int64_t row, int64_t column) {
  using Lanes = typename Register<bytes>::type;
  constexpr int64_t lanes = bytes / int64_t(sizeof(float));
  Lanes sum[rows][groups];
  UNROLL
  for (int64_t r = 0; r < rows; ++r) UNROLL
  for (int64_t g = 0; g < groups; ++g) sum[r][g] = Lanes{};
  const float *a = p.a.at(row), *b = p.panel + column;
  for (int64_t k = 0; k < p.depth; ++k, ++a, b += p.columns) {
    Lanes terms[groups];
    UNROLL
    for (int64_t g = 0; g < groups; ++g) terms[g] = *reinterpret_cast<const Lanes *>(b + g * lanes);
    UNROLL
    for (int64_t r = 0; r < rows; ++r) UNROLL
    for (int64_t g = 0; g < groups; ++g) sum[r][g] += a[r * p.a.stride] * terms[g];
  }
  UNROLL
  for (int64_t r = 0; r < rows; ++r) UNROLL
  for (int64_t g = 0; g < groups; ++g)
    *reinterpret_cast<Lanes *>(p.result.at(row + r) + column + g * lanes) = sum[r][g];
}

/// `rows` rows, or the last ones, which may be fewer.
template <int64_t bytes, int64_t groups, int64_t rows>
ALWAYS_INLINE void multiply_some(const Product &p, int64_t row, int64_t column) {
  if (p.rows - row >= rows)
    multiply_block<bytes, groups, rows>(p, row, column);
  else if constexpr (rows > 1)
    multiply_some<bytes, groups, rows - 1>(p, row, column);
}

/// All columns of some rows, `groups` registers of them at a time, and fewer at the end.
template <int64_t bytes, int64_t groups, int64_t rows>
ALWAYS_INLINE void multiply_rows(const Product &p, int64_t row, int64_t column) {
  constexpr int64_t width = groups * bytes / int64_t(sizeof(float));
  for (; p.columns - column >= width; column += width)
    multiply_some<bytes, groups, rows>(p, row, column);
  if constexpr (width > lane_columns) {
    if (column < p.columns) multiply_rows<bytes, groups - 1, rows>(p, row, column);
  }
}

template <int64_t bytes, int64_t groups>
ALWAYS_INLINE void multiply_wide(const Product &p) {
  for (int64_t row = 0; row < p.rows; row += rows_at_once)
    multiply_rows<bytes, groups, rows_at_once>(p, row, 0);
}

}  // namespace

// Each has registers left for a row of the panel and a factor.
template <CpuLevel level>
void multiply(const Product &product) {
  if constexpr (level >= CpuLevel::avx512)
    multiply_wide<64, 4>(product);
  else
    multiply_wide<level >= CpuLevel::avx2 ? 32 : 16, 2>(product);
}

template void multiply<CpuLevel::LEVEL>(const Product &product);

}  // namespace livepeer::kernels::matmul_f32_loops
