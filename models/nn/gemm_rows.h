#pragma once

#include <cstdint>

/// Inner loops of products of float32 matrices, compiled for several instruction sets. Each number
/// is a sum in the order of its terms, however many rows are computed at a time. No torch in here,
/// as in cpu_rows.h.
namespace livepeer::kernels::gemm {

constexpr int64_t panel_width = 64;  ///< columns worked on at a time

/// Where the rows of a matrix begin.
template <typename T>
struct Rows {
  T *first;
  int64_t stride;  ///< elements from a row to the next one
  T *at(int64_t row) const { return first + row * stride; }
};

/// result [rows][columns] = initial + a [rows][depth] * panel [depth][panel_width].
struct Product {
  int64_t rows, columns, depth;  ///< columns <= panel_width
  Rows<const float> a;
  const float *panel;
  Rows<const float> initial;  ///< may be the result; null: zeros
  Rows<float> result;
};
void multiply(const Product &product);

/// Columns of a panel from `count` <= panel_width rows of `matrix`, the other columns are zeros.
void pack(const Rows<const float> &matrix, int64_t count, int64_t depth, float *panel);

}  // namespace livepeer::kernels::gemm
