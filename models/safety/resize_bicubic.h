#pragma once

#include "runtime/frame.h"

namespace livepeer {

/// `frame` scaled to width x height by the antialiased bicubic filter (a = -0.5) of the Python
/// Imaging Library, bit for bit: 8-bit result of each of the two passes, coefficients in 22-bit
/// fixed point. The size must be at least 1x1. A side that keeps its length keeps its
/// values.
Frame resize_bicubic(const Frame &frame, int width, int height);

/// The part `window` of what resize_bicubic(frame, width, height) returns; only that is computed.
Frame resize_bicubic(const Frame &frame, int64_t width, int64_t height, const Rect &window);

}  // namespace livepeer
