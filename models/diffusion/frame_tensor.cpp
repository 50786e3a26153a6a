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

/// Adding and subtracting 1.5 * 2^23 rounds a small float to an integer, half to even, in a way
/// that compilers turn into vector instructions.
uint8_t to_byte(float v) {
  constexpr float magic = 12582912.0F;
  // written so that a NaN becomes black
  const float unit = std::min(std::max(0.0F, v * 0.5F + 0.5F), 1.0F);
  return uint8_t(int((unit * 255.0F + magic) - magic));
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
      const float *values = in + row * channels * width;
      for (size_t i = 0; i < line.size(); i++) line[i] = to_byte(values[i]);
      for (int64_t dy = 0; dy < factor; dy++) {
        uint8_t *out = frame.row(y + int(row * factor + dy)) + size_t(x) * 3;
        const uint8_t *bytes = line.data() + dy * factor;
        for (int64_t i = 0; i < width; i++, bytes += channels)
          for (int64_t dx = 0; dx < factor; dx++)
            for (int64_t c = 0; c < 3; c++) *out++ = bytes[c * factor * factor + dx];
      }
    }
  });
}

}  // namespace livepeer
