#pragma once

#include <cstdint>

#include "kernels/cpu_level.h"

/// Inner loops of products of float32 matrices, compiled for several levels. Each number
/// is a sum in the order of its terms, however many rows are computed at a time. No torch in here,
/// as in elementwise_loops.h.
namespace livepeer::kernels::matmul_f32_loops {

constexpr int64_t lane_columns = 16;  ///< in a group; the number of columns is a multiple of this
constexpr int64_t panel_width = 64;   ///< columns that are best worked on at a time

/// Where the rows of a matrix begin.
template <typename T>
struct Rows {
  T *first;
  int64_t stride;  ///< elements from a row to the next one
  T *at(int64_t row) const { return first + row * stride; }
};

/// result [rows][columns] = (or, where `adds`, +=) a [rows][depth] * panel, which is
/// [columns / lane_columns][depth][lane_columns].
struct Product {
  int64_t rows, depth, columns;
  Rows<const float> a;
  const float *panel;
  Rows<float> result;
  bool adds = false;
};
template <CpuLevel level>
void multiply(const Product &product);

/// `weight` [columns][depth] as a panel.
template <CpuLevel level>
void pack(const float *weight, int64_t depth, int64_t columns, float *panel);

}  // namespace livepeer::kernels::matmul_f32_loops
