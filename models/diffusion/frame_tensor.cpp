#include "diffusion/frame_tensor.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <array>

namespace livepeer {
namespace {

std::array<float, 256> make_levels() {
  std::array<float, 256> levels{};
  for (size_t i = 0; i < levels.size(); i++) levels[i] = 2.0F * (float(i) / 255.0F) - 1.0F;
  return levels;
}

/// Adding and subtracting 1.5 * 2^23 rounds a small float to an integer, half to even, in what
/// compilers turn into vector instructions.
void to_bytes(const float *in, size_t count, uint8_t *out) {
  constexpr float magic = 12582912.0F;
  for (size_t i = 0; i < count; i++) {
    // In this order a NaN becomes black.
    const float value = std::min(std::max(-1.0F, in[i]), 1.0F);
    const float scaled = (value * 0.5F + 0.5F) * 255.0F;
    out[i] = uint8_t(int32_t((scaled + magic) - magic));
  }
}

/// `bytes` of `width` pixels, [3, factor, factor] for each, as `factor` rows of RGB.
template <int factor>
void write_rows(const uint8_t *bytes, int64_t width, Frame &frame, int x, int y) {
  constexpr int plane = factor * factor;
  for (int dy = 0; dy < factor; dy++) {
    uint8_t *out = frame.row(y + dy) + size_t(x) * 3;
    const uint8_t *in = bytes + dy * factor;
    for (int64_t i = 0; i < width; i++, in += 3 * plane)
      for (int dx = 0; dx < factor; dx++, out += 3) {
        out[0] = in[dx];
        out[1] = in[plane + dx];
        out[2] = in[2 * plane + dx];
      }
  }
}

}  // namespace

torch::Tensor to_tensor(const Frame &frame, const Rect &rect) {
  static const std::array<float, 256> levels = make_levels();
  torch::Tensor result = torch::empty({1, 3, rect.height, rect.width});
  float *out = result.data_ptr<float>();
  const int64_t plane = int64_t(rect.width) * rect.height;
  at::parallel_for(0, rect.height, 16, [&](int64_t begin, int64_t end) {
    for (int64_t y = begin; y < end; y++) {
      const uint8_t *in = frame.row(rect.y + int(y)) + size_t(rect.x) * 3;
      float *row = out + y * rect.width;
      for (int x = 0; x < rect.width; x++)
        for (int c = 0; c < 3; c++) row[c * plane + x] = levels[in[3 * x + c]];
    }
  });
  return result;
}

void write_pixels(const torch::Tensor &image, Frame &frame, int x, int y) {
  // [3 * f * f, h, w] is [3, f, f, h, w] with the middle axes inside each pixel; f is 1 or 4.
  const int64_t factor = image.size(0) == 3 ? 1 : 4;
  const int64_t channels = 3 * factor * factor, width = image.size(2);
  const torch::Tensor lines = image.permute({1, 2, 0}).contiguous();
  const float *in = lines.data_ptr<float>();
  at::parallel_for(0, image.size(1), 8, [&](int64_t begin, int64_t end) {
    std::vector<uint8_t> line(size_t(channels * width));
    for (int64_t row = begin; row < end; row++) {
      to_bytes(in + row * channels * width, line.size(), line.data());
      if (factor == 1)
        write_rows<1>(line.data(), width, frame, x, y + int(row));
      else
        write_rows<4>(line.data(), width, frame, x, y + 4 * int(row));
    }
  });
}

}  // namespace livepeer
