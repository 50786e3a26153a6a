#pragma once

#include <cstdint>

/// Inner loops of products of float32 matrices, compiled for several instruction sets. Each number
/// is a sum in the order of its terms, however many rows are computed at a time. No torch in here,
/// as in elementwise_loops.h.
namespace livepeer::kernels::matmul_f32_loops {

constexpr int64_t panel_width = 64;  ///< columns worked on at a time

/// Where the rows of a matrix begin.
template <typename T>
struct Rows {
  T *first;
  int64_t stride;  ///< elements from a row to the next one
  T *at(int64_t row) const { return first + row * stride; }
};

/// result [rows][panel_width] = a [rows][depth] * panel [depth][panel_width].
struct Product {
  int64_t rows, depth;
  Rows<const float> a;
  const float *panel;
  Rows<float> result;
};
void multiply(const Product &product);

}  // namespace livepeer::kernels::matmul_f32_loops
