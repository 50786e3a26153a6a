#include "diffusion/frame_tensor.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <array>
#include <atomic>

#include "io/weights_file.h"

namespace livepeer {
namespace {

std::array<float, 256> make_levels() {
  std::array<float, 256> levels{};
  for (size_t i = 0; i < levels.size(); i++) levels[i] = 2.0F * (float(i) / 255.0F) - 1.0F;
  return levels;
}

/// What the numbers of a frame are in a tensor.
struct Levels {
  explicit Levels(const Samples &samples)
      : first(2.0F * samples.lowest - 1.0F), step(2.0F * samples.step()) {}
  float operator()(uint8_t number) const {
    static const std::array<float, 256> levels = make_levels();
    return levels[number];
  }
  float operator()(uint16_t number) const { return first + step * float(number); }
  float first, step;
};

/// Adding and subtracting 1.5 * 2^23 rounds a small float to an integer, half to even, in what
/// compilers turn into vector instructions.
float rounded(float value) {
  constexpr float magic = 12582912.0F;
  return (value + magic) - magic;
}

/// In this order a NaN becomes the least.
float limited(float value, float least, float most) {
  return std::min(std::max(least, value), most);
}

void to_numbers(const float *in, size_t count, const Samples &, uint8_t *out) {
  for (size_t i = 0; i < count; i++) {
    const float value = limited(in[i], -1.0F, 1.0F);
    out[i] = uint8_t(int32_t(rounded((value * 0.5F + 0.5F) * 255.0F)));
  }
}

void to_numbers(const float *in, size_t count, const Samples &samples, uint16_t *out) {
  const Levels levels(samples);
  const float scale = 1.0F / levels.step;
  for (size_t i = 0; i < count; i++) {
    const float value = limited((in[i] - levels.first) * scale, 0.0F, 65535.0F);
    out[i] = uint16_t(int32_t(rounded(value)));
  }
}

/// `numbers` of `width` pixels, [3, factor, factor] for each, as `factor` rows of RGB.
template <int factor, typename T>
void write_rows(const T *numbers, int64_t width, const FramePart &frame, int x, int y) {
  constexpr int plane = factor * factor;
  for (int dy = 0; dy < factor; dy++) {
    T *out = frame.row<T>(y + dy) + size_t(x) * 3;
    const T *in = numbers + dy * factor;
    for (int64_t i = 0; i < width; i++, in += 3 * plane)
      for (int dx = 0; dx < factor; dx++, out += 3) {
        out[0] = in[dx];
        out[1] = in[plane + dx];
        out[2] = in[2 * plane + dx];
      }
  }
}

template <typename T>
torch::Tensor read(const Frame &frame, const Rect &rect) {
  const Levels levels(frame.samples);
  torch::Tensor result = torch::empty({1, 3, rect.height, rect.width});
  float *out = result.data_ptr<float>();
  const int64_t plane = int64_t(rect.width) * rect.height;
  at::parallel_for(0, rect.height, 16, [&](int64_t begin, int64_t end) {
    for (int64_t y = begin; y < end; y++) {
      const T *in = frame.row<T>(rect.y + int(y)) + size_t(rect.x) * 3;
      float *row = out + y * rect.width;
      for (int x = 0; x < rect.width; x++)
        for (int c = 0; c < 3; c++) row[c * plane + x] = levels(in[3 * x + c]);
    }
  });
  return result;
}

template <typename T>
bool write(const torch::Tensor &image, const FramePart &frame, int x, int y) {
  // [3 * f * f, h, w] is [3, f, f, h, w] with the middle axes inside each pixel; f is 1 or 4.
  const int64_t factor = image.size(0) == 3 ? 1 : 4;
  const int64_t channels = 3 * factor * factor, width = image.size(2);
  torch::Tensor lines = image.permute({1, 2, 0});
  if (lines.stride(2) != 1 || lines.stride(1) != channels) lines = lines.contiguous();
  const float *in = lines.data_ptr<float>();
  const int64_t stride = lines.stride(0);
  std::atomic<bool> finite{true};
  at::parallel_for(0, image.size(1), 8, [&](int64_t begin, int64_t end) {
    std::vector<T> line(size_t(channels * width));
    for (int64_t row = begin; row < end; row++) {
      const float *numbers = in + row * stride;
      if (!all_finite(Dtype::f32, numbers, line.size() * sizeof(float))) finite = false;
      to_numbers(numbers, line.size(), frame.samples, line.data());
      if (factor == 1)
        write_rows<1>(line.data(), width, frame, x, y + int(row));
      else
        write_rows<4>(line.data(), width, frame, x, y + 4 * int(row));
    }
  });
  return finite;
}

}  // namespace

torch::Tensor to_tensor(const Frame &frame, const Rect &rect) {
  return frame.samples.bytes == 1 ? read<uint8_t>(frame, rect) : read<uint16_t>(frame, rect);
}

bool write_pixels(const torch::Tensor &image, const FramePart &frame, int x, int y) {
  return frame.samples.bytes == 1 ? write<uint8_t>(image, frame, x, y)
                                  : write<uint16_t>(image, frame, x, y);
}

}  // namespace livepeer
