#pragma once

#include <cstdint>

#include "kernels/cpu_level.h"

/// Inner loops of products of float32 matrices, compiled for several levels. Each number
/// is a sum in the order of its terms, however many rows are computed at a time. No torch in here,
/// as in elementwise_loops.h.
namespace livepeer::kernels::matmul_f32_loops {

constexpr int64_t panel_width = 64;   ///< columns that are best worked on at a time
constexpr int64_t lane_columns = 16;  ///< their number is a multiple of this

/// Where the rows of a matrix begin.
template <typename T>
struct Rows {
  T *first;
  int64_t stride;  ///< elements from a row to the next one
  T *at(int64_t row) const { return first + row * stride; }
};

/// result [rows][columns] = a [rows][depth] * panel [depth][columns].
struct Product {
  int64_t rows, depth, columns;
  Rows<const float> a;
  const float *panel;
  Rows<float> result;
};
template <CpuLevel level>
void multiply(const Product &product);

}  // namespace livepeer::kernels::matmul_f32_loops
