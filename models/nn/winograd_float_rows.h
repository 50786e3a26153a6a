#pragma once

#include <cstdint>

/// The linear maps of winograd_float.h for one tile (or filter) over all channels. Planes lie
/// `stride` elements apart.
namespace livepeer::kernels::rows {

/// 4x4 pixels -> planes[0 .. 16).
void winograd_input(const float *const pixels[16], int64_t channels, float *planes, int64_t stride);

/// 3x3 rows of weights, one behind the other -> planes[0 .. 16).
void winograd_filter(const float *weights, int64_t channels, float *planes, int64_t stride);

/// Rows of 16 planes, plus `bias` -> 2x2 pixels.
void winograd_output(const float *const planes[16], const float *bias, int64_t channels,
                     float *const pixels[4]);

}  // namespace livepeer::kernels::rows
