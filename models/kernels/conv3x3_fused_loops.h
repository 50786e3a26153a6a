#pragma once

#include <cstdint>

#include "kernels/loops.h"

/// What the inner loops of the fused 3x3 convolutions share, whatever their numbers. They follow
/// Winograd's minimal filtering F(2x2, 3x3) (Lavin and Gray 2015, "Fast algorithms for
/// convolutional neural networks"): 16 multiplications for four outputs instead of 36. Each output
/// depends on its nine inputs and on whether its row and column are even or odd, and on nothing
/// else.
namespace livepeer::kernels::conv3x3_fused {

constexpr int64_t positions = 16;      ///< products per tile of 2x2 outputs
constexpr int64_t tiles_at_once = 24;  ///< keeps a thread's scratch memory inside its cache
constexpr int64_t lane_channels = 16;  ///< channel counts are multiples of this

/// What becomes of a sum: y = relu(scale * sum + shift + residual).
template <typename Number>
struct Epilogue {
  const float *scale, *shift;  ///< [out]
  const Number *residual;      ///< [height][width][out], or null
  bool relu;
};

template <typename Number>
struct Convolution {
  const Number *input;   ///< [height][width][in]
  const Number *weight;  ///< as the loops' transform_weight() made it
  int64_t height, width, in, out;
  Epilogue<Number> epilogue;
  Number *output;       ///< [height][width][out], or null
  float *output_float;  ///< the same, where output is null
};

/// The four rows of the input that a pair of output rows sees; null outside the picture.
template <typename Number>
struct InputRows {
  ALWAYS_INLINE InputRows(const Convolution<Number> &conv, int64_t pair) {
    for (int64_t i = 0; i < 4; ++i) {
      const int64_t y = 2 * pair - 1 + i;
      row[i] = y >= 0 && y < conv.height ? conv.input + y * conv.width * conv.in : nullptr;
    }
  }
  const Number *row[4];
};

/// The transform of three filter taps to four.
inline void spread_taps(const double in[3], double out[4]) {
  out[0] = in[0];
  out[1] = (in[0] + in[1] + in[2]) / 2;
  out[2] = (in[0] - in[1] + in[2]) / 2;
  out[3] = in[2];
}

/// The transform of the 3x3 taps of a filter for one input channel.
inline void spread_filter(const float *taps, double out[positions]) {
  double columns[3][4];
  for (int x = 0; x < 3; ++x) {
    const double column[3] = {taps[x], taps[3 + x], taps[6 + x]};
    spread_taps(column, columns[x]);
  }
  for (int y = 0; y < 4; ++y) {
    const double row[3] = {columns[0][y], columns[1][y], columns[2][y]};
    spread_taps(row, out + 4 * y);
  }
}

}  // namespace livepeer::kernels::conv3x3_fused
