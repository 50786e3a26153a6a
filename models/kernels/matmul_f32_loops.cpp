#include "kernels/matmul_f32_loops.h"

#include "kernels/loops.h"

namespace livepeer::kernels::matmul_f32_loops {
namespace {

/// Terms at a time: what is read of the panel again for each few rows then stays in the nearest
/// cache.
constexpr int64_t terms_at_once = 256;

template <int64_t bytes>
struct Register {
  typedef float type __attribute__((vector_size(bytes), aligned(sizeof(float)), may_alias));
};

/// Terms of a product.
struct Part {
  int64_t first, count;
  bool adds;  ///< to what the result holds
};

/// `rows` rows from `row`, and as many columns from `column` as there are in `registers`.
template <int64_t bytes, int64_t registers, int64_t rows>
ALWAYS_INLINE void multiply_block(const Product &p, const Part &part, int64_t row, int64_t column) {
  using Lanes = typename Register<bytes>::type;
  constexpr int64_t lanes = bytes / int64_t(sizeof(float));
  constexpr int64_t per_group = lane_columns / lanes;
  static_assert(registers % per_group == 0);
  Lanes sum[rows][registers];
  UNROLL
  for (int64_t r = 0; r < rows; ++r) UNROLL
  for (int64_t i = 0; i < registers; ++i)
    sum[r][i] = part.adds
                    ? *reinterpret_cast<const Lanes *>(p.result.at(row + r) + column + i * lanes)
                    : Lanes{};
  const int64_t group = p.depth * lane_columns;
  const float *a = p.a.at(row) + part.first,
              *b = p.panel + column * p.depth + part.first * lane_columns;
  for (int64_t k = 0; k < part.count; ++k, ++a, b += lane_columns) {
    Lanes terms[registers];
    UNROLL
    for (int64_t i = 0; i < registers; ++i)
      terms[i] =
          *reinterpret_cast<const Lanes *>(b + i / per_group * group + i % per_group * lanes);
    UNROLL
    for (int64_t r = 0; r < rows; ++r) UNROLL
    for (int64_t i = 0; i < registers; ++i) sum[r][i] += a[r * p.a.stride] * terms[i];
  }
  UNROLL
  for (int64_t r = 0; r < rows; ++r) UNROLL
  for (int64_t i = 0; i < registers; ++i)
    *reinterpret_cast<Lanes *>(p.result.at(row + r) + column + i * lanes) = sum[r][i];
}

/// `rows` rows, or the last ones, which may be fewer.
template <int64_t bytes, int64_t registers, int64_t rows>
ALWAYS_INLINE void multiply_some(const Product &p, const Part &part, int64_t row, int64_t column) {
  if (p.rows - row >= rows)
    multiply_block<bytes, registers, rows>(p, part, row, column);
  else if constexpr (rows > 1)
    multiply_some<bytes, registers, rows - 1>(p, part, row, column);
}

/// All rows of the columns from `column` on, `registers` of them at a time, and fewer at the end;
/// the sums of `rows` rows are in registers together.
template <int64_t bytes, int64_t registers, int64_t rows>
ALWAYS_INLINE void multiply_columns(const Product &p, const Part &part, int64_t column) {
  constexpr int64_t width = registers * bytes / int64_t(sizeof(float));
  for (; p.columns - column >= width; column += width)
    for (int64_t row = 0; row < p.rows; row += rows)
      multiply_some<bytes, registers, rows>(p, part, row, column);
  if constexpr (width > lane_columns) {
    if (column < p.columns) multiply_columns<bytes, registers - 1, rows>(p, part, column);
  }
}

template <int64_t bytes, int64_t registers, int64_t rows>
ALWAYS_INLINE void multiply_wide(const Product &p) {
  for (int64_t first = 0; first < p.depth; first += terms_at_once) {
    const int64_t left = p.depth - first;
    multiply_columns<bytes, registers, rows>(
        p, {first, left < terms_at_once ? left : terms_at_once, p.adds || first > 0}, 0);
  }
}

constexpr int64_t square = 8;

/// `to` [square][lane_columns] from `from` [square][stride].
ALWAYS_INLINE void transpose_square(const float *from, int64_t stride, float *to) {
  using Row = Register<square * int64_t(sizeof(float))>::type;
  Row a[square], b[square];
  UNROLL
  for (int64_t i = 0; i < square; ++i) b[i] = *reinterpret_cast<const Row *>(from + i * stride);
  UNROLL
  for (int64_t i = 0; i < square; i += 2) {
    a[i] = __builtin_shufflevector(b[i], b[i + 1], 0, 8, 1, 9, 4, 12, 5, 13);
    a[i + 1] = __builtin_shufflevector(b[i], b[i + 1], 2, 10, 3, 11, 6, 14, 7, 15);
  }
  UNROLL
  for (int64_t i = 0; i < square; i += 4) {
    b[i] = __builtin_shufflevector(a[i], a[i + 2], 0, 1, 8, 9, 4, 5, 12, 13);
    b[i + 1] = __builtin_shufflevector(a[i], a[i + 2], 2, 3, 10, 11, 6, 7, 14, 15);
    b[i + 2] = __builtin_shufflevector(a[i + 1], a[i + 3], 0, 1, 8, 9, 4, 5, 12, 13);
    b[i + 3] = __builtin_shufflevector(a[i + 1], a[i + 3], 2, 3, 10, 11, 6, 7, 14, 15);
  }
  UNROLL
  for (int64_t i = 0; i < square / 2; ++i) {
    a[i] = __builtin_shufflevector(b[i], b[4 + i], 0, 1, 2, 3, 8, 9, 10, 11);
    a[4 + i] = __builtin_shufflevector(b[i], b[4 + i], 4, 5, 6, 7, 12, 13, 14, 15);
  }
  UNROLL
  for (int64_t i = 0; i < square; ++i) *reinterpret_cast<Row *>(to + i * lane_columns) = a[i];
}

}  // namespace

template <CpuLevel level>
void multiply(const Product &product) {
  // Each has registers left for a row of the panel and a factor.
  if constexpr (level >= CpuLevel::avx512)
    multiply_wide<64, 4, 6>(product);
  else if constexpr (level >= CpuLevel::avx2)
    multiply_wide<32, 2, 6>(product);
  else
    multiply_wide<16, 4, 3>(product);
}

template <CpuLevel level>
void pack(const float *weight, int64_t depth, int64_t columns, float *panel) {
  const int64_t whole = depth - depth % square;
  for (int64_t column = 0; column < columns; column += square) {
    const float *const from = weight + column * depth;
    float *const to = panel + column / lane_columns * lane_columns * depth + column % lane_columns;
    for (int64_t k = 0; k < whole; k += square)
      transpose_square(from + k, depth, to + k * lane_columns);
    for (int64_t k = whole; k < depth; ++k)
      for (int64_t i = 0; i < square; ++i) to[k * lane_columns + i] = from[i * depth + k];
  }
}

template void multiply<CpuLevel::LEVEL>(const Product &product);
template void pack<CpuLevel::LEVEL>(const float *, int64_t, int64_t, float *);

}  // namespace livepeer::kernels::matmul_f32_loops
