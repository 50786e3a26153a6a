#pragma once

#include <torch/types.h>

#include "runtime/frame.h"

namespace livepeer {

/// The part `rect` of a frame as [1, 3, height, width] float32, -1 .. 1 for black .. white; of 8
/// bits v / 255 * 2 - 1 in float32, as diffusers' image processor does it.
torch::Tensor to_tensor(const Frame &frame, const Rect &rect);
inline torch::Tensor to_tensor(const Frame &frame) {
  return to_tensor(frame, {0, 0, frame.width, frame.height});
}

/// Writes `image` float32 on the CPU, -1 .. 1 for black .. white, into `frame` from pixel (x, y)
/// on, in its samples, clamped to what they can hold and rounded half to even; to 8 bits (v / 2 +
/// 0.5) clamped to [0, 1], times 255, as diffusers does it. The image is [3, height, width], or
/// [48, height / 4, width / 4] before a pixel shuffle; any strides, without a copy where the
/// numbers of a row follow each other pixel by pixel. Returns whether all numbers are finite.
bool write_pixels(const torch::Tensor &image, const FramePart &frame, int x, int y);

}  // namespace livepeer
